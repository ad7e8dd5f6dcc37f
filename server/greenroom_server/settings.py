"""Every setting of the server, read once from the environment (`GREENROOM_…`); only `app` and `cli` import this."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """The server's settings; each field is the environment variable `GREENROOM_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="GREENROOM_", frozen=True, extra="ignore")

    database_url: str | None = Field(
        default=None,
        description="PostgreSQL to use, as `postgresql://user:password@host:port/name`; "
        "without it an embedded PostgreSQL runs in the data folder",
    )
    data_dir: Path = Field(
        default=Path(".greenroom"),
        description="folder of the embedded PostgreSQL and of the last good snapshots",
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8350, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    workers: int = Field(default=1, ge=1, le=64, description="number of server processes")
    pool_size: int = Field(default=10, ge=2, le=200, description="database connections of one process at most")
    poll_interval_s: float = Field(
        default=0.5, gt=0, le=60, description="seconds between two looks at the revisions, should a NOTIFY be lost"
    )
    stream_cap: int = Field(default=10_000, ge=1, description="open streams of one process at most")
    stream_cap_per_token: int = Field(default=5_000, ge=1, description="open streams of one token at most")
    stream_admissions_per_s: int = Field(
        default=500, ge=1, le=100_000, description="new streams that one process takes in any second at most"
    )
    exposure_retention_days: int = Field(
        default=30, ge=1, le=400, description="days for which exposures, counts and outcomes are kept"
    )
    alert_interval_s: float = Field(
        default=60.0, gt=0, le=3600, description="seconds between two looks for dark flags that were served"
    )
    release_interval_s: float = Field(
        default=2.0, gt=0, le=3600, description="seconds between two looks at the releases that are under way"
    )
    webhook_ports: Annotated[tuple[Annotated[int, Field(ge=1, le=65535)], ...], NoDecode] = Field(
        default=(443, 8443), description="ports that webhooks may be sent to, separated by commas"
    )
    webhook_egress: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="hosts and networks that webhooks may be sent to, separated by commas; all without it"
    )
    webhook_insecure: bool = Field(
        default=False, description="for development: let webhooks go to `http:`, any port and private addresses"
    )
    webhook_secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        description="keys that encrypt the secrets of webhooks and permits at rest, separated by commas; "
        "the first one encrypts",
    )
    webhook_retention_days: int = Field(
        default=14, ge=1, le=400, description="days for which webhook deliveries are kept"
    )
    guardrail_ports: Annotated[tuple[Annotated[int, Field(ge=1, le=65535)], ...], NoDecode] = Field(
        default=(443, 8443, 9090), description="ports at which guardrails ask Prometheus, separated by commas"
    )
    guardrail_egress: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="hosts and networks that guardrails may ask, separated by commas; all without it"
    )
    guardrail_http: bool = Field(default=False, description="let guardrails ask by `http:` too")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("*",), description="origins whose browsers may evaluate flags, separated by commas"
    )
    public_url: str | None = Field(
        default=None, description="the address browsers reach, if a proxy serves Greenroom under a path of its own"
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("*",), description="Host headers that are answered, separated by commas"
    )
    log_format: Literal["json", "console"] = Field(default="json", description="how log lines look")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="from which level on")
    otel_endpoint: str | None = Field(
        default=None,
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT", "otel_endpoint"),
        description="OpenTelemetry collector (OTLP over HTTP) that gets the traces; none without it",
    )

    @field_validator(
        *("cors_origins", "allowed_hosts", "webhook_ports", "webhook_egress", "webhook_secret_keys"),
        *("guardrail_ports", "guardrail_egress"),
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",")) if value.strip() else ()
