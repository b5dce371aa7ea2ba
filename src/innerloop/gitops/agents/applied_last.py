"""Whether an object has what a client-side apply last asked for: Argo CD's default way, which notes that on it."""

from __future__ import annotations

from typing import Any

import msgspec

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


def has_what_was_applied(object: dict[str, Any]) -> bool:
    """True too for what was applied in another way, and so tells nothing.

    Values that the server writes in another form (``1000m`` of a CPU) count as different.
    """
    text = (object["metadata"].get("annotations") or {}).get(ANNOTATION, "")
    try:
        wanted = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return True
    return covers(object, wanted)


def covers(value: Any, wanted: Any) -> bool:
    """Whether ``value`` has everything that ``wanted`` has; entries of lists are known by their names."""
    if value is None:
        # what is empty, the server leaves out
        return not wanted
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(covers(value.get(key), one) for key, one in wanted.items())
    if isinstance(wanted, list) and isinstance(value, list):
        names = [one.get("name") if isinstance(one, dict) else None for one in wanted]
        if None in names:
            return len(value) == len(wanted) and all(map(covers, value, wanted))
        by_name = {one.get("name"): one for one in value if isinstance(one, dict)}
        return all(covers(by_name.get(name), one) for name, one in zip(names, wanted, strict=True))
    return bool(value == wanted)
