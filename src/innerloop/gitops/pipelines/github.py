"""GitHub Actions: three workflows."""

from __future__ import annotations

from typing import Any

from innerloop.gitops.pipelines.description import PREVIEW_FILE, Job, Pipelines, Step
from innerloop.gitops.pipelines.words import INSTALL, PYTHON, SECRET, TOKEN, command, head, written

FOLDER = ".github/workflows"
_RUNNER = "ubuntu-24.04"
_ARTIFACT = "loop-lock"
_NEEDS_TOKEN = f"It needs the secret {SECRET}, to read and write the GitOps repository and its pull requests."
_OWN = "github.event.pull_request.head.repo.full_name == github.repository"
"""A pull request of a fork is given no secrets."""
_COMMENT = f'gh pr comment "$NUMBER" --edit-last --create-if-none --body-file {PREVIEW_FILE}'
_BUILT = "${{ github.event.workflow_run.head_sha }}"


def files(pipelines: Pipelines) -> dict[str, str]:
    """Path in the repository to text."""
    return {
        f"{FOLDER}/loop-pr.yml": _pull_request(pipelines),
        f"{FOLDER}/loop-ci.yml": _build(pipelines),
        f"{FOLDER}/loop-cd.yml": _promote(pipelines),
    }


def _pull_request(pipelines: Pipelines) -> str:
    job = pipelines.pull_request
    document = {
        "name": f"{pipelines.project} PR",
        "on": {"pull_request": {"branches": [pipelines.branch]}},
        "permissions": {"contents": "read", "pull-requests": "write"},
        "jobs": {job.name: _job(job, [*_start(), *_checks(job)])},
    }
    needs = (_NEEDS_TOKEN, "Of a pull request from a fork only what needs no secret is done.")
    return written(head("What a pull request would change in each environment", *needs), document)


def _build(pipelines: Pipelines) -> str:
    job = pipelines.build
    login = {
        "name": "log in to the registry",
        "uses": "docker/login-action@v4",
        "with": {
            "registry": "${{ vars.REGISTRY }}",
            "username": "${{ secrets.REGISTRY_USER }}",
            "password": "${{ secrets.REGISTRY_PASSWORD }}",
        },
    }
    keep = {
        "name": "hand the lock on",
        "uses": "actions/upload-artifact@v6",
        "with": {"name": _ARTIFACT, "path": pipelines.lock, "if-no-files-found": "error"},
    }
    document = {
        "name": _ci_name(pipelines),
        "on": {"push": {"branches": [pipelines.branch]}},
        "permissions": {"contents": "read"},
        "jobs": {job.name: _job(job, [*_start(), login, *map(_step, job.steps), keep])},
    }
    needs = "It needs the variable REGISTRY (a host) and the secrets REGISTRY_USER and REGISTRY_PASSWORD."
    return written(head("Images of the main branch, by digest", needs), document)


def _promote(pipelines: Pipelines) -> str:
    fetch = {
        "name": "take the lock",
        "uses": "actions/download-artifact@v7",
        "with": {
            "name": _ARTIFACT,
            "path": pipelines.lock.rpartition("/")[0] or ".",
            "run-id": "${{ github.event.workflow_run.id }}",
            "github-token": "${{ github.token }}",
        },
    }
    jobs = {}
    for job in pipelines.promotions:
        steps = [*_start(_BUILT), *([fetch] if job.is_locked else []), *(_with_token(one) for one in job.steps)]
        head_of_job: dict[str, Any] = {"needs": job.after} if job.after else {}
        condition = {} if job.after else {"if": "github.event.workflow_run.conclusion == 'success'"}
        jobs[job.name] = {**head_of_job, **condition, "environment": job.environment, **_job(job, steps)}
    document = {
        "name": f"{pipelines.project} CD",
        "on": {
            "workflow_run": {"workflows": [_ci_name(pipelines)], "types": ["completed"], "branches": [pipelines.branch]}
        },
        "permissions": {"contents": "read", "actions": "read"},
        # a promotion is never given up half way; of those that wait only the latest stays
        "concurrency": {"group": f"{pipelines.project}-cd", "cancel-in-progress": False},
        "jobs": jobs,
    }
    needs = (
        _NEEDS_TOKEN,
        "A job waits for the reviewers of its environment, if it has some: Settings, Environments, Required reviewers.",
    )
    return written(head("What was built, from environment to environment", *needs), document)


def _ci_name(pipelines: Pipelines) -> str:
    return f"{pipelines.project} CI"


def _job(job: Job, steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": job.title, "runs-on": _RUNNER, "steps": steps}


def _start(commit: str = "") -> list[dict[str, Any]]:
    checkout: dict[str, Any] = {"uses": "actions/checkout@v6"}
    # promoting renders commits that an environment runs, which may be older
    checkout["with"] = {**({"ref": commit} if commit else {}), "fetch-depth": 0, "persist-credentials": False}
    return [
        checkout,
        {"uses": "actions/setup-python@v6", "with": {"python-version": PYTHON}},
        {"name": "install loop", "run": INSTALL},
    ]


def _checks(job: Job) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for step in job.steps:
        asks = step.arguments[0] in ("diff", "promote")
        one = _with_token(step) if asks else _step(step)
        found.append({"name": one.pop("name"), **({"if": _OWN} if asks else {}), **one})
        if step.is_preview:
            env = {"GH_TOKEN": "${{ github.token }}", "NUMBER": "${{ github.event.pull_request.number }}"}
            found.append({"name": "comment", "if": _OWN, "env": env, "run": _COMMENT})
    return found


def _step(step: Step) -> dict[str, Any]:
    return {"name": step.title, "run": command(step)}


def _with_token(step: Step) -> dict[str, Any]:
    return {"name": step.title, "env": {TOKEN: f"${{{{ secrets.{SECRET} }}}}"}, "run": command(step)}
