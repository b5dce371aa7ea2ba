"""A GitOps repository as a team has it: bare, changed by other people, looked at by its branches."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

ALICE = ("Alice", "alice@example.com")
_ISOLATED = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def git(folder: Path, *arguments: str, input: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
    """What git prints, run in a folder without the machine's configuration."""
    argv = ["git", "-C", str(folder), *arguments]
    environment = {**os.environ, **_ISOLATED, **(env or {})}
    done = subprocess.run(argv, input=input, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr.decode()}"
    return done.stdout.decode(errors="surrogateescape").rstrip("\n")


class Remote:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "--template=")
        git(folder, "config", "http.receivepack", "true")

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def commit(
        self,
        files: Mapping[str, bytes | str | None],
        branch: str = "main",
        *,
        message: str = "Change something",
        author: tuple[str, str] = ALICE,
        parents: tuple[str, ...] | None = None,
    ) -> str:
        """A commit of someone else's on a branch: contents by path, None removes."""
        tip = self.tip(branch)
        parents = parents if parents is not None else ((tip,) if tip else ())
        lines = [f"commit refs/heads/{branch}", f"committer {author[0]} <{author[1]}> 1700000000 +0000"]
        lines += [f"data {len(message.encode())}", message]
        lines += [f"{'merge' if number else 'from'} {parent}" for number, parent in enumerate(parents)]
        stream = "\n".join(lines).encode() + b"\n"
        for path, content in files.items():
            if content is None:
                stream += f'D "{path}"\n'.encode()
            else:
                data = content.encode() if isinstance(content, str) else content
                stream += f'M 100644 inline "{path}"\ndata {len(data)}\n'.encode() + data + b"\n"
        git(self.folder, "fast-import", "--quiet", "--force", input=stream)
        commit = self.tip(branch)
        assert commit is not None
        return commit

    def tip(self, branch: str = "main") -> str | None:
        return git(self.folder, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}") or None

    def branches(self) -> list[str]:
        return git(self.folder, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").splitlines()

    def delete(self, branch: str) -> None:
        git(self.folder, "update-ref", "-d", f"refs/heads/{branch}")

    def files(self, commit: str = "main") -> dict[str, str]:
        """Every file of a commit or branch."""
        names = git(self.folder, "ls-tree", "-r", "-z", "--name-only", commit).split("\0")
        return {name: git(self.folder, "cat-file", "blob", f"{commit}:{name}") for name in names if name}

    def listed(self, commit: str = "main") -> str:
        """Modes, ids and paths."""
        return git(self.folder, "ls-tree", "-r", commit)

    def message(self, commit: str) -> str:
        return git(self.folder, "show", "--no-patch", "--format=%B", commit)

    def hook(self, name: str, script: str) -> None:
        """What the server runs before it takes a push."""
        file = self.folder / "hooks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def squash(self, head: str, base: str, message: str = "Squashed") -> str:
        """What the button of a forge does: the head's tree on the base, by a commit without the head's history."""
        return self._committed(base, message, self._merged_tree(head, base), [self._tip(base)])

    def merge(self, head: str, base: str) -> str:
        """The other button: a commit of two parents."""
        return self._committed(base, "Merge", self._merged_tree(head, base), [self._tip(base), self._tip(head)])

    def _tip(self, branch: str) -> str:
        tip = self.tip(branch)
        assert tip is not None, branch
        return tip

    def _merged_tree(self, head: str, base: str) -> str:
        return git(self.folder, "merge-tree", "--write-tree", self._tip(base), self._tip(head)).splitlines()[0]

    def _committed(self, branch: str, message: str, tree: str, parents: list[str]) -> str:
        identity = {"GIT_AUTHOR_NAME": "Bob", "GIT_AUTHOR_EMAIL": "bob@example.com"}
        identity |= {"GIT_COMMITTER_NAME": "Bob", "GIT_COMMITTER_EMAIL": "bob@example.com"}
        arguments = [argument for parent in parents for argument in ("-p", parent)]
        commit = git(self.folder, "commit-tree", tree, *arguments, "-m", message, env=identity)
        git(self.folder, "update-ref", f"refs/heads/{branch}", commit)
        return commit
