"""What the pipeline that we run in says about itself: GitHub Actions, GitLab CI, Jenkins, Azure Pipelines."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """A run of a pipeline; empty members are not known. A rerun has the same `run_id` and a higher `attempt`."""

    run_id: str = ""
    attempt: int = 1
    url: str = ""
    commit: str = ""
    branch: str = ""
    person: str = ""


def this_run(variables: Mapping[str, str] | None = None) -> PipelineRun:
    """The run that we are part of; an empty one outside of pipelines."""
    env = os.environ if variables is None else variables
    if env.get("GITHUB_ACTIONS"):
        return _github(env)
    if env.get("GITLAB_CI"):
        return _gitlab(env)
    if env.get("TF_BUILD"):
        return _azure(env)
    if env.get("JENKINS_URL"):
        return _jenkins(env)
    return PipelineRun()


def _github(env: Mapping[str, str]) -> PipelineRun:
    run_id = env.get("GITHUB_RUN_ID", "")
    server, repository = env.get("GITHUB_SERVER_URL", ""), env.get("GITHUB_REPOSITORY", "")
    return PipelineRun(
        run_id,
        _attempt(env.get("GITHUB_RUN_ATTEMPT")),
        f"{server}/{repository}/actions/runs/{run_id}" if server and repository and run_id else "",
        env.get("GITHUB_SHA", ""),
        env.get("GITHUB_REF_NAME", ""),
        env.get("GITHUB_ACTOR", ""),
    )


def _gitlab(env: Mapping[str, str]) -> PipelineRun:
    # A job that is run again has another id there, and no count of attempts.
    return PipelineRun(
        env.get("CI_JOB_ID", ""),
        1,
        env.get("CI_JOB_URL", ""),
        env.get("CI_COMMIT_SHA", ""),
        env.get("CI_COMMIT_REF_NAME", ""),
        env.get("GITLAB_USER_EMAIL", "") or env.get("GITLAB_USER_LOGIN", ""),
    )


def _azure(env: Mapping[str, str]) -> PipelineRun:
    run_id = env.get("BUILD_BUILDID", "")
    where = f"{env.get('SYSTEM_COLLECTIONURI', '')}{env.get('SYSTEM_TEAMPROJECT', '')}"
    return PipelineRun(
        run_id,
        _attempt(env.get("SYSTEM_JOBATTEMPT")),
        f"{where}/_build/results?buildId={run_id}" if where and run_id else "",
        env.get("BUILD_SOURCEVERSION", ""),
        env.get("BUILD_SOURCEBRANCH", "").removeprefix("refs/heads/"),
        env.get("BUILD_REQUESTEDFOREMAIL", ""),
    )


def _jenkins(env: Mapping[str, str]) -> PipelineRun:
    return PipelineRun(
        env.get("BUILD_TAG", ""),
        1,
        env.get("BUILD_URL", ""),
        env.get("GIT_COMMIT", ""),
        env.get("BRANCH_NAME", "") or env.get("GIT_BRANCH", "").removeprefix("origin/"),
    )


def _attempt(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 3 and int(text) else 1
