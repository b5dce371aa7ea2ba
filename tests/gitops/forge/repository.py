"""What a forge knows of one repository, whichever API it is asked by."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Style = Literal["merge", "squash"]


class Refused(Exception):
    """The forge says no; each API has words and a status of its own for it."""


class AlreadyThere(Refused):
    pass


@dataclass
class Pull:
    number: int
    head: str
    base: str
    title: str
    body: str
    author: str = "robot"
    state: Literal["open", "merged", "closed"] = "open"
    labels: list[str] = field(default_factory=list)
    reviewers: list[str] = field(default_factory=list)
    """Logins: who is asked, and who has answered."""
    reviewed: list[str] = field(default_factory=list)
    """Those of them who have."""
    comments: list[str] = field(default_factory=list)
    merge_commit: str = ""
    from_fork: bool = False
    ended_at_head: str = ""


@dataclass
class Status:
    number: int
    context: str
    state: str
    """In the words of the API that it came by."""
    description: str
    url: str


def commit_of(*what: object) -> str:
    """A commit's hash, out of nothing."""
    return hashlib.sha1("\0".join(map(str, what)).encode()).hexdigest()


class Repository:
    """Commits are made up unless ``head_of`` and ``merge`` ask a real repository for them."""

    def __init__(
        self,
        path: str = "acme/vote",
        *,
        head_of: Callable[[str], str] = commit_of,
        merge_commit: Callable[[Pull, Style], str] = commit_of,
    ) -> None:
        self.path = path
        self.head_of = head_of
        """Commit of a branch; KeyError where there is no such branch."""
        self.merge_commit = merge_commit
        """Merges a pull request's branch, and returns the commit on its base."""
        self.pulls: list[Pull] = []
        self.statuses: dict[str, list[Status]] = {}
        self.labels: list[str] = ["bug"]
        self.users = ["robot", "alice", "bob"]
        self.merges_late = False
        """Whether a merge is only seen by the second look at it, as on Azure DevOps."""
        self._merging: list[tuple[Pull, str]] = []
        self._ids = itertools.count(1)

    def pull(self, number: int) -> Pull:
        return self.pulls[number - 1]

    def open(self, head: str, base: str) -> Pull | None:
        found = (pull for pull in self.newest() if (pull.head, pull.base, pull.state) == (head, base, "open"))
        return next((pull for pull in found if not pull.from_fork), None)

    def newest(self) -> list[Pull]:
        return self.pulls[::-1]

    def add(self, head: str, base: str, title: str = "", body: str = "", *, from_fork: bool = False) -> Pull:
        """A new pull request. Raises AlreadyThere, and Refused for a branch that is not there."""
        try:
            self.head_of(head), self.head_of(base)
        except KeyError as error:
            raise Refused(f"no branch {error}") from error
        if not from_fork and (there := self.open(head, base)):
            raise AlreadyThere(f"!{there.number}")
        self.pulls.append(Pull(len(self.pulls) + 1, head, base, title, body, from_fork=from_fork))
        return self.pulls[-1]

    def merge(self, number: int, style: Style = "squash") -> str:
        """What a person does with the button; the commit on the base branch."""
        pull = self.pull(number)
        assert pull.state == "open"
        pull.ended_at_head = self.head_of(pull.head)
        commit = self.merge_commit(pull, style)
        self._merging.append((pull, commit))
        if not self.merges_late:
            self.settle()
        return commit

    def settle(self) -> None:
        """What was merged is seen to be so from now on."""
        for pull, commit in self._merging:
            pull.state, pull.merge_commit = "merged", commit
        self._merging.clear()

    def close(self, pull: Pull) -> None:
        pull.state, pull.ended_at_head = "closed", self.head_of(pull.head)

    def head_commit(self, pull: Pull) -> str:
        return pull.ended_at_head or self.head_of(pull.head)

    def of_commit(self, commit: str) -> list[Pull]:
        return [pull for pull in self.newest() if commit in (pull.merge_commit, self.head_commit(pull))]

    def ask(self, pull: Pull, reviewers: list[str]) -> None:
        """Raises Refused for who is unknown, or makes it."""
        for name in reviewers:
            if name not in self.users or name == pull.author:
                raise Refused(f"{name} can't review")
            if name not in pull.reviewers:
                pull.reviewers.append(name)
            if name in pull.reviewed:
                # asked once more
                pull.reviewed.remove(name)

    def set_status(self, commit: str, context: str, state: str, description: str, url: str) -> Status:
        made = Status(next(self._ids), context, state, description, url)
        self.statuses.setdefault(commit, []).append(made)
        return made

    def latest(self, commit: str) -> list[Status]:
        """The last of each context, newest first."""
        return list({status.context: status for status in self.statuses.get(commit, [])}.values())[::-1]
