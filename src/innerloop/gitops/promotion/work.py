"""Where a promotion works, and in whose name."""

from __future__ import annotations

from typing import NamedTuple

from innerloop.events import Emit
from innerloop.gitops.forges.forge import Forge
from innerloop.gitops.places.layouts import Place
from innerloop.gitops.progress.source_history import History
from innerloop.gitops.repository.repository import Author, Repository
from innerloop.project import GitOps


class Work(NamedTuple):
    repository: Repository
    forge: Forge
    place: Place
    gitops: GitOps
    author: Author
    emit: Emit
    history: History
    """Of the project's clone."""
