"""No value in the GitOps repository that is meant for few: Secrets in plain text, private keys in ConfigMaps.

Nothing here ever tells a value, only the names of keys.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from innerloop.gitops.gates.findings import Finding
from innerloop.gitops.gates.parts import mapping, mappings
from innerloop.manifest import Manifest

_REFERENCES = (
    # argocd-vault-plugin 1.18: <path:KEY#FIELD>, and <FIELD> where an annotation names the path
    re.compile(r"<path:[^<>\s]+>"),
    # vals, helm-secrets: ref+vault://…, ref+awssecrets://…
    re.compile(r"ref\+[a-z0-9]+://\S+"),
    # the webhook of bank-vaults: vault:secret/data/shop#PASSWORD, >>vault:… for one that is read at every start
    re.compile(r"(>>)?vault:[^\s#]+#\S+"),
    # Flux 2, postBuild.substituteFrom: nothing but variables
    re.compile(r"(\$\{[A-Za-z_][A-Za-z0-9_]*\})+"),
    # 1Password, Berglas
    re.compile(r"op://\S+"),
    re.compile(r"(berglas|sm)://\S+"),
)
_PLACEHOLDER = re.compile(r"<[A-Za-z_][\w.-]*(\s*\|[^<>]*)?>")
_PLACEHOLDER_PATH = "avp.kubernetes.io/path"
_ENCRYPTED = re.compile(r"ENC\[[A-Z0-9_]+,data:.*\]", re.DOTALL)
_ENCRYPTED_FILE = re.compile(r'^\s*"?sops(_mac|_version)?"?\s*[:=]', re.MULTILINE)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----|AGE-SECRET-KEY-1[A-Z0-9]+|PuTTY-User-Key-File"
)

_SHORTEST = 4
"""Characters of a value that is masked in a text; shorter ones are in every word."""

HINT = (
    "encrypt it (SOPS, SealedSecret), refer to it (ExternalSecret, a reference of your injector), "
    "or let the cluster have it by another way"
)


def findings(manifests: Iterable[Manifest]) -> Iterator[Finding]:
    """One for each Secret that has a readable value, wherever an object carries it, and for each key in a ConfigMap."""
    for manifest in manifests:
        for secret in secrets_in(manifest.object):
            if keys := readable_keys(secret):
                inside = "" if secret is manifest.object else f" (in {manifest.key})"
                name = f"Secret/{_name(secret)}" if secret is not manifest.object else str(manifest.key)
                message = f"anyone who reads the repository can read {listed(keys)}{inside}"
                yield Finding("plain-secret", name, message, manifest.source, HINT)
        if manifest.kind == "ConfigMap" and (keys := _private_keys(manifest.object)):
            message = f"a private key is in {listed(keys)}"
            yield Finding("plain-secret", str(manifest.key), message, manifest.source, f"make it a Secret, then {HINT}")


def readable_keys(secret: dict[str, Any]) -> list[str]:
    """Names of the values of a Secret that are neither empty, nor encrypted, nor references to where they are kept."""
    encrypted = isinstance(secret.get("sops"), dict)
    annotations = mapping(secret, "metadata", "annotations")
    found = []
    for field, decoded in (("data", True), ("stringData", False)):
        values = secret.get(field)
        if values is None or values == "":
            continue
        if not isinstance(values, dict):
            found.append(field)
            continue
        for key, value in values.items():
            text = value if isinstance(value, str) else "" if value is None else str(value)
            if encrypted and (not text or _ENCRYPTED.fullmatch(text)):
                continue
            texts = [text, _decoded(text)] if decoded else [text]
            if not any(_harmless(one, annotations) for one in texts):
                found.append(f"{field}.{key}")
    return found


def masked(text: str, objects: Any) -> str:
    """A text about objects without the values of the Secrets among them: what a rule of someone else says."""
    values: set[str] = set()
    for secret in secrets_in(objects):
        for field in ("data", "stringData"):
            for value in mapping(secret, field).values():
                for plain in (str(value), _decoded(str(value)) or ""):
                    # as it is, and as a rule prints a whole object
                    values |= {plain, json.dumps(plain, ensure_ascii=False)[1:-1]}
    # the longest first: one may be a part of another
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SHORTEST:
            text = text.replace(value, "•••")
    return text


def has_private_key(text: str) -> bool:
    """Whether text is plainly a private key, or has one in it."""
    return _PRIVATE_KEY.search(text) is not None


def is_encrypted_file(text: str) -> bool:
    """Whether a text is a file that SOPS encrypted; Flux decrypts those that a generator put into a Secret."""
    return "ENC[AES256_GCM,data:" in text and _ENCRYPTED_FILE.search(text) is not None


def is_encrypted(obj: dict[str, Any]) -> bool:
    """Whether SOPS encrypted the object: it has a field that no Kubernetes API knows, and values that are no base64."""
    return isinstance(obj.get("sops"), dict)


def _harmless(text: str | None, annotations: dict[str, Any]) -> bool:
    if text is None:
        return False
    text = text.strip()
    if not text or is_encrypted_file(text) or any(pattern.fullmatch(text) for pattern in _REFERENCES):
        return True
    return _PLACEHOLDER_PATH in annotations and _PLACEHOLDER.fullmatch(text) is not None


def secrets_in(node: Any) -> Iterator[dict[str, Any]]:
    """The Secrets that an object is or carries: in a list, in a template of something that makes them."""
    if isinstance(node, list):
        for item in node:
            yield from secrets_in(item)
    if not isinstance(node, dict):
        return
    if (
        node.get("kind") == "Secret"
        and node.get("apiVersion", "v1") == "v1"
        and ("data" in node or "stringData" in node)
    ):
        yield node
        return
    if node.get("kind") == "SecretList":
        # items of such a list need not repeat their kind
        yield from mappings(node.get("items"))
        return
    for value in node.values():
        yield from secrets_in(value)


def _private_keys(config_map: dict[str, Any]) -> list[str]:
    found = []
    for field, decoded in (("data", False), ("binaryData", True)):
        for key, value in mapping(config_map, field).items():
            text = value if isinstance(value, str) else ""
            if has_private_key((_decoded(text) or "") if decoded else text):
                found.append(f"{field}.{key}")
    return found


def _decoded(text: str) -> str | None:
    """What base64 stands for, None where it is none."""
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode(errors="replace")
    except ValueError:
        return None


def _name(secret: dict[str, Any]) -> str:
    return str(mapping(secret, "metadata").get("name", ""))


def listed(keys: list[str]) -> str:
    shown = ", ".join(keys[:5])
    return shown if len(keys) <= 5 else f"{shown} and {len(keys) - 5} more"
