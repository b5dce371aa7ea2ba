"""The GitOps repository: a bare, shallow copy of it in the cache, read and changed without a work tree.

What is not ours passes through untouched, whatever it is (line ends, submodules, large-file pointers, names that
differ by case only), since no file of it is ever written out. One copy per address serves all processes of the user:
whoever fetches holds the lock beside it, commits are named by their ids, and pushes say what they expect.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from innerloop.events import Emit, Notice
from innerloop.gitops.forges.address import without_user
from innerloop.gitops.forges.choosing import Kind
from innerloop.gitops.repository import access, git, trees
from innerloop.gitops.repository.git import Git, MovedOn, RepositoryUnreachable
from innerloop.locking import locked
from innerloop.paths import cache_dir
from innerloop.processes import ProgramFailed

DEPTH = 2
"""Commits of a branch that are fetched: the newest, and the one before, to see what the newest did."""
DEEPER = (50, 500, 5000)
"""Further commits that are fetched, step by step, where older ones are asked for; after that all of them."""
NOTES = "refs/notes/hydrator.metadata"
NOTE_ATTEMPTS = 8
"""All environments, and all projects, write into one ref of notes."""

REMOTE = "gitops"
"""What git calls the repository."""

_SEEN = "refs/remotes/origin/"


class Author(NamedTuple):
    name: str
    email: str


class Commit(NamedTuple):
    id: str
    parents: tuple[str, ...]
    author: str
    """``Name <address>``."""
    message: str

    @property
    def subject(self) -> str:
        return self.message.partition("\n")[0]


class Repository:
    """One repository; made by ``opened``. Every call raises RepositoryError."""

    def __init__(self, address: str, folder: Path, run: Git, emit: Emit) -> None:
        self.address = without_user(address)
        """For people: as loop.yaml has it, without a password."""
        self._folder = folder
        self._git = run
        self._emit = emit

    async def branch(self, name: str, *, or_copy: bool = False) -> str | None:
        """The newest commit of a branch, None where there is no such branch."""
        return (await self.branches(name, or_copy=or_copy)).get(name)

    async def branches(self, *names: str, or_copy: bool = False) -> dict[str, str]:
        """The newest commits of those of the branches that the repository has; they can be read from now on.

        ``or_copy``: where the server gives no answer, what it had the last time, which a Notice tells.
        """
        async with locked(_lock(self._folder)):
            try:
                found = await self._on_the_server(names)
            except RepositoryUnreachable as error:
                copy = await self._in_the_copy(names) if or_copy else {}
                if not copy:
                    raise
                message = f"{self.address} cannot be reached: what it had the last time is used"
                self._emit(Notice(level="warning", message=message, detail=error.detail or ""))
                return copy
            known = await self._in_the_copy(names)
            missing = [name for name in found if known.get(name) != found[name]]
            if missing:
                await self._fetch(missing, f"--depth={DEPTH}")
                # between the two questions a branch may move
                found |= await self._in_the_copy(missing)
        return found

    async def _on_the_server(self, names: Sequence[str]) -> dict[str, str]:
        try:
            listed = await self._git.text("ls-remote", REMOTE, *(f"refs/heads/{name}" for name in names))
        except ProgramFailed as failed:
            raise git.unreachable(self.address, "read", failed) from failed
        lines = (line.split("\t") for line in listed.splitlines())
        found = {ref.removeprefix("refs/heads/"): commit for commit, ref in lines}
        # git takes a name for the end of one
        return {name: found[name] for name in names if name in found}

    async def _in_the_copy(self, names: Sequence[str]) -> dict[str, str]:
        form = "--format=%(objectname) %(refname)"
        listed = await self._git.text("for-each-ref", form, *(f"{_SEEN}{name}" for name in names))
        lines = (line.split(" ", 1) for line in listed.splitlines())
        found = {ref.removeprefix(_SEEN): commit for commit, ref in lines}
        return {name: found[name] for name in names if name in found}

    async def _fetch(self, names: Sequence[str], *how: str) -> None:
        wanted = [f"+refs/heads/{name}:{_SEEN}{name}" for name in names]
        # what was seen of a branch that is gone may stand in the way of one below it, and the other way round
        gone = [ref for name in names for ref in await self._in_the_way(name)]
        if gone:
            await self._git("update-ref", "--stdin", input="".join(f"delete {ref}\n" for ref in gone).encode())
        try:
            await self._git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *how, REMOTE, *wanted)
        except ProgramFailed as failed:
            raise git.unreachable(self.address, "read", failed) from failed

    async def _in_the_way(self, name: str) -> list[str]:
        parts = name.split("/")
        above = [_SEEN + "/".join(parts[:count]) for count in range(1, len(parts))]
        listed = await self._git.text("for-each-ref", "--format=%(refname)", *above, f"{_SEEN}{name}/")
        return [ref for ref in listed.splitlines() if ref in above or ref.startswith(f"{_SEEN}{name}/")]

    async def read(self, commit: str, paths: Sequence[str]) -> dict[str, bytes]:
        """The files that a commit has at or below the paths; links and submodules are none."""
        return await trees.read(self._git, commit, paths)

    async def commit(
        self, parent: str, removed: Sequence[str], files: Mapping[str, bytes], message: str, author: Author
    ) -> str:
        """A commit on ``parent`` without the removed paths and with these files; it is not pushed yet.

        What is at or below a removed path goes, unless it is among the files.

        Raises RepositoryError where a file of the repository, a submodule or a filter of its ``.gitattributes`` is in
        the way.
        """
        tree = await trees.written(self._git, self.address, parent, removed, files)
        signed = await self._git("config", "--type=bool", "--get", "commit.gpgSign", check=False)
        sign = ["-S"] if signed.text.strip() == "true" else []
        return await self._git.text(
            "commit-tree", tree, "-p", parent, *sign, input=message.encode(), env=_identity(author)
        )

    async def push(self, branch: str, commit: str | None, expected: str | None) -> str:
        """Have a branch be ``commit`` (None: be gone), if it is still where it was expected (None: nowhere).

        Returns what the server has to say. Raises MovedOn, ProtectedBranch, PushRefused.
        """
        ref = f"refs/heads/{branch}"
        lease = f"--force-with-lease={ref}:{expected or ''}"
        pushed = await self._git("push", "--porcelain", lease, REMOTE, f"{commit or ''}:{ref}", check=False)
        if pushed.code:
            raise git.refused(self.address, branch, ProgramFailed(["git"], pushed))
        lines = pushed.stderr.decode(errors="replace").splitlines()
        return "\n".join(line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")).strip()

    async def note(self, commit: str, text: str, author: Author) -> None:
        """Put a note on a pushed commit, in place of one that is there. Raises MovedOn when all want to at once."""
        for attempt in range(NOTE_ATTEMPTS):
            async with self._notes() as mine:
                if await self._noted(mine, commit) == text:
                    return
                add = ["notes", f"--ref={mine}", "add", "-f", "-F", "-", commit]
                await self._git(*add, input=text.encode(), env=_identity(author))
                pushed = await self._git("push", "--porcelain", REMOTE, f"{mine}:{NOTES}", check=False)
            if not pushed.code:
                return
            error = git.refused(self.address, NOTES, ProgramFailed(["git"], pushed))
            if not isinstance(error, MovedOn) or attempt == NOTE_ATTEMPTS - 1:
                raise error
            await asyncio.sleep(0.1 * 2**attempt)

    async def _noted(self, notes: str, commit: str) -> str:
        there = await self._git("notes", f"--ref={notes}", "show", commit, check=False)
        return "" if there.code else there.text.strip()

    @asynccontextmanager
    async def _notes(self) -> AsyncIterator[str]:
        """The notes that the server has, as a ref of one's own."""
        mine = f"refs/notes/innerloop/{uuid4().hex}"
        try:
            async with locked(_lock(self._folder)):
                # they may not be there yet
                if await self._git.text("ls-remote", REMOTE, NOTES):
                    await self._git("fetch", "--quiet", "--no-tags", "--depth=1", REMOTE, f"+{NOTES}:{mine}")
            yield mine
        except ProgramFailed as failed:
            raise git.unreachable(self.address, "read", failed) from failed
        finally:
            await self._git("update-ref", "-d", mine, check=False)

    async def details(self, commit: str) -> Commit:
        """What a commit says of itself."""
        return (await self._listed("--no-walk", commit))[0]

    async def changes(self, branch: str, tip: str, paths: Sequence[str], count: int) -> list[Commit]:
        """The last ``count`` commits of a branch that changed something at or below the paths, newest first.

        Of a merge, only what it brought to the branch counts. Of each commit, the one before can be read. Older
        history is fetched as far as it is needed.
        """
        async with locked(_lock(self._folder)):
            for deeper in (None, *DEEPER, None):
                found = await self._listed("--first-parent", f"--max-count={count}", tip, "--", *paths)
                cut = await self._cut(tip)
                kept = [commit for commit in found if commit.id not in cut]
                if len(kept) == count or not cut:
                    return kept
                await self._fetch([branch], f"--deepen={deeper}" if deeper else "--unshallow")
        raise AssertionError("a history that was fetched to its beginning is not cut")

    async def beside(self, branch: str, tip: str, base: str, base_tip: str) -> list[Commit]:
        """The commits of a branch that its base does not have, merges left out, newest first."""
        async with locked(_lock(self._folder)):
            for deeper in (None, *DEEPER, None):
                found = await self._listed("--no-merges", tip, f"^{base_tip}")
                cut = await self._cut(tip, base_tip)
                if not cut.intersection(commit.id for commit in found):
                    return found
                await self._fetch([branch, base], f"--deepen={deeper}" if deeper else "--unshallow")
        raise AssertionError("a history that was fetched to its beginning is not cut")

    async def contains(self, branch: str, tip: str, commit: str) -> bool:
        """Whether a commit is in a branch's history."""
        async with locked(_lock(self._folder)):
            for deeper in (None, *DEEPER, None):
                asked = await self._git("merge-base", "--is-ancestor", commit, tip, check=False)
                if asked.code == 0:
                    return True
                if not await self._cut(tip):
                    return False
                await self._fetch([branch], f"--deepen={deeper}" if deeper else "--unshallow")
        raise AssertionError("a history that was fetched to its beginning is not cut")

    async def changed(self, before: str, after: str) -> dict[str, str]:
        """The paths at which two commits differ, to the ids of what ``after`` has there: empty for nothing."""
        listed = await self._git("diff-tree", "-r", "-z", "--no-renames", before, after)
        fields = listed.stdout.decode(errors="surrogateescape").split("\0")
        ids = (head.split()[3] for head in fields[:-1:2])
        return {path: id.strip("0") and id for path, id in zip(fields[1::2], ids, strict=True)}

    async def _listed(self, *what: str) -> list[Commit]:
        listed = await self._git.text("log", "-z", "--format=%H%n%P%n%an <%ae>%n%B", *what)
        found = (entry.split("\n", 3) for entry in listed.split("\0") if entry)
        return [Commit(id, tuple(parents.split()), author, text.strip()) for id, parents, author, text in found]

    async def _cut(self, *tips: str) -> set[str]:
        """The commits below these of which we do not have the parents."""
        try:
            shallow = set((self._folder / "shallow").read_text().split())
        except FileNotFoundError:
            return set()
        listed = await self._git.text("rev-list", "--max-parents=0", *tips)
        return shallow.intersection(listed.split())


def _identity(author: Author) -> dict[str, str]:
    fields = {"NAME": author.name, "EMAIL": author.email}
    return {f"GIT_{role}_{name}": value for role in ("AUTHOR", "COMMITTER") for name, value in fields.items()}


@asynccontextmanager
async def opened(address: str, emit: Emit, forge: Kind | None = None) -> AsyncIterator[Repository]:
    """The repository at an address as git takes it, ``gitops.forge`` beside it. Nothing is asked of it yet.

    Raises LoopError when the disk refuses its copy.
    """
    folder = cache_dir() / "gitops" / hashlib.sha256(address.encode()).hexdigest()[:20]
    # an address with a password in it is on no command line either
    run = Git(folder, {f"remote.{REMOTE}.url": address, **await access.settings(address, forge)})
    async with locked(_lock(folder)):
        if not (folder / "HEAD").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            # what is rendered may be nobody else's business
            folder.mkdir(mode=0o700, exist_ok=True)
            # the user's template would bring hooks
            await run("init", "--quiet", "--bare", "--template=")
    yield Repository(address, folder, run, emit)


def _lock(folder: Path) -> Path:
    return folder.with_suffix(".lock")
