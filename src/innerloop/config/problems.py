"""Several errors of one file, told together."""

from __future__ import annotations

from collections.abc import Iterable

from innerloop.errors import Location, LoopError


class Problems:
    """Collects what is wrong while reading goes on."""

    def __init__(self) -> None:
        self._errors: list[LoopError] = []

    def __len__(self) -> int:
        return len(self._errors)

    def add(self, message: str, where: Location, *, hint: str | None = None) -> None:
        self._errors.append(LoopError(message, where=where, hint=hint))

    def append(self, error: LoopError) -> None:
        self._errors.append(error)

    def check(self) -> None:
        """Raise LoopError when there is any: the error itself, or one that lists them in the file's order."""
        if not self._errors:
            return
        if len(self._errors) == 1:
            raise self._errors[0]
        errors = sorted(self._errors, key=lambda error: error.where or Location(""))
        files = sorted({error.where.file for error in errors if error.where})
        raise LoopError(
            f"{len(errors)} problems in {' and '.join(files)}",
            detail="\n".join(str(error) + (f" ({error.hint})" if error.hint else "") for error in errors),
        )


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """A hint for a mistyped word: the nearest known one, else all of them; None where nothing is known."""
    # only an error needs it
    import difflib

    names = list(known)
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(names)}" if names else None
