from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from innerloop.cluster import kubeconfig_text, merging
from innerloop.cluster.kubeconfig_text import LISTS
from innerloop.errors import LoopError

USERS = """\
# my clusters
apiVersion: v1
kind: Config
preferences: {}
clusters:
- cluster:
    server: https://prod.example.com   # careful
  name: prod

contexts:
  - context: {cluster: prod, user: me}
    name: prod
current-context: prod
users:
- name: me
  user:
    client-certificate-data: |
      c2VjcmV0
"""


def kubeconfig(name: str) -> dict[str, Any]:
    return {
        "clusters": [{"name": name, "cluster": {"server": "https://10.140.0.2:6443"}}],
        "users": [{"name": name, "user": {"token": "t"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own"
    file.write_text(json.dumps(kubeconfig("innerloop")))
    return file


async def test_a_merged_context_stands_beside_the_others(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "config"
    target.write_text(USERS)
    await merging.merge(own, target)
    merged = yaml.safe_load(target.read_text())
    assert [context["name"] for context in merged["contexts"]] == ["prod", "innerloop"]
    assert merged["current-context"] == "prod"


async def test_withdrawing_gives_back_the_very_text(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "config"
    target.write_text(USERS)
    await merging.merge(own, target)
    await merging.withdraw("innerloop", target)
    assert target.read_text() == USERS


async def test_merging_twice_changes_nothing(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "config"
    target.write_text(USERS)
    await merging.merge(own, target)
    once = target.read_text()
    await merging.merge(own, target)
    assert target.read_text() == once


async def test_merging_into_no_file_makes_it_for_its_owner_only(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "config"
    await merging.merge(own, target)
    assert yaml.safe_load(target.read_text())["current-context"] == "innerloop"
    assert target.stat().st_mode & 0o777 == 0o600


async def test_an_entry_of_somebody_else_is_not_overwritten(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "config"
    text = USERS.replace("name: me", "name: innerloop")
    target.write_text(text)
    with pytest.raises(LoopError, match="users has another entry named innerloop"):
        await merging.merge(own, target)
    assert target.read_text() == text


async def test_what_kubectl_rewrote_is_withdrawn_all_the_same(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "config"
    await merging.merge(own, target)
    target.write_text(yaml.safe_dump(yaml.safe_load(target.read_text())))
    await merging.withdraw("innerloop", target)
    left = yaml.safe_load(target.read_text())
    assert [left[name] for name in LISTS] == [[], [], []]
    assert left["current-context"] == ""


async def test_a_file_in_json_stays_json(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "config"
    target.write_text(json.dumps(kubeconfig("other")))
    await merging.merge(own, target)
    assert [user["name"] for user in json.loads(target.read_text())["users"]] == ["other", "innerloop"]


async def test_a_style_that_cannot_be_changed_safely_is_left_alone(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "config"
    text = "apiVersion: v1\nclusters: [{name: a, cluster: {server: https://a}}]\n"
    target.write_text(text)
    with pytest.raises(LoopError, match="can't be changed safely"):
        await merging.merge(own, target)
    assert target.read_text() == text


async def test_a_broken_file_is_told_with_its_line(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "config"
    target.write_text("apiVersion: v1\nclusters:\n\t- a\n")
    with pytest.raises(LoopError) as caught:
        await merging.merge(own, target)
    assert str(caught.value).startswith(f"{target}:3:1: ")


async def test_the_lock_of_kubectl_is_waited_for(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "config"
    lock = tmp_path / "config.lock"
    lock.touch()
    async with asyncio.TaskGroup() as group:
        merge = group.create_task(merging.merge(own, target), name="merge")
        await asyncio.sleep(0)
        assert not merge.done()
        lock.unlink()
    assert target.exists()
    assert not lock.exists()


async def test_a_linked_file_stays_a_link(own: Path, tmp_path: Path) -> None:
    real, target = tmp_path / "real", tmp_path / "config"
    real.write_text(USERS)
    target.symlink_to(real)
    await merging.merge(own, target)
    assert target.is_symlink()
    assert "innerloop" in real.read_text()


names = st.lists(st.text("abc-.", min_size=1, max_size=8), min_size=1, max_size=4, unique=True)


@given(names, st.integers(0, 4), st.booleans(), st.booleans())
def test_an_entry_inserted_and_removed_leaves_any_block_style_as_it_was(
    present: list[str], indent: int, comments: bool, newline: bool
) -> None:
    lines = ["kind: Config", "clusters:"]
    for name in present:
        lines.append(" " * indent + f"- name: {json.dumps(name)}")
        lines.append(" " * indent + "  cluster: {server: x}" + (" # note" if comments else ""))
    lines += ["", "users: []"] if newline else ["users: []"]
    text = "\n".join(lines) + "\n"
    entry = {"name": "new", "cluster": {"server": "y"}}
    added = kubeconfig_text.with_entry(text, "clusters", entry)
    assert [item["name"] for item in yaml.safe_load(added)["clusters"]] == [*present, "new"]
    assert kubeconfig_text.without_entry(added, "clusters", len(present)) == text
