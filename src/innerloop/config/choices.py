"""The context and namespace that the user chose for a project, kept in its ignored state folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from innerloop.errors import Location, LoopError
from innerloop.paths import PROJECT_STATE, project_state
from innerloop.storage import write_whole

FILE = "choices.json"


class Choices(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Empty is not chosen."""

    context: str = ""
    namespace: str = ""


def read(folder: Path) -> Choices:
    """What was chosen for the project in ``folder``."""
    file = folder / PROJECT_STATE / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Choices)
    except FileNotFoundError:
        return Choices()
    except (msgspec.DecodeError, OSError) as error:
        hint = "remove the file and choose again with 'loop use'"
        raise LoopError("cannot be read", where=Location(str(file)), detail=str(error), hint=hint) from error


def write(folder: Path, choices: Choices) -> None:
    """Keep the choices; the file is replaced as a whole."""
    content = msgspec.json.format(msgspec.json.encode(choices), indent=2)
    write_whole(project_state(folder) / FILE, content + b"\n")
