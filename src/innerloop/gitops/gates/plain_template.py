"""The filled-in templates, where the layout shows them beside what was rendered.

They may hold in plain text what a hook encrypts in the rendered objects. What a chart's values mean is not known, so a
password among them is found only where it gets into a Secret.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from innerloop.config import yaml
from innerloop.errors import LoopError
from innerloop.gitops.gates.findings import Finding
from innerloop.gitops.gates.plain_secret import (
    HINT,
    has_private_key,
    is_encrypted_file,
    listed,
    readable_keys,
    secrets_in,
)

_ENDINGS = (".yaml", ".yml", ".json", "Kustomization")

Templates = Mapping[str, bytes]
"""Contents by path."""


def findings(templates: Templates) -> Iterator[Finding]:
    """One for each Secret, generator of Secrets and private key in a template; its object is ``Template/PATH``."""
    for path, content in templates.items():
        text = content.decode(errors="replace")
        told = ["it has a private key"] if has_private_key(text) else []
        if path.endswith(_ENDINGS) and ("Secret" in text or "secretGenerator" in text):
            documents = _documents(text, path)
            told += _of_secrets(documents)
            told += _of_generators(documents, posixpath.dirname(path), templates)
        for message in told:
            yield Finding("plain-secret", f"Template/{path}", f"in the templates: {message}", path, HINT)


def _documents(text: str, path: str) -> list[Any]:
    try:
        return yaml.load_all(text, path, last_wins=True)
    except LoopError:
        # with a template engine's words in it, it is no YAML yet: what it becomes is checked when it is rendered
        return []


def _of_secrets(documents: list[Any]) -> Iterator[str]:
    for secret in secrets_in(documents):
        if keys := [key for key in readable_keys(secret) if not _is_expression(secret, key)]:
            yield f"anyone who reads the repository can read {listed(keys)}"


def _is_expression(secret: dict[str, Any], key: str) -> bool:
    """Whether a template engine puts a value in."""
    field, _, name = key.partition(".")
    values = secret.get(field)
    return isinstance(values, dict) and "{{" in str(values.get(name, ""))


def _of_generators(documents: list[Any], folder: str, templates: Templates) -> Iterator[str]:
    for document in documents:
        generators = document.get("secretGenerator") if isinstance(document, dict) else None
        for generator in generators if isinstance(generators, list) else ():
            if isinstance(generator, dict) and (given := _readable_sources(generator, folder, templates)):
                yield f"the generator of Secret {generator.get('name', '')} has its values in {listed(given)}"


def _readable_sources(generator: dict[str, Any], folder: str, templates: Templates) -> list[str]:
    """``literals``, and the files that are among the templates; not those that are encrypted."""
    found = ["literals"] if generator.get("literals") else []
    named = [*(generator.get("files") or ()), *(generator.get("envs") or ()), generator.get("env")]
    for name in named:
        if isinstance(name, str):
            # KEY=PATH, or PATH
            path = posixpath.normpath(posixpath.join(folder, name.rpartition("=")[2]))
            content = templates.get(path)
            if content and not is_encrypted_file(content.decode(errors="replace")):
                found.append(path)
    return found
