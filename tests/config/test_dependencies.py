"""Dependencies: other projects by path and by git, with real repositories."""

from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from innerloop.config.dependencies import Tree, resolve
from innerloop.config.loading import Options, load
from innerloop.errors import LoopError
from innerloop.events import Event, Notice, StepDone
from innerloop.project import Dependency

Write = Callable[..., Path]
Resolve = Callable[..., Awaitable[Tree]]


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def resolved(tmp_path: Path, events: list[Event]) -> Resolve:
    """The tree of the project in ``vote/loop.yaml``."""

    async def resolved(**options: object) -> Tree:
        chosen = Options(**options)  # type: ignore[arg-type]  # forwarded as given
        return await resolve(load(tmp_path / "vote" / "loop.yaml", chosen), chosen, events.append)

    return resolved


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def orders(write: Write) -> Path:
    """A repository with a project and one commit."""
    folder = write("name: orders\n", "orders/loop.yaml").parent
    git(folder, "init", "--quiet")
    return commit(folder, "first")


def commit(folder: Path, message: str) -> Path:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", message)
    return folder


def project(tree: Tree | Dependency) -> str:
    assert isinstance(tree, Tree)
    return tree.project.name


async def test_charts_stay_what_they_are(write: Write, resolved: Resolve) -> None:
    write("name: vote\ndependencies: {redis: {helm: 'oci://x/redis'}}\n", "vote/loop.yaml")
    tree = await resolved()
    assert tree.dependencies == tree.project.dependencies


async def test_a_project_by_path_is_resolved_in_turn(write: Write, resolved: Resolve) -> None:
    write("name: vote\ndependencies: {orders: {path: ../orders}}\n", "vote/loop.yaml")
    write("name: orders\ndependencies: {stock: {path: .., folder: stock}}\n", "orders/loop.yaml")
    write("name: stock\n", "stock/loop.yml")
    orders = (await resolved()).dependencies["orders"]
    assert isinstance(orders, Tree)
    assert (project(orders), project(orders.dependencies["stock"])) == ("orders", "stock")


async def test_another_project_gets_profiles_variables_and_the_namespace(write: Write, resolved: Resolve) -> None:
    reference = "{path: ../orders, profiles: fast, variables: {MODE: '${LOOP_NAMESPACE}'}}"
    write(f"name: vote\ndependencies: {{orders: {reference}}}\n", "vote/loop.yaml")
    write("name: orders\nvariables: {MODE: }\nprofiles: {fast: {hooks: {ready: echo}}}\n", "orders/loop.yaml")
    orders = (await resolved(fallback_namespace="mine")).dependencies["orders"]
    assert isinstance(orders, Tree)
    found = orders.project
    assert (found.profiles, found.variables["MODE"].value, found.namespace) == (("fast",), "mine", "mine")


async def test_a_dependency_may_have_a_namespace_of_its_own(write: Write, resolved: Resolve) -> None:
    write("name: vote\ndependencies: {orders: {path: ../orders, namespace: shared}}\n", "vote/loop.yaml")
    write("name: orders\n", "orders/loop.yaml")
    orders = (await resolved(fallback_namespace="mine")).dependencies["orders"]
    assert isinstance(orders, Tree)
    assert orders.project.namespace == "shared"


async def test_an_environment_is_that_of_the_other_project_too(write: Write, resolved: Resolve) -> None:
    environments = "environments: {dev: {namespace: NAME-dev}}\n"
    for name, more in (
        ("vote", "dependencies: {orders: {path: ../orders}, plain: {path: ../plain}}\n"),
        ("orders", ""),
    ):
        write(f"name: {name}\n{environments.replace('NAME', name)}{more}", f"{name}/loop.yaml")
    write("name: plain\nvariables: {A: default}\n", "plain/loop.yaml")
    write("A=laptop\n", "plain/.env")
    tree = await resolved(env="dev")
    orders, plain = tree.dependencies["orders"], tree.dependencies["plain"]
    assert isinstance(orders, Tree)
    assert isinstance(plain, Tree)
    assert (tree.project.namespace, orders.project.namespace) == ("vote-dev", "orders-dev")
    assert (plain.project.namespace, plain.project.variables["A"].value) == ("vote-dev", "default")


async def test_a_project_that_two_need_is_one_tree(write: Write, resolved: Resolve) -> None:
    write("name: vote\ndependencies: {a: {path: ../a}, b: {path: ../b}}\n", "vote/loop.yaml")
    for name in ("a", "b"):
        write(f"name: {name}\ndependencies: {{base: {{path: ../base}}}}\n", f"{name}/loop.yaml")
    write("name: base\n", "base/loop.yaml")
    tree = await resolved()
    a, b = tree.dependencies["a"], tree.dependencies["b"]
    assert isinstance(a, Tree)
    assert isinstance(b, Tree)
    assert a.dependencies["base"] is b.dependencies["base"]


async def test_a_project_wanted_in_two_ways_is_told(write: Write, resolved: Resolve) -> None:
    write("name: vote\ndependencies:\n  a: {path: ../a}\n  base: {path: ../base, profiles: x}\n", "vote/loop.yaml")
    write("name: a\ndependencies: {base: {path: ../base}}\n", "a/loop.yaml")
    write("name: base\nprofiles: {x: {hooks: null}}\n", "base/loop.yaml")
    with pytest.raises(LoopError, match="the project base is needed with another profile than at a/loop") as caught:
        await resolved()
    assert caught.value.detail == "there: none\nhere: x"


async def test_a_circle_is_told_with_its_path(write: Write, resolved: Resolve) -> None:
    for name, needs in (("vote", "a"), ("a", "b"), ("b", "vote")):
        write(f"name: {name}\ndependencies: {{{needs}: {{path: ../{needs}}}}}\n", f"{name}/loop.yaml")
    with pytest.raises(LoopError, match=r"b/loop\.yaml:2:16: .* in a circle: vote → a → b → vote"):
        await resolved()


@pytest.mark.parametrize(
    ("file", "told", "detail"),
    [
        (None, "dependency a: a is no folder", None),
        ("README", "dependency a: there is no loop.yaml in a", None),
        ("skaffold.yaml", "dependency a: there is no loop.yaml in a", "It is a project of Skaffold, "),
    ],
)
async def test_a_folder_without_a_project_is_told(
    write: Write, resolved: Resolve, file: str | None, told: str, detail: str | None
) -> None:
    write("name: vote\ndependencies: {a: {path: ../a}}\n", "vote/loop.yaml")
    if file:
        write("", f"a/{file}")
    with pytest.raises(LoopError) as caught:
        await resolved()
    assert str(caught.value) == f"vote/loop.yaml:2:16: {told}"
    assert str(caught.value.detail).startswith(detail or "None")


async def test_an_undeclared_variable_for_another_project_is_told(write: Write, resolved: Resolve) -> None:
    write("name: vote\ndependencies: {a: {path: ../a, variables: {MOD: x}}}\n", "vote/loop.yaml")
    write("name: a\nvariables: {MODE: y}\n", "a/loop.yaml")
    with pytest.raises(LoopError, match="MOD is given a value, but is not in variables") as caught:
        await resolved()
    assert caught.value.hint == "did you mean 'MODE'?"


async def test_a_repository_is_cloned_shallow_and_updated(
    write: Write, resolved: Resolve, orders: Path, events: list[Event]
) -> None:
    commit(orders, "second")
    write("name: vote\ndependencies: {orders: {git: ../orders, ref: main}}\n", "vote/loop.yaml")
    first = (await resolved()).dependencies["orders"]
    assert isinstance(first, Tree)
    write("name: orders\nhooks: {ready: echo}\n", "orders/loop.yaml")
    write("", "orders/new")
    commit(orders, "third")
    second = (await resolved()).dependencies["orders"]
    assert isinstance(second, Tree)
    assert (first.project.hooks, second.project.hooks) == ({}, {"ready": ("echo",)})
    assert git(second.project.folder, "rev-list", "--count", "HEAD") == "1"
    assert [event.title for event in events if isinstance(event, StepDone)] == ["fetch orders"] * 2


async def test_files_that_a_ref_no_longer_has_go(write: Write, resolved: Resolve, orders: Path) -> None:
    write("", "orders/old")
    commit(orders, "with")
    write("name: vote\ndependencies: {orders: {git: ../orders}}\n", "vote/loop.yaml")
    tree = (await resolved()).dependencies["orders"]
    assert isinstance(tree, Tree)
    assert (tree.project.folder / "old").exists()
    (orders / "old").unlink()
    commit(orders, "without")
    await resolved()
    assert not (tree.project.folder / "old").exists()


async def test_a_commit_is_fetched_once(write: Write, resolved: Resolve, orders: Path, events: list[Event]) -> None:
    sha = git(orders, "rev-parse", "HEAD")
    commit(orders, "later")
    write(f"name: vote\ndependencies: {{orders: {{git: ../orders, ref: {sha}}}}}\n", "vote/loop.yaml")
    await resolved()
    orders.rename(orders.with_name("moved"))
    tree = (await resolved()).dependencies["orders"]
    assert isinstance(tree, Tree)
    assert git(tree.project.folder, "rev-parse", "HEAD") == sha
    assert len([event for event in events if isinstance(event, StepDone)]) == 1


async def test_without_the_server_the_copy_serves_and_this_is_told(
    write: Write, resolved: Resolve, orders: Path, events: list[Event]
) -> None:
    write("name: vote\ndependencies: {orders: {git: ../orders}}\n", "vote/loop.yaml")
    await resolved()
    orders.rename(orders.with_name("moved"))
    assert project((await resolved()).dependencies["orders"]) == "orders"
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert "orders could not be fetched; the copy of " in notice.message
    assert "does not appear to be a git repository" in notice.detail


async def test_what_cannot_be_cloned_is_told_with_gits_words_and_leaves_nothing(
    write: Write, resolved: Resolve, orders: Path, tmp_path: Path
) -> None:
    write("name: vote\ndependencies: {orders: {git: ../orders, ref: nope}}\n", "vote/loop.yaml")
    with pytest.raises(LoopError, match=r"dependency orders: cannot fetch .*/orders at nope") as caught:
        await resolved()
    assert "couldn't find remote ref nope" in str(caught.value.detail)
    cache = tmp_path / ".home" / "XDG_CACHE_HOME" / "innerloop" / "git"
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


async def test_an_address_that_looks_like_an_option_is_none(write: Write, resolved: Resolve, tmp_path: Path) -> None:
    harm = tmp_path / "harm"
    write(f"name: vote\ndependencies: {{a: {{git: '--upload-pack=touch {harm};'}}}}\n", "vote/loop.yaml")
    with pytest.raises(LoopError, match="cannot fetch"):
        await resolved()
    assert not harm.exists()


async def test_each_project_has_its_own_plugins(write: Write, resolved: Resolve) -> None:
    write("name: vote\nplugins: p.py\ndependencies: {a: {path: ../a}}\n", "vote/loop.yaml")
    write("from innerloop import command\n@command('x')\ndef x(project, arguments): ...\n", "vote/p.py")
    write("name: a\n", "a/loop.yaml")
    tree = await resolved()
    other = tree.dependencies["a"]
    assert isinstance(other, Tree)
    assert (list(tree.plugins.commands), list(other.plugins.commands)) == (["x"], [])
