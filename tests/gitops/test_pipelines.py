"""Pipelines for CI systems: by the systems' published schemas, and by our own command line."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import click
import jsonschema  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

from innerloop.cli.main import root
from innerloop.config import loading
from innerloop.config.loading import Options
from innerloop.config.yaml import load_all
from innerloop.errors import LoopError
from innerloop.gitops.pipelines.description import Pipelines, describe
from innerloop.gitops.pipelines.writing import SYSTEMS, System, texts_of, write_pipelines
from innerloop.project import Project

PROJECT = """\
name: shop
commands: {test: pytest -q}
manifests: [{files: deploy/*.yaml}]
environments:
  dev: {namespace: shop-dev}
  stage-eu: {namespace: shop-stage}
  prod: {namespace: shop}
gitops: {repository: https://git.example.com/shop-gitops.git, forge: git}
"""
SCHEMAS = {"github": "github-workflows", "azure": "azure-pipelines", "gitlab": "gitlab-ci"}


def project_in(folder: Path, text: str = PROJECT) -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "loop.yaml").write_text(text)
    return loading.load(folder / "loop.yaml", Options())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return project_in(tmp_path / "services/shop")


@pytest.fixture
def pipelines(project: Project, tmp_path: Path) -> Pipelines:
    return describe(project, tmp_path, "main")


def schema(system: str) -> Any:
    vendored = resources.files("check_jsonschema.builtin_schemas") / "vendor" / f"{SCHEMAS[system]}.json"
    return json.loads(vendored.read_text())


def parsed(text: str) -> Any:
    """As strict as our own reader is: no duplicate keys, no unknown tags; and as any other parser has it."""
    (ours,) = load_all(text, "pipeline.yml")
    # the systems read YAML 1.2, in which `on` is a word: it is quoted, so that all agree
    assert ours == yaml.safe_load(text)
    return ours


def lines(node: Any) -> Iterator[str]:
    """Every line that a shell would run."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("run", "script", "before_script"):
                for text in value if isinstance(value, list) else [value]:
                    yield from text.splitlines()
            else:
                yield from lines(value)
    elif isinstance(node, list):
        for item in node:
            yield from lines(item)


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_written_fits_the_systems_published_schema(pipelines: Pipelines, system: System) -> None:
    validator = jsonschema.validators.validator_for(schema(system))(schema(system))
    for name, text in texts_of(pipelines, system).items():
        assert [error.message for error in validator.iter_errors(parsed(text))] == [], name


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_call_is_a_command_line_that_loop_takes(pipelines: Pipelines, system: System) -> None:
    calls = [line for text in texts_of(pipelines, system).values() for line in lines(parsed(text)) if "loop " in line]
    assert len(calls) > 8
    for call in calls:
        words = shlex.split(call.partition(" > ")[0])
        if words[0] != "loop":
            continue
        command = root.get_command(click.Context(root), words[1])
        assert command is not None, call
        # raises for an option that there is not, and for a missing argument
        command.make_context(words[1], words[2:])


@pytest.mark.parametrize("system", SYSTEMS)
def test_nothing_but_loop_is_called_to_do_the_work(pipelines: Pipelines, system: System) -> None:
    around = re.compile(r'python -m pip install innerloop==\S+|gh pr comment .*|echo "##vso\[task\.uploadsummary\].*')
    others = [
        line
        for text in texts_of(pipelines, system).values()
        for line in lines(parsed(text))
        if not line.startswith("loop ") and not around.fullmatch(line)
    ]
    assert others == []


def test_each_environment_gets_what_runs_in_the_one_before(pipelines: Pipelines) -> None:
    assert [step.arguments for job in pipelines.promotions for step in job.steps] == [
        ("promote", "-f", "services/shop", "dev"),
        ("promote", "--from", "dev", "-f", "services/shop", "stage-eu"),
        ("promote", "--from", "stage-eu", "-f", "services/shop", "prod"),
    ]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_pull_request_pushes_nothing(project: Project, tmp_path: Path, system: System) -> None:
    job = describe(project, tmp_path, "main").pull_request
    promotions = [step.arguments for step in job.steps if step.arguments[0] == "promote"]
    assert all("--dry-run" in arguments for arguments in promotions) and len(promotions) == 3
    assert not any("--push" in step.arguments for step in job.steps)


def test_the_token_is_a_secret_and_only_where_it_is_needed(pipelines: Pipelines) -> None:
    texts = texts_of(pipelines, "github")
    assert "GITOPS_TOKEN" not in texts[".github/workflows/loop-ci.yml"]
    steps = parsed(texts[".github/workflows/loop-pr.yml"])["jobs"]["check"]["steps"]
    with_token = [step["name"] for step in steps if "LOOP_FORGE_TOKEN" in step.get("env", {})]
    assert with_token == ["show what would change", "gates of dev", "gates of stage-eu", "gates of prod"]


def test_without_a_command_test_none_is_run(tmp_path: Path) -> None:
    project = project_in(tmp_path, PROJECT.replace("commands: {test: pytest -q}\n", ""))
    found = describe(project, tmp_path, "main")
    assert [step.arguments[0] for step in (*found.pull_request.steps, *found.build.steps)].count("run") == 0


async def test_the_files_are_written_at_the_top_of_the_repository(project: Project, tmp_path: Path) -> None:
    await git(tmp_path, "init", "--quiet")
    found = await write_pipelines(project, "github")
    assert [str(file.relative_to(tmp_path)) for file in found] == [
        ".github/workflows/loop-pr.yml",
        ".github/workflows/loop-ci.yml",
        ".github/workflows/loop-cd.yml",
    ]
    assert "-f services/shop" in found[0].read_text()


async def test_a_file_that_is_there_is_replaced_only_by_force(project: Project) -> None:
    (project.folder / ".gitlab-ci.yml").write_text("mine: 1\n")
    with pytest.raises(LoopError, match=r"\.gitlab-ci\.yml is there already"):
        await write_pipelines(project, "gitlab")
    assert (project.folder / ".gitlab-ci.yml").read_text() == "mine: 1\n"
    await write_pipelines(project, "gitlab", force=True)
    assert "loop promote" in (project.folder / ".gitlab-ci.yml").read_text()


async def test_a_project_without_environments_has_no_pipelines(tmp_path: Path) -> None:
    with pytest.raises(LoopError, match="shop has no environments"):
        await write_pipelines(project_in(tmp_path, "name: shop\n"), "github")


async def git(folder: Path, *arguments: str) -> None:
    from innerloop import processes

    await processes.run(["git", "-C", str(folder), *arguments])
