"""What an agent says of the commits of a repository that it follows."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec


class Kind(NamedTuple):
    """A kind of an agent's objects."""

    group: str
    versions: tuple[str, ...]
    """Of its API, newest first."""
    kind: str
    home: str
    """The namespace where they are, unless somebody wanted them elsewhere."""


Verdict = Literal["applied", "healthy", "progressing", "failed"]
"""``applied`` is all that is known where the agent does not look at health."""


class Follower(msgspec.Struct, frozen=True, kw_only=True):
    """One Kustomization of Flux or Application of Argo CD, as it was when we looked."""

    agent: Literal["Flux", "Argo CD"]
    name: str
    """``Kustomization flux-system/apps``."""
    applied: str = ""
    """The commit that the cluster has; empty before the first."""
    attempted: str = ""
    """The commit that ``verdict`` is about: newer than ``applied`` while, or because, it cannot be applied."""
    verdict: Verdict
    message: str = ""
    """For people: what it does or waits for, why it failed."""
    object: str = ""
    """``Kind/name`` of what failed, where the agent says it."""
    held: str = ""
    """Why it will not apply a new commit: suspended, synced by hand only, its source cannot be read."""
    elsewhere: bool = False
    """Whether it applies to another cluster than it runs in, so that we cannot look at the objects."""


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What could be seen of agents in a cluster."""

    followers: tuple[Follower, ...] = ()
    agents: tuple[str, ...] = ()
    """The agents that are installed."""
    hidden: tuple[str, ...] = ()
    """What we have no right to look at, for people."""
