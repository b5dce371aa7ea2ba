"""What the API server refused, in words: which manifest, which field, and what to do."""

from __future__ import annotations

import re

from innerloop.deploy.planning import Planned
from innerloop.errors import Location, LoopError
from innerloop.kube.errors import ApiError, Conflict, Forbidden, Invalid, KubeError, NotFound
from innerloop.manifest import ObjectKey


def refusal(error: KubeError, planned: Planned) -> LoopError:
    """The error for users of an object that could not be applied."""
    where = Location(planned.source) if planned.source else None
    message, detail, hint = _words(error, planned.key)
    return LoopError(message, where=where, detail=detail, hint=hint)


def summed_up(refused: list[LoopError], total: int) -> LoopError:
    """One error for all objects of a phase that were refused; ``total`` is how many there are to apply."""
    if len(refused) == 1:
        return refused[0]
    lines = []
    for error in refused:
        lines += [str(error), *(f"  {line}" for line in (error.detail or "").splitlines())]
    hints = list(dict.fromkeys(error.hint for error in refused if error.hint))
    message = f"{len(refused)} of {total} objects were refused"
    return LoopError(message, detail="\n".join(lines), hint="; ".join(hints) or None)


def immutable_fields(error: KubeError) -> list[str]:
    """The fields that were refused because they can't be changed once the object is there; empty for all else."""
    if not isinstance(error, Invalid):
        return []
    return list(
        dict.fromkeys(
            cause.get("field", "")
            for cause in error.causes
            # the second: StatefulSets and Pods ('updates to statefulset spec for fields other than …')
            if re.search(r"immutable|updates to .* other than|may not change fields other", cause.get("message", ""))
        )
    )


def is_another_object(error: KubeError) -> bool:
    """Whether the object has another UID than was told, or is gone."""
    if isinstance(error, Conflict):
        return "uid mismatch" in error.message
    return isinstance(error, Invalid) and any(cause.get("field") == "metadata.uid" for cause in error.causes)


def is_outdated(error: KubeError) -> bool:
    """Whether somebody else changed the object since it was looked at."""
    return isinstance(error, Conflict) and not error.conflicts and not is_another_object(error)


def _words(error: KubeError, key: ObjectKey) -> tuple[str, str | None, str | None]:
    """Message, detail, hint."""
    if isinstance(error, Conflict) and error.conflicts:
        return _conflict(error, key)
    if fields := immutable_fields(error):
        again = f"kubectl delete {key.kind.lower()} {key.name}" + (f" -n {key.namespace}" if key.namespace else "")
        return (
            f"{key}: {', '.join(fields)} cannot be changed once it is there",
            _causes(error),
            f"remove it first (loop purge, or {again}), or give it another name",
        )
    if isinstance(error, Invalid) and error.causes:
        return f"{key} is invalid", _causes(error), None
    if isinstance(error, NotFound) and key.namespace and f'namespaces "{key.namespace}"' in error.message:
        hint = "add a manifest of the Namespace, or create it: only the project's own namespace is made by itself"
        return f"{key} is for namespace {key.namespace}, which does not exist", None, hint
    if isinstance(error, ApiError) and (unknown := re.search(r"(\.\S+): field not declared in schema", error.message)):
        return f"{key} has no field {unknown[1]}", None, "see the spelling and the indentation, or: kubectl explain"
    if isinstance(error, Forbidden):
        return f"no right to apply {key}", _short(error.message), error.hint
    return f"{key} was not applied", _short(error.message), error.hint


def _conflict(error: Conflict, key: ObjectKey) -> tuple[str, str, str]:
    fields = "\n".join(f"{field}  set by {manager}" for field, manager in error.conflicts)
    if all(field.endswith(".replicas") for field, _ in error.conflicts):
        hint = "leave replicas out of the manifest when an autoscaler or somebody by hand sets it"
    else:
        hint = "leave these fields out of the manifest"
    return f"{key} has fields that others set", fields, f"{hint}, or take them over with --force"


def _causes(error: KubeError) -> str | None:
    if not isinstance(error, ApiError):
        return None
    lines = [f"{cause.get('field', '')}: {_short(cause.get('message', ''))}" for cause in error.causes]
    return "\n".join(dict.fromkeys(lines)) or None


def _short(message: str) -> str:
    """Without the rejected value where it is long: a pod template fills a screen."""
    return re.sub(r'(Invalid value: )("?[{\[].{60}).*([}\]]"?): ', r"\1\2…\3: ", message, flags=re.DOTALL)
