"""Azure Pipelines: three pipelines."""

from __future__ import annotations

from typing import Any

from innerloop.gitops.pipelines.description import PREVIEW_FILE, Job, Pipelines, Step
from innerloop.gitops.pipelines.words import IDENTIFIER, INSTALL, PYTHON, SECRET, TOKEN, command, head, written

FOLDER = ".pipelines"
_POOL = {"vmImage": "ubuntu-24.04"}
_ARTIFACT = "loop-lock"
_NEEDS_TOKEN = f"It needs the secret variable {SECRET}, to read and write the GitOps repository and its pull requests."


def files(pipelines: Pipelines) -> dict[str, str]:
    """Path in the repository to text."""
    return {
        f"{FOLDER}/loop-pr.yml": _pull_request(pipelines),
        f"{FOLDER}/loop-ci.yml": _build(pipelines),
        f"{FOLDER}/loop-cd.yml": _promote(pipelines),
    }


def _pull_request(pipelines: Pipelines) -> str:
    job = pipelines.pull_request
    steps = [*_start(), *(_step(step, token=_asks(step)) for step in job.steps)]
    summary = {
        "script": f'echo "##vso[task.uploadsummary]$(Build.SourcesDirectory)/{PREVIEW_FILE}"',
        "displayName": "attach it to the run",
    }
    place = next(n for n, step in enumerate(job.steps) if step.is_preview) + len(_start()) + 1
    document = {
        "trigger": "none",
        "pr": [pipelines.branch],
        "pool": _POOL,
        "steps": [*steps[:place], summary, *steps[place:]],
    }
    needs = (_NEEDS_TOKEN, "In Azure Repos the branch's policy (Build validation) starts it, instead of `pr`.")
    return written(head("What a pull request would change in each environment", *needs), document)


def _build(pipelines: Pipelines) -> str:
    login = {
        "task": "Docker@2",
        "displayName": "log in to the registry",
        "inputs": {"command": "login", "containerRegistry": "registry"},
    }
    keep = {"publish": pipelines.lock, "artifact": _ARTIFACT, "displayName": "hand the lock on"}
    document = {
        "trigger": {"branches": {"include": [pipelines.branch]}},
        "pr": "none",
        "pool": _POOL,
        "steps": [*_start(), login, *(_step(step) for step in pipelines.build.steps), keep],
    }
    needs = f"It needs the service connection `registry`. The pipeline must be named '{_ci_name(pipelines)}'."
    return written(head("Images of the main branch, by digest", needs), document)


def _promote(pipelines: Pipelines) -> str:
    document = {
        "trigger": "none",
        "pr": "none",
        "resources": {
            "pipelines": [
                {
                    "pipeline": "ci",
                    "source": _ci_name(pipelines),
                    "trigger": {"branches": {"include": [pipelines.branch]}},
                }
            ]
        },
        "pool": _POOL,
        "stages": [_stage(job, pipelines) for job in pipelines.promotions],
    }
    needs = (
        _NEEDS_TOKEN,
        "A stage waits for the approvals of its environment, if it has some: Environments, Approvals and checks.",
    )
    return written(head("What was built, from environment to environment", *needs), document)


def _stage(job: Job, pipelines: Pipelines) -> dict[str, Any]:
    fetch = {
        "task": "DownloadPipelineArtifact@2",
        "displayName": "take the lock",
        "inputs": {
            "buildType": "specific",
            "project": "$(resources.pipeline.ci.projectID)",
            "definition": "$(resources.pipeline.ci.pipelineID)",
            "buildVersionToDownload": "specific",
            "pipelineId": "$(resources.pipeline.ci.runID)",
            "artifactName": _ARTIFACT,
            "targetPath": f"$(Build.SourcesDirectory)/{pipelines.lock.rpartition('/')[0]}".rstrip("/"),
        },
    }
    steps = [*_start(), *([fetch] if job.is_locked else []), *(_step(step, token=True) for step in job.steps)]
    deployment = {
        "deployment": "promote",
        "displayName": job.title,
        "environment": job.environment,
        "strategy": {"runOnce": {"deploy": {"steps": steps}}},
    }
    return {
        "stage": _identifier(job.name),
        "displayName": job.title,
        **({"dependsOn": _identifier(job.after)} if job.after else {}),
        "jobs": [deployment],
    }


def _ci_name(pipelines: Pipelines) -> str:
    return f"{pipelines.project} CI"


def _identifier(name: str) -> str:
    return name.translate(IDENTIFIER)


def _asks(step: Step) -> bool:
    return step.arguments[0] in ("diff", "promote")


def _start() -> list[dict[str, Any]]:
    return [
        # promoting renders commits that an environment runs, which may be older
        {"checkout": "self", "fetchDepth": "0"},
        {"task": "UsePythonVersion@0", "inputs": {"versionSpec": PYTHON}},
        {"script": INSTALL, "displayName": "install loop"},
    ]


def _step(step: Step, *, token: bool = False) -> dict[str, Any]:
    env = {"env": {TOKEN: f"$({SECRET})"}} if token else {}
    return {"script": command(step), "displayName": step.title, **env}
