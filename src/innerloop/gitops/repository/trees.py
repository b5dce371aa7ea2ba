"""Trees of the GitOps repository, read and written by git's plumbing: no index, no work tree."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import uuid4

from innerloop.gitops.repository.git import Git, RepositoryError

FILE_MODES = ("100644", "100755")


class Entry(NamedTuple):
    mode: str
    """``100644``, ``100755``, ``120000`` (a link), ``160000`` (a submodule), ``040000`` (a folder)."""
    id: str


async def entries(git: Git, commit: str, paths: Sequence[str], *, recursive: bool = True) -> dict[str, Entry]:
    """What a commit has at or below the paths (``recursive``), or at them, by path."""
    if not paths:
        # to git, none is all
        return {}
    options = ["-r"] if recursive else []
    # git has no objections to a path that is not there
    listed = await git("ls-tree", *options, "-z", "--full-tree", commit, "--", *paths)
    found = {}
    for line in listed.stdout.split(b"\0"):
        if line:
            head, _, path = line.partition(b"\t")
            mode, _, id = head.decode().split()
            found[os.fsdecode(path)] = Entry(mode, id)
    return found


async def read(git: Git, commit: str, paths: Sequence[str]) -> dict[str, bytes]:
    """The files that a commit has at or below the paths; links and submodules are none."""
    found = await entries(git, commit, paths)
    files = {path: entry.id for path, entry in found.items() if entry.mode in FILE_MODES}
    if not files:
        return {}
    asked = "".join(f"{id}\n" for id in dict.fromkeys(files.values()))
    output = (await git("cat-file", "--batch", input=asked.encode())).stdout
    contents, at = {}, 0
    while at < len(output):
        end = output.index(b"\n", at)
        id, _, size = output[at:end].decode().split()
        contents[id] = output[end + 1 : end + 1 + int(size)]
        at = end + 1 + int(size) + 1
    return {path: contents[id] for path, id in files.items()}


def blob_id(content: bytes, like: str) -> str:
    """The id of a file's content, by the hash of the repository, of which ``like`` is an id."""
    make = hashlib.sha1 if len(like) == 40 else hashlib.sha256
    return make(b"blob %d\0" % len(content) + content).hexdigest()


async def written(git: Git, address: str, parent: str, removed: Sequence[str], files: Mapping[str, bytes]) -> str:
    """The tree of ``parent`` without what is removed, and with the files. Raises RepositoryError, see Repository."""
    await _refuse_what_is_in_the_way(git, address, parent, [*removed, *files])
    draft = f"refs/innerloop/draft/{uuid4().hex}"
    stream = [
        f"commit {draft}\ncommitter innerloop <> 0 +0000\ndata 0\nfrom {parent}\n".encode(),
        *(b"D %s\n" % _quoted(path) for path in removed),
    ]
    for path, content in sorted(files.items()):
        stream.append(b"M 100644 inline %s\ndata %d\n%s\n" % (_quoted(path), len(content), content))
    try:
        await git("fast-import", "--quiet", "--done", input=b"".join([*stream, b"done\n"]))
        await _refuse_filters(git, address, draft, files)
        return await git.text("rev-parse", "--verify", f"{draft}^{{tree}}")
    finally:
        await git("update-ref", "-d", draft, check=False)


async def _refuse_what_is_in_the_way(git: Git, address: str, parent: str, paths: Sequence[str]) -> None:
    """A file where we need a folder, and what is no file of ours at all, must not go by our commit."""
    above = {path[:at] for path in paths for at, letter in enumerate(path) if letter == "/"}
    for path, entry in (await entries(git, parent, sorted(above), recursive=False)).items():
        # asked for a folder and what is above it, git shows what is in it
        if path in above and entry.mode != "040000":
            what = "a submodule" if entry.mode == "160000" else "a file"
            raise RepositoryError(
                f"{path} is {what} in the GitOps repository {address}, where a folder is needed",
                hint="remove it there, or choose another `gitops.layout`",
            )
    for path, entry in (await entries(git, parent, paths)).items():
        if entry.mode not in FILE_MODES:
            what = "a submodule" if entry.mode == "160000" else "a link"
            raise RepositoryError(
                f"{path} is {what} in the GitOps repository {address}, among what innerloop renders",
                hint="remove it there: what is rendered would take its place",
            )


async def _refuse_filters(git: Git, address: str, commit: str, files: Mapping[str, bytes]) -> None:
    """What goes through a filter (git-lfs, git-crypt) by the repository's rules must not be committed without.

    Attributes of line ends do no harm: what is rendered ends its lines as git keeps text.
    """
    listed = await git("ls-tree", "-r", "-z", "--full-tree", "--name-only", commit)
    if not any(path.rpartition(b"/")[2] == b".gitattributes" for path in listed.stdout.split(b"\0")):
        return
    index = {"GIT_INDEX_FILE": str(git.folder / f"index-{uuid4().hex}")}
    try:
        await git("read-tree", commit, env=index)
        asked = b"".join(os.fsencode(path) + b"\0" for path in files)
        told = await git("check-attr", "--cached", "--stdin", "-z", "filter", input=asked, env=index)
    finally:
        for leftover in (index["GIT_INDEX_FILE"], index["GIT_INDEX_FILE"] + ".lock"):
            if os.path.exists(leftover):
                os.unlink(leftover)
    fields = told.stdout.split(b"\0")
    for path, value in zip(fields[::3], fields[2::3], strict=False):
        if value not in (b"unspecified", b"unset"):
            raise RepositoryError(
                f"the .gitattributes of {address} puts {os.fsdecode(path)} through the filter {value.decode()}",
                detail="Flux and Argo CD have to see what is rendered as it is.",
                hint=f"add the line `{os.fsdecode(path).rpartition('/')[0] or '.'}/** -filter` at its end",
            )


def _quoted(path: str) -> bytes:
    """A path as fast-import reads it."""
    name = os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + name + b'"'
