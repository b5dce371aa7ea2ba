"""The marks on our commits in the GitOps repository: trailers that join them with what they were made from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from innerloop import __version__
from innerloop.gitops.provenance import Provenance

RENDERED_BY = "Rendered-By"
CHANGE = "Rendered-Change"
_LINE = re.compile(r"(?P<name>[A-Za-z-]+): (?P<value>.+)")


def digest(change: Mapping[str, str]) -> str:
    """A hash of what a commit changes: paths to the ids of the new contents, empty for what it removes.

    It stays the same when a forge puts the commit on a newer base, and not when somebody amends it.
    """
    lines = "".join(f"{id} {path}\n" for path, id in sorted(change.items()))
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()


def message(subject: str, body: str, provenance: Provenance, change: Mapping[str, str]) -> str:
    """The message of a commit that changes this, see ``digest``.

    Its last paragraph is for programs: ``git interpret-trailers --parse`` reads it.
    """
    others = sorted((name, version) for name, version in provenance.engines.items() if name != "innerloop")
    engines = ", ".join(f"{name} {version}" for name, version in others)
    renderer = f"innerloop {provenance.engines.get('innerloop', __version__)}"
    trailers = [
        ("Project", provenance.project),
        ("Environment", provenance.environment),
        ("Source-Repository", provenance.source.repository),
        ("Source-Commit", provenance.source.commit),
        *(("Image", reference) for reference in provenance.images.values()),
        ("Rolled-Back", provenance.rolled_back),
        (RENDERED_BY, f"{renderer} ({engines})" if engines else renderer),
        (CHANGE, digest(change)),
    ]
    lines = "\n".join(f"{name}: {value}" for name, value in trailers if value)
    return "\n\n".join(filter(None, [" ".join(subject.split()), body.strip(), lines])) + "\n"


def trailers(text: str) -> dict[str, list[str]]:
    """Those of a commit's message, by name; the last paragraph has them."""
    found: dict[str, list[str]] = {}
    for line in text.rstrip().rpartition("\n\n")[2].splitlines():
        if match := _LINE.fullmatch(line):
            found.setdefault(match["name"], []).append(match["value"])
    return found


def is_ours(text: str, project: str, environment: str) -> bool:
    """Whether a commit with this message was made by a promotion of the project to the environment."""
    found = trailers(text)
    return (
        found.get("Project") == [project]
        and found.get("Environment") == [environment]
        and any(value.startswith("innerloop ") for value in found.get(RENDERED_BY, []))
    )


def is_amended(text: str, change: Mapping[str, str]) -> bool:
    """Whether a commit of ours, with this message, changes something else than what we made it for."""
    return trailers(text).get(CHANGE) != [digest(change)]
