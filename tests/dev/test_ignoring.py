"""The ignore rules against git's own judgement."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from innerloop.dev.ignoring import Ignore, read_rules


@pytest.fixture(autouse=True)
def own_git_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Git without the settings of whoever runs the tests; returns the folder of its configuration."""
    settings = tmp_path / "settings"
    settings.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(settings))
    monkeypatch.setenv("HOME", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return settings


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    return folder


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", folder, *arguments], check=True)


def write(folder: Path, *paths: str, **files: str) -> None:
    for path, text in {**dict.fromkeys(paths, ""), **files}.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def counted(rules: Ignore) -> set[str]:
    """What a walk that enters no ignored folder finds."""

    def walk(folder: str) -> Iterator[str]:
        with os.scandir(rules.root / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}".lstrip("/")
                is_folder = entry.is_dir(follow_symlinks=False)
                if rules.ignores(path, is_folder):
                    continue
                if is_folder:
                    yield from walk(path)
                else:
                    yield path

    return set(walk(""))


def git_counts(folder: Path) -> set[str]:
    command = ["git", "-C", folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    listed = subprocess.run([*map(str, command)], check=True, capture_output=True)
    return set(os.fsdecode(listed.stdout).split("\0")[:-1])


NAMES = ["a", "b", "ab", "c.o", "c.h", "A b", "#a", "!a", "ü"]
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)
CLASSES = ["[ab]", "[!a]", "[^/]", "[[:alpha:]]", "[b-c.]", "[", "]"]
pieces = st.sampled_from([*NAMES, *CLASSES, "*", "*", "**", "***", "?", "*.o", "\\", "/", "/", " ", "."])
patterns = st.builds(
    lambda sign, parts: sign + "".join(parts),
    st.sampled_from(["", "", "", "!", "/", "#"]),
    st.lists(pieces, min_size=1, max_size=4),
)
ignore_files = st.dictionaries(st.sampled_from(["", "a/", "b/", "a/b/"]), st.lists(patterns, max_size=5), max_size=3)


@settings(max_examples=150, deadline=None)
@given(st.lists(paths, max_size=12), ignore_files)
@example(["a/c.h", "a/c.o", "c.h"], {"": ["*", "!*/", "!*.h"]})
@example(["a/b/c", "a/c"], {"": ["b", "!a/b"], "a/": ["c"]})
def test_counts_what_git_counts(files: list[str], ignores: dict[str, list[str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        git(folder, "init", "--quiet")
        for path in [*files, *(f"{place}{file}" for place in ignores for file in ("x",))]:
            try:
                write(folder, path)
            except (NotADirectoryError, IsADirectoryError, FileExistsError):
                continue
        for place, lines in ignores.items():
            if (folder / place).is_dir():
                (folder / place / ".gitignore").write_text("\n".join(lines))
        assert counted(Ignore(folder, folder)) == git_counts(folder)


async def test_rules_of_the_repository_hold_in_a_folder_of_it(repository: Path, own_git_settings: Path) -> None:
    write(repository, "web/main.py", "web/local.txt", "web/b.log", "web/note", "web/keep.log")
    (repository / ".gitignore").write_text("*.log\n/web/note\n!keep.log\n")
    (repository / ".git/info").mkdir(exist_ok=True)
    (repository / ".git/info/exclude").write_text("local.*\n")
    assert counted(await read_rules(repository / "web")) == {"main.py", "keep.log"}


@pytest.mark.parametrize("configured", [True, False])
async def test_personal_excludes_count(repository: Path, own_git_settings: Path, configured: bool) -> None:
    write(repository, "a.py", "mine.txt")
    place = own_git_settings / ("excludes" if configured else "git/ignore")
    place.parent.mkdir(exist_ok=True)
    place.write_text("mine.*\n")
    if configured:
        git(repository, "config", "core.excludesFile", str(place))
    assert counted(await read_rules(repository)) == {"a.py"}


async def test_tracked_files_count_although_a_pattern_ignores_them(repository: Path) -> None:
    write(repository, "build/lib/tracked.c", "build/lib/other.o", "a.log", "b.log")
    (repository / ".gitignore").write_text("build/\n*.log\n")
    git(repository, "add", "--force", "build/lib/tracked.c", "a.log")
    assert counted(await read_rules(repository)) == {"build/lib/tracked.c", "a.log", ".gitignore"}


async def test_configured_excludes_are_strongest(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, "data/a", "data/keep", "tests/unit/a.py", "tests/b.py", "x/data/c")
    (root / ".gitignore").write_text("tests/\n")
    rules = await read_rules(root, ["/data/*", "!/data/keep", "!tests", "!/.gitignore"])
    assert counted(rules) == {"data/keep", "tests/unit/a.py", "tests/b.py", "x/data/c", ".gitignore"}


async def test_another_tools_rules_leave_out_more_but_yield_to_the_configured_ones(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, "README.md", "docs/a", "main.py", "tests/a")
    left_out = {str(root / name) for name in ("README.md", "docs", "tests")}
    rules = await read_rules(root, ["!tests"], also=lambda path, folder: path in left_out)
    assert counted(rules) == {"main.py", "tests/a"}


async def test_traces_of_tools_do_not_count_unless_taken_back(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, "a.py", ".a.py.swp", "a.py~", "4913", ".#a.py", "#a.py#", "__pycache__/a.pyc", ".git/config", ".loop/x")
    assert counted(await read_rules(root)) == {"a.py"}
    assert counted(await read_rules(root, ["!4913"])) == {"a.py", "4913"}


async def test_folder_that_ignores_itself_counts_not_even_as_empty(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, ".venv/bin/python", "a.py")
    (root / ".venv/.gitignore").write_text("# made by the tool\n*\n")
    rules = await read_rules(root)
    assert rules.ignores(".venv", True)
    assert counted(rules) == {"a.py"}


async def test_worktree_uses_the_excludes_of_its_repository(repository: Path, tmp_path: Path) -> None:
    write(repository, "a")
    git(repository, "-c", "user.name=a", "-c", "user.email=a", "commit", "--quiet", "--allow-empty", "-m", "first")
    (repository / ".git/info").mkdir(exist_ok=True)
    (repository / ".git/info/exclude").write_text("secret\n")
    tree = tmp_path / "tree"
    git(repository, "worktree", "add", "--quiet", str(tree))
    write(tree, "secret", "open")
    assert counted(await read_rules(tree)) == {"open"}


async def test_names_are_bytes(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name in (b"\xff.log", b"\xff.txt", b"line\nbreak.log"):
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).touch()
    (root / ".gitignore").write_text("*.log\n")
    assert counted(await read_rules(root)) == {os.fsdecode(b"\xff.txt"), ".gitignore"}


async def test_files_that_only_an_image_brings_do_not_count_whatever_the_rest_says(repository: Path) -> None:
    write(repository, "web/requirements.txt", "web/main.py", "web/lib/requirements.txt")
    (repository / "web/.gitignore").write_text("requirements.txt\n")
    git(repository, "add", "--force", ".")
    built = repository / "web/requirements.txt"
    rules = await read_rules(repository / "web", ["!requirements.txt"], never=lambda path: path == str(built))
    assert counted(rules) == {".gitignore", "main.py", "lib/requirements.txt"}
