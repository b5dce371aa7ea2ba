"""Profiles: named patches of the file, chosen by flag or by where the project runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from innerloop.config import format, nodes
from innerloop.config.problems import suggestion
from innerloop.errors import LoopError


def active(profiles: Mapping[str, format.Profile], chosen: Iterable[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Names in the order of application: those whose ``when`` fits, then the chosen ones, which win.

    ``values`` has the variables, the built-in ones too. Raises LoopError for a chosen name that does not exist.
    """
    explicit = list(dict.fromkeys(chosen))
    for name in explicit:
        if name not in profiles:
            hint = suggestion(name, profiles) or "loop.yaml has no profiles"
            raise LoopError(f"no profile '{name}'", hint=hint)
    automatic = [name for name, profile in profiles.items() if profile.when and _fits(profile.when, values)]
    return (*(name for name in automatic if name not in explicit), *explicit)


def apply(tree: nodes.Mapping, names: Iterable[str]) -> nodes.Mapping:
    """The file with the patches of these profiles merged over it."""
    merged = tree
    patches = tree.get("profiles")
    for name in names:
        patch = patches.get(name) if isinstance(patches, nodes.Mapping) else None
        if isinstance(patch, nodes.Mapping):
            entries = {key: entry for key, entry in patch.entries.items() if key != "when"}
            merged = nodes.merge(merged, nodes.Mapping(entries, patch.where))
    return merged


def _fits(when: format.When, values: Mapping[str, str]) -> bool:
    wanted = {**when.variable}
    if when.context is not None:
        wanted["LOOP_CONTEXT"] = when.context
    if when.namespace is not None:
        wanted["LOOP_NAMESPACE"] = when.namespace
    return bool(wanted) and all(fnmatchcase(values.get(name, ""), glob) for name, glob in wanted.items())
