"""All guesses for a change, the likely ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from innerloop.gitops.harvest import scalars, structures
from innerloop.gitops.harvest.changes import Change
from innerloop.gitops.harvest.fields import ABSENT
from innerloop.gitops.harvest.guesses import Filled, Guess
from innerloop.gitops.harvest.sources import Kind, SourceFile
from innerloop.project import Project


def guesses(change: Change, files: Iterable[SourceFile], read: Callable[[Path], str], project: Project) -> list[Guess]:
    """Edits that may make the change; ``read`` gives a file's present text.

    They are no more than guesses from the values: only rendering with one tells whether it is the place.
    """
    texts = {file: read(file.path) for file in files}
    found = [one for file, text in texts.items() for one in _in(change, file, text, project)]
    originals = {file.path: text for file, text in texts.items()}
    ranked = sorted(found, key=lambda one: one.rank)
    different = {(one.file, one.text): one for one in reversed(ranked) if one.text != originals[one.file]}
    return sorted(different.values(), key=lambda one: one.rank)


def _in(change: Change, file: SourceFile, text: str, project: Project) -> Iterator[Guess]:
    is_scalar = ABSENT not in (change.old, change.new)
    if file.kind is Kind.VARIABLES:
        yield from scalars.in_variables(change, file, text) if is_scalar else ()
    elif file.kind is Kind.TEMPLATE:
        if is_scalar:
            yield from scalars.in_template(change, file, text)
        elif change.old is ABSENT:
            yield from structures.in_template(change, file, text)
    else:
        filled = Filled(file, text, project)
        if is_scalar:
            yield from scalars.in_yaml(change, filled)
        elif change.old is ABSENT:
            yield from structures.additions(change, filled)
        else:
            yield from structures.removals(change, filled)
