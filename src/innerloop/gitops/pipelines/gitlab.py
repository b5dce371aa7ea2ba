"""GitLab CI: one file with the jobs of merge requests and of the main branch."""

from __future__ import annotations

from typing import Any

from innerloop.gitops.pipelines.description import PREVIEW_FILE, Job, Pipelines
from innerloop.gitops.pipelines.words import INSTALL, SECRET, TOKEN, command, head, written

FILE = ".gitlab-ci.yml"
_STAGES = ["check", "build", "promote"]


def files(pipelines: Pipelines) -> dict[str, str]:
    """Path in the repository to text."""
    document = {
        "stages": _STAGES,
        "default": {"image": "$LOOP_CI_IMAGE", "before_script": [INSTALL]},
        # promoting renders commits that an environment runs, which may be older
        "variables": {"GIT_DEPTH": "0"},
        pipelines.pull_request.name: _check(pipelines),
        pipelines.build.name: _build(pipelines),
        **{_name(job): _promote(job, pipelines) for job in pipelines.promotions},
    }
    needs = (
        "It needs these variables of the project (Settings, CI/CD):",
        "LOOP_CI_IMAGE: an image with Python 3.11 or later, git, helm, kubectl, and buildah or docker;",
        f"{SECRET} (masked): to read and write the GitOps repository and its merge requests;",
        "REGISTRY_AUTH_FILE (of type file): what 'buildah login' or 'docker login' writes, for the registry.",
        "A promotion but the first one is started by hand; protected environments say by whom.",
    )
    return {FILE: written(head("Pipelines of merge requests and of the main branch", *needs), document)}


def _check(pipelines: Pipelines) -> dict[str, Any]:
    return {
        "stage": "check",
        "rules": [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}],
        "variables": {TOKEN: f"${SECRET}"},
        "script": [command(step) for step in pipelines.pull_request.steps],
        "artifacts": {"when": "always", "expose_as": "what would change", "paths": [PREVIEW_FILE]},
    }


def _build(pipelines: Pipelines) -> dict[str, Any]:
    return {
        "stage": "build",
        "rules": _on_branch(pipelines),
        "script": [command(step) for step in pipelines.build.steps],
        "artifacts": {"paths": [pipelines.lock]},
    }


def _promote(job: Job, pipelines: Pipelines) -> dict[str, Any]:
    rule = _on_branch(pipelines)[0] | ({} if job.is_locked else {"when": "manual", "allow_failure": False})
    needs = {"job": pipelines.build.name} if job.is_locked else {"job": f"promote:{job.after}", "artifacts": False}
    return {
        "stage": "promote",
        "needs": [needs],
        "rules": [rule],
        "environment": {"name": job.environment},
        # one at a time, the older first
        "resource_group": f"{pipelines.project}-{job.environment}",
        "variables": {TOKEN: f"${SECRET}"},
        "script": [command(step) for step in job.steps],
    }


def _name(job: Job) -> str:
    return f"promote:{job.name}"


def _on_branch(pipelines: Pipelines) -> list[dict[str, Any]]:
    return [{"if": f'$CI_COMMIT_BRANCH == "{pipelines.branch}"'}]
