"""A GitHub of one's own: git and the API at one address, with one log-in for both."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from tests.gitops.forge.github import GitHub
from tests.gitops.forge.repository import Pull, Repository, Style
from tests.gitops.forge.server import TOKEN, Forge
from tests.gitops.git_http import GitServer
from tests.gitops.remote import Remote


class Hosted:
    """A repository of the server: its commits, and what its API knows."""

    def __init__(self, path: str, root: Path) -> None:
        self.path = path
        self.remote = Remote(root / f"{path}.git")
        self.api = Repository(path, head_of=self._head_of, merge_commit=self._merged)
        self.forge = Forge(GitHub(self.api))

    @property
    def url(self) -> str:
        """What is cloned."""
        return f"{self.forge.url}/{self.path}.git"

    @property
    def pulls(self) -> list[Pull]:
        return self.api.pulls

    def merge(self, style: Style = "squash") -> str:
        """Someone merges the last pull request, and its branch is deleted; returns the commit on the base."""
        pull = self.pulls[-1]
        commit = self.api.merge(pull.number, style)
        self.remote.delete(pull.head)
        return commit

    def status(self, commit: str, context: str) -> tuple[str, str]:
        """The last status of a commit: its state and its words; empty where there is none."""
        found = [(one.state, one.description) for one in self.api.statuses.get(commit, []) if one.context == context]
        return found[-1] if found else ("", "")

    def _head_of(self, branch: str) -> str:
        tip = self.remote.tip(branch)
        if tip is None:
            raise KeyError(branch)
        return tip

    def _merged(self, pull: Pull, style: Style) -> str:
        return (self.remote.squash if style == "squash" else self.remote.merge)(pull.head, pull.base)


@asynccontextmanager
async def serving(root: Path, *paths: str) -> AsyncIterator[list[Hosted]]:
    """Repositories by ``OWNER/NAME``; git takes the token as a password."""
    hosted = [Hosted(path, root) for path in paths]
    git = GitServer(root)
    git.accepted = {TOKEN}
    app = web.Application(client_max_size=64 << 20)
    for one in hosted:
        for route in one.forge.speaker.routes():
            path = route.path.replace("{owner}/{name}", one.path)
            app.router.add_route(route.method, path, functools.partial(one.forge.answer, handler=route.handler))
    app.router.add_route("*", "/{path:.*}", git.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        for one in hosted:
            one.forge.url = site.name
        yield hosted
    finally:
        await runner.cleanup()
