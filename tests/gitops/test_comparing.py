"""``loop diff --env``: rendered environments against the GitOps repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from innerloop.gitops.provenance import Provenance, SourceCommit, encode
from tests.gitops.remote import Remote

LOOP = Path(sys.executable).with_name("loop")

FILE = """\
name: shop
variables: {TITLE: Cats}
manifests: [{files: 'deploy/*.yaml'}]
environments:
  dev: {namespace: shop-dev, variables: env/dev.env}
  prod: {namespace: shop}
gitops: {repository: %s}
"""
WEB = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {title: '${TITLE}'}\n"
IN_DEV = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  namespace: shop-dev\n  name: web\ndata:\n  title: Dogs # ours\n"


class Shop:
    def __init__(self, folder: Path, remote: Remote) -> None:
        self.folder = folder / "shop"
        self.home = folder / ".home"
        self.remote = remote
        self.write("loop.yaml", FILE % remote.url)
        self.write("env/dev.env", "TITLE=Dogs\n")
        self.write("deploy/web.yaml", WEB)

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def diff(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("LOOP_")}
        env |= {"KUBECONFIG": "none", "XDG_STATE_HOME": str(self.home), "XDG_CACHE_HOME": str(self.home)}
        argv = [str(LOOP), "diff", *arguments]
        return subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    remote = Remote(tmp_path / "ops.git")
    remote.commit({"README.md": "ours\n", "dev/shop/configmap-web.yaml": IN_DEV, "dev/other/broken.yaml": "a: b: c"})
    return Shop(tmp_path, remote)


def test_what_is_written_in_another_way_does_not_differ(shop: Shop) -> None:
    done = shop.diff("--env", "dev", "--exit-code")
    tip = (shop.remote.tip() or "")[:7]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"dev  no differences  (branch main of {shop.remote.url} at {tip})\n"


def test_a_change_is_told_by_object_and_line(shop: Shop) -> None:
    shop.write("env/dev.env", "TITLE=Birds\n")
    done = shop.diff("--env", "dev")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1:] == [
        "~ ConfigMap/web in shop-dev",
        "    @@ -1,6 +1,6 @@",
        "     apiVersion: v1",
        "     data:",
        "    -  title: Dogs",
        "    +  title: Birds",
        "     kind: ConfigMap",
        "     metadata:",
        "       name: web",
    ]


def test_an_environment_that_was_never_promoted_is_all_new(shop: Shop) -> None:
    done = shop.diff("--env", "prod", "--exit-code")
    assert (done.returncode, done.stdout.splitlines()[1]) == (1, "+ ConfigMap/web in shop")


def test_a_file_whose_object_is_no_longer_rendered_is_removed(shop: Shop) -> None:
    shop.write("deploy/web.yaml", WEB.replace("name: web", "name: site"))
    lines = shop.diff("--env", "dev").stdout.splitlines()
    assert [line for line in lines if line[0] in "+-~"] == [
        "+ ConfigMap/site in shop-dev",
        "- ConfigMap/web in shop-dev",
    ]


def test_what_others_put_beside_it_stays_and_is_no_difference(shop: Shop) -> None:
    own = Provenance(
        project="shop",
        environment="dev",
        source=SourceCommit(repository="", commit="1" * 40),
        files={"configmap-web.yaml": "", "configmap-gone.yaml": ""},
    )
    shop.remote.commit(
        {
            "dev/shop/hydrator.metadata": encode(own),
            "dev/shop/theirs.yaml": IN_DEV.replace("name: web", "name: theirs"),
            "dev/shop/configmap-gone.yaml": IN_DEV.replace("name: web", "name: gone"),
        }
    )
    lines = shop.diff("--env", "dev").stdout.splitlines()
    assert [line for line in lines if line[0] in "+-~"] == ["- ConfigMap/gone in shop-dev"]


def test_all_environments_become_one_comment(shop: Shop) -> None:
    done = shop.diff("--all-envs", "-o", "markdown")
    assert "| dev |  |  |  |\n| prod | 1 |  |  |\n\n### prod\n" in done.stdout


def test_several_environments_are_told_for_programs(shop: Shop) -> None:
    found = json.loads(shop.diff("--env", "prod", "--env", "dev", "-o", "json").stdout)
    assert [(one["name"], len(one["differences"])) for one in found["comparisons"]] == [("prod", 1), ("dev", 0)]
    difference = found["comparisons"][0]["differences"][0]
    assert difference.pop("diff").startswith("@@ -0,0 +1,7 @@\n+apiVersion: v1\n")
    assert difference == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "namespace": "shop",
        "name": "web",
        "change": "added",
    }


def test_without_a_network_what_was_read_last_serves(shop: Shop) -> None:
    before = shop.diff("--env", "dev")
    shop.write("loop.yaml", FILE % f"http://127.0.0.1:9/{shop.remote.folder.name}")
    copies = shop.home / "innerloop/gitops"
    [copy] = [one for one in copies.iterdir() if one.is_dir()]
    failed = shop.diff("--env", "dev")
    [other] = [one for one in copies.iterdir() if one.is_dir() and one != copy]
    shutil.rmtree(other)
    shutil.copytree(copy, other)
    done = shop.diff("--env", "dev")
    assert (failed.returncode, done.returncode) == (1, 0)
    assert "cannot be reached: what it had the last time is used" in done.stderr
    assert done.stdout.partition("(")[0] == before.stdout.partition("(")[0]


def test_a_branch_that_is_not_there_yet_is_told(shop: Shop) -> None:
    shop.write("loop.yaml", (FILE % shop.remote.url).replace("gitops: {", "gitops: {layout: branch, "))
    done = shop.diff("--env", "dev")
    assert "has no branch environments/dev yet" in done.stderr
    assert done.stdout.splitlines()[1] == "+ ConfigMap/web in shop-dev"


def test_one_file_with_all_objects_is_read_too(shop: Shop) -> None:
    shop.write("loop.yaml", (FILE % shop.remote.url).replace("gitops: {", "gitops: {files: one, "))
    shop.remote.commit({"dev/shop/manifests.yaml": f"---\n# Source: deploy/web.yaml\n{IN_DEV}"})
    assert "no differences" in shop.diff("--env", "dev").stdout


def test_a_broken_file_is_told_with_its_place(shop: Shop) -> None:
    shop.remote.commit({"dev/shop/configmap-web.yaml": "a: b: c\n"})
    done = shop.diff("--env", "dev")
    assert done.returncode == 1
    assert "dev/shop/configmap-web.yaml:1:5: " in done.stderr


@pytest.mark.parametrize(
    ("file", "arguments", "words"),
    [
        (FILE.replace("gitops: {repository: %s}", "#%s"), ("--env", "dev"), "shop has no GitOps repository"),
        (FILE.partition("environments")[0] + "gitops: {repository: %s}", ("--all-envs",), "has no environments"),
        (FILE, ("--env", "production"), "prod"),
    ],
)
def test_what_is_missing_in_the_file_is_told(shop: Shop, file: str, arguments: tuple[str, ...], words: str) -> None:
    shop.write("loop.yaml", file % shop.remote.url)
    done = shop.diff(*arguments)
    assert done.returncode == 1
    assert words in done.stderr


def test_nothing_is_written_to_the_source_tree(shop: Shop) -> None:
    before = sorted(path for path in shop.folder.rglob("*"))
    shop.diff("--all-envs")
    assert sorted(path for path in shop.folder.rglob("*")) == before
