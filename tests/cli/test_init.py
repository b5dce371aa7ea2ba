"""``loop init``."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from innerloop.cli.main import root

PROJECT = """\
name: shop
manifests: [{files: deploy/*.yaml}]
environments: {dev: {namespace: shop-dev}}
gitops: {repository: git@git.example.com:shop-gitops.git, forge: git}
"""


def test_without_ci_it_says_what_it_can_do() -> None:
    done = CliRunner().invoke(root, ["init"])
    assert (done.exit_code, "--ci github, azure or gitlab" in done.output) == (2, True)


def test_it_tells_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loop.yaml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(root, ["init", "--ci", "gitlab"])
    assert (done.exit_code, done.output) == (0, "written: .gitlab-ci.yml\n")
