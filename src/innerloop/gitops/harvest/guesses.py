"""An edit that may make a change of the rendering, and how likely it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from innerloop.config.files import shown
from innerloop.config.variables import substitute
from innerloop.errors import Location, LoopError
from innerloop.gitops.harvest import editing, fields
from innerloop.gitops.harvest.changes import Change
from innerloop.gitops.harvest.editing import Place
from innerloop.gitops.harvest.sources import Kind, SourceFile
from innerloop.project import Project

SECTIONS = ("manifests", "variables", "profiles")
"""What of loop.yaml decides what is rendered."""


class Guess(NamedTuple):
    """A file with one edit."""

    file: Path
    text: str
    """The whole file after it."""
    where: Location
    what: str
    """What is edited, for people: ``front.image``, ``TITLE``."""
    rank: tuple[int, ...]
    """The smaller, the more likely."""


class Filled(NamedTuple):
    """A file's YAML, and what variables make of it."""

    file: SourceFile
    text: str
    project: Project

    @property
    def places(self) -> list[Place]:
        found = editing.places(self.text)
        if self.file.kind is Kind.PROJECT:
            found = [place for place in found if place.path and place.path[0] in SECTIONS]
        return found

    def value(self, text: str) -> str | None:
        """A scalar with its variables, None where one is not known."""
        if not self.file.substituted or "${" not in text:
            return text
        try:
            return substitute(text, self.project.variables, Location(""))
        except LoopError:
            return None

    def plain(self, node: Any) -> Any:
        """What a node means with its variables."""
        return editing.plain(node, lambda text: self.value(text) or "")

    def literal(self, text: str) -> str:
        """Text as it has to be written, so that it is not taken for a variable."""
        return text.replace("${", "$${") if self.file.substituted else text

    def guess(self, place: Place, text: str, *, exact: bool, key: object) -> Guess:
        mark = (place.key or place.node).start_mark
        what = fields.shown(tuple(place.path)) or "the file"
        likely = (int(not exact), int(not _alike(place.path, key)), int(self.file.kind))
        return Guess(self.file.path, text, Location(shown(self.file.path), mark.line + 1), what, likely)


def is_own(filled: Filled, document: Any, change: Change) -> bool:
    """Whether a document is the manifest of a change's object, or a patch of it."""
    if filled.file.kind not in (Kind.MANIFEST, Kind.KUSTOMIZATION):
        return False
    object = filled.plain(document)
    if not isinstance(object, dict) or object.get("kind") != change.key.kind:
        return False
    metadata = object.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    # a kustomization may put something before and behind it
    return isinstance(name, str) and bool(name) and name in change.key.name


def _alike(path: tuple[str | int, ...], key: object) -> bool:
    """Whether a place is called as the field is: ``replicaCount`` for ``replicas``."""
    names = [step.lower() for step in path if isinstance(step, str)]
    wanted = str(key).lower().rstrip("s")
    return bool(names) and (wanted in names[-1] or names[-1] in wanted)
