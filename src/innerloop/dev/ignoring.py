"""Which local paths count: git's ignore files, the configured excludes, and what editors leave behind.

The rules are git's (``gitignore(5)``): the last pattern of the file nearest to a path decides, and below an ignored
folder nothing counts. Files that git tracks although a pattern ignores them do count: they are edited like others.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from innerloop import processes
from innerloop.dev.gitignore import Patterns

IGNORE_FILE = ".gitignore"

Predicate = Callable[[str, bool], bool]
"""Whether an absolute path is left out; the second argument tells that it is a folder."""

_NEVER_OURS = (".git", ".loop")
CONFLICT_MARK = ".sync-conflict-"
"""In the name of what is kept beside a path that both sides changed."""
PARTIAL_PREFIX, PARTIAL_SUFFIX = ".loop-", ".tmp"
"""Of the name of what a container sent in part."""
_LEFT_BY_TOOLS = (
    b"__pycache__/",
    *(b".DS_Store", b"*~", b".*.sw[a-px]", b"4913", b".#*", rb"\#*#"),
    *(b"*___jb_tmp___", b"*___jb_old___", b".goutputstream-*", b".*.kate-swp"),
)
"""The weakest rules: editors' swap, lock, backup and probe files, compiled Python. ``!name`` takes them back."""


async def read_rules(
    root: Path, excludes: Iterable[str] = (), also: Predicate | None = None, never: Callable[[str], bool] | None = None
) -> Ignore:
    """The rules that hold below a folder.

    ``excludes`` are patterns relative to the folder, stronger than all files: ``!name`` makes a path count that the
    files leave out. ``also`` leaves out more, with the strength of git's files (an image's .dockerignore). ``never``
    names files that do not count whatever the rest says.
    """
    told = list(excludes)
    top = next((place for place in (root, *root.parents) if (place / ".git").exists()), None)
    if top is None:
        return Ignore(root, root, told, also=also, never=never)
    own, personal, tracked = await asyncio.gather(
        _git(root, "rev-parse", "--git-path", "info/exclude"),
        _git(root, "config", "--type=path", "--get", "core.excludesFile"),
        _git(root, "ls-files", "-z", "--cached", "--ignored", "--exclude-standard"),
    )
    files = [root / own.removesuffix("\n"), Path(personal.removesuffix("\n") or _default_excludes_file())]
    return Ignore(root, top, told, files=files, kept=tracked.split("\0")[:-1], also=also, never=never)


class Ignore:
    """The rules for one folder, callable as a Predicate; answers about folders are kept.

    Paths are text, and what is asked for each file is little: it is asked for each event of a watch.
    """

    def __init__(
        self,
        root: Path,
        top: Path,
        excludes: Iterable[str] = (),
        *,
        files: Iterable[Path] = (),
        kept: Iterable[str] = (),
        also: Predicate | None = None,
        never: Callable[[str], bool] | None = None,
    ) -> None:
        """``top`` is the folder where git's rules begin, ``root`` or above it. ``files`` are weaker ignore files
        relative to it, strongest first; ``kept`` are paths relative to ``root`` that count whatever the files say."""
        self.root = root
        self.files_above = tuple(place / IGNORE_FILE for place in root.parents if place == top or top in place.parents)
        """Ignore files that hold here and are not below the root."""
        self._prefix = os.path.join(root, "")
        self._base = b"" if root == top else os.fsencode(f"{root.relative_to(top).as_posix()}/")
        self._excludes = Patterns(map(os.fsencode, excludes)) or None
        self._kept = frozenset(kept)
        self._ways = frozenset(folder for path in self._kept for folder in _folders_of(path))
        self._learned: dict[str, Patterns] = {}
        self._also = also
        self._never = never
        weaker = [_Scope(0, patterns) for file in files if (patterns := _read(file))]
        self._chain = (*_between(root, top), *weaker, _Scope(0, Patterns(_LEFT_BY_TOOLS)))
        self._folders: dict[str, _Verdict] = {}
        self._forget_folders()

    def __call__(self, path: str, folder: bool) -> bool:
        return path.startswith(self._prefix) and self.ignores(path[len(self._prefix) :], folder)

    def covers(self, path: str) -> bool:
        return path.startswith(self._prefix)

    def ignores(self, path: str, folder: bool) -> bool:
        """Whether a path relative to the root is left out; of a folder, whether all below it is."""
        if folder:
            return self._folder(path).ignored and path not in self._ways
        if self._never is not None and self._never(self._prefix + path):
            return True
        return self._judge(path, False).ignored and path not in self._kept

    def learn(self, folder: str, ignore_file: bytes) -> None:
        """Take in an ignore file that a container has in a folder, where there is none here."""
        self._learned[folder] = _patterns(ignore_file)
        self._forget_folders()

    def _forget_folders(self) -> None:
        self._folders = {"": self._enter("", _Verdict(None, False, self._chain))}

    def _folder(self, path: str) -> _Verdict:
        known = self._folders.get(path)
        if known is None:
            known = self._folders[path] = self._enter(path, self._judge(path, True))
        return known

    def _judge(self, path: str, folder: bool) -> _Verdict:
        parent_path, _, name = path.rpartition("/")
        parent = self._folder(parent_path)
        if _is_never_ours(name):
            return _Verdict(True, True, ())
        text = os.fsencode(path)
        told = self._excludes.check(text, folder) if self._excludes is not None else None
        by_files = parent.by_files or _first(parent.chain, self._base + text, folder)
        if not by_files and self._also is not None:
            by_files = self._also(self._prefix + path, folder)
        return _Verdict(parent.told if told is None else told, by_files, parent.chain)

    def _enter(self, path: str, verdict: _Verdict) -> _Verdict:
        """The verdict on a folder, with its own ignore file taken in."""
        patterns = None
        if not verdict.by_files:
            patterns = _read(Path(self._prefix + path, IGNORE_FILE)) or self._learned.get(path)
        if not patterns:
            return verdict
        start = len(self._base) + (len(os.fsencode(path)) + 1 if path else 0)
        # tools mark their folders so (.venv, .pytest_cache): without this, they would count as empty ones
        by_files = patterns.leaves_out_all and path != ""
        return _Verdict(verdict.told, by_files, (_Scope(start, patterns), *verdict.chain))


class _Verdict(NamedTuple):
    """What is known of a path; of a folder, so of all that is in it."""

    told: bool | None
    """By the configured excludes; None: they say nothing."""
    by_files: bool
    chain: tuple[_Scope, ...]
    """The ignore files that hold there, nearest first."""

    @property
    def ignored(self) -> bool:
        return self.by_files if self.told is None else self.told


class _Scope(NamedTuple):
    start: int
    """Length of the ignore file's folder, relative to the top and with its slash: what to cut off a path."""
    patterns: Patterns


def _read(file: Path) -> Patterns | None:
    try:
        text = file.read_bytes()
    except OSError:
        return None  # as git: what cannot be read says nothing
    return _patterns(text)


def _patterns(text: bytes) -> Patterns:
    return Patterns(line.removesuffix(b"\r") for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"))


def _is_never_ours(name: str) -> bool:
    # also in other letter case: where case does not matter, a container's .GIT would be git's own folder
    if name.lower() in _NEVER_OURS or CONFLICT_MARK in name:
        return True
    return name.startswith(PARTIAL_PREFIX) and name.endswith(PARTIAL_SUFFIX)


def _first(chain: Iterable[_Scope], path: bytes, folder: bool) -> bool:
    for start, patterns in chain:
        verdict = patterns.check(path[start:], folder)
        if verdict is not None:
            return verdict
    return False


def _between(root: Path, top: Path) -> Iterator[_Scope]:
    """The ignore files of the folders above the root, up to the top, nearest first."""
    for place in root.parents:
        if place == top or top in place.parents:
            patterns = _read(place / IGNORE_FILE)
            if patterns:
                yield _Scope(0 if place == top else len(os.fsencode(place.relative_to(top))) + 1, patterns)


def _folders_of(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _default_excludes_file() -> str:
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(Path.home(), ".config")
    return os.path.join(base, "git/ignore")


async def _git(folder: Path, *arguments: str) -> str:
    """What git says, nothing when it fails: without git there are no tracked files and no settings to heed."""
    if shutil.which("git") is None:
        return ""
    completed = await processes.run(["git", "-C", str(folder), *arguments], check=False)
    return completed.stdout.decode(errors="surrogateescape") if completed.code == 0 else ""
