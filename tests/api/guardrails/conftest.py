"""The shared server, and a project for each test."""

from tests.api.stage import shared, shared_url, stage

__all__ = ["shared", "shared_url", "stage"]
