"""The project's own rules: Rego files by conftest's convention.

Package ``main`` has rules ``deny``, ``violation`` and ``warn``, also with a suffix (``deny_root``); ``input`` is one
object at a time. A rule's result is a text, or a mapping with ``msg``. Each file may be written in the grammar of
Rego 1 or, as before OPA 1.0, of Rego 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from innerloop.config.files import read, shown
from innerloop.errors import Location, LoopError
from innerloop.gitops.gates.findings import Finding
from innerloop.gitops.gates.plain_secret import masked
from innerloop.manifest import Manifest

_STOPS = re.compile(r"(deny|violation)(_\w+)?")
_WARNS = re.compile(r"warn(_\w+)?")
_PLACE = re.compile(r"--> (.+):(\d+):(\d+)\n")
_MESSAGE = re.compile(r"^error: (.*)$", re.MULTILINE)
_OLD_GRAMMAR = re.compile(r"`(if|contains)` keyword is required")


class Judged(NamedTuple):
    findings: list[Finding]
    warnings: list[str]
    """What rules ``warn`` say, with the object that they say it of."""


def judge(manifests: Iterable[Manifest], folder: Path, where: Location) -> Judged:
    """What the policies of a folder say on each object; files ``*_test.rego`` are left out.

    Raises LoopError with the place in the file for a policy that is broken or fails, and when there is none.
    """
    engine = _engine(folder, where)
    judged = Judged([], [])
    for manifest in manifests:
        for rule, said in sorted(_results(engine, manifest)):
            message = masked(said, manifest.object)
            if _STOPS.fullmatch(rule):
                hint = f"by the rule {rule} in {shown(folder)}"
                judged.findings.append(Finding("policy", str(manifest.key), message, manifest.source, hint))
            else:
                judged.warnings.append(f"{manifest.source}: {manifest.key}: {message} ({rule})")
    return judged


def _engine(folder: Path, where: Location) -> Any:
    try:
        import regorus  # type: ignore[import-not-found, import-untyped, unused-ignore] # an extra, and without types
    except ImportError as error:
        raise LoopError(
            "policies are to be checked, and what evaluates them is not installed",
            where=where,
            hint="pip install 'innerloop[policies]'",
        ) from error
    files = sorted(file for file in folder.rglob("*.rego") if not file.name.endswith("_test.rego"))
    if not files:
        raise LoopError(f"{shown(folder)} has no policies (*.rego)", where=where)
    engine = regorus.Engine()
    for file in files:
        _add(engine, file)
    if "data.main" not in engine.get_packages():
        raise LoopError(f"no file in {shown(folder)} is of package main, so nothing would be checked", where=where)
    return engine


def _add(engine: Any, file: Path) -> None:
    text = read(file)
    try:
        engine.set_rego_v0(False)
        engine.add_policy(shown(file), text)
    except RuntimeError as error:
        if not _OLD_GRAMMAR.search(str(error)):
            raise _broken(error) from error
        try:
            engine.set_rego_v0(True)
            engine.add_policy(shown(file), text)
        except RuntimeError:
            raise _broken(error) from error


def _results(engine: Any, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Names of rules and what they say on an object."""
    engine.set_input_json(msgspec.json.encode(manifest.object).decode())
    try:
        answer = msgspec.json.decode(engine.eval_query_as_json("data.main"))
    except RuntimeError as error:
        raise _broken(error, manifest) from error
    for result in answer.get("result") or ():
        rules = result["expressions"][0]["value"]
        for rule, said in rules.items():
            if _STOPS.fullmatch(rule) or _WARNS.fullmatch(rule):
                yield from ((rule, message) for message in _messages(rule, said))


def _messages(rule: str, said: Any) -> Iterator[str]:
    if isinstance(said, bool):
        # a rule that is no set: whether, not what
        yield from [f"{rule} is true"] if said else []
    elif isinstance(said, list):
        for one in said:
            yield str(one["msg"]) if isinstance(one, dict) and "msg" in one else _text(one)
    elif said is not None:
        yield _text(said)


def _text(said: Any) -> str:
    return said if isinstance(said, str) else msgspec.json.encode(said).decode()


def _broken(error: RuntimeError, manifest: Manifest | None = None) -> LoopError:
    """The engine's error, which has a place, the line itself and a message; what comes after is its own stack."""
    text = str(error).partition("Stack backtrace")[0]
    place, message = _PLACE.search(text), _MESSAGE.search(text)
    doing = f"cannot judge {manifest.key}" if manifest else "is broken"
    return LoopError(
        f"the policy {doing}: {message[1] if message else text.strip()}",
        where=Location(place[1], int(place[2]), int(place[3])) if place else None,
    )
