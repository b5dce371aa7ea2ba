"""Writes src/innerloop/gitops/gates/kubernetes.jsonl from the sources of Kubernetes, version by version.

They come as Go modules by `go mod download` (15 to 20 MB for each version): ``k8s.io/kubernetes`` has the OpenAPI
documents that its API server publishes, ``k8s.io/api`` says which API versions are deprecated, removed and replaced.
For a new minor version: add it to VERSIONS, run this, look at the difference.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

OUTPUT = Path(__file__).parents[2] / "src/innerloop/gitops/gates/kubernetes.jsonl"
VERSIONS = ("1.29.6", "1.30.14", "1.31.14", "1.32.13", "1.33.13", "1.34.4", "1.35.4", "1.36.3", "1.37.2")
"""One of each minor version, in order; fields do not change between patches."""

# Go types that decode more than the type which their OpenAPI document names, or that stand for any JSON
SPECIAL: dict[str, dict[str, Any]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"format": "quantity"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"x-kubernetes-int-or-string": True},
}
ANYTHING = {"x-kubernetes-preserve-unknown-fields": True}

# removed before the oldest k8s.io/api that is read here: https://kubernetes.io/docs/reference/using-api/deprecation-guide/
GONE = {
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler"): (22, 25, "autoscaling/v2 HorizontalPodAutoscaler"),
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler"): (23, 26, "autoscaling/v2 HorizontalPodAutoscaler"),
    ("policy/v1beta1", "PodSecurityPolicy"): (21, 25, ""),
    ("extensions/v1beta1", "PodSecurityPolicy"): (11, 16, ""),
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition"): (
        16,
        22,
        "apiextensions.k8s.io/v1 CustomResourceDefinition",
    ),
    ("apiregistration.k8s.io/v1beta1", "APIService"): (19, 22, "apiregistration.k8s.io/v1 APIService"),
    ("storage.k8s.io/v1beta1", "CSIStorageCapacity"): (24, 27, "storage.k8s.io/v1 CSIStorageCapacity"),
}

REFERENCE = "#/components/schemas/"
KEPT = ("type", "required", "properties", "items", "additionalProperties", "x-kubernetes-preserve-unknown-fields")


class Version(NamedTuple):
    """What one version of Kubernetes has."""

    minor: int
    kinds: dict[tuple[str, str], tuple[bool, str]]
    """API version and kind to whether it is in namespaces, and to the name of its type."""
    types: dict[str, dict[str, Any]]


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    versions = []
    for number in VERSIONS:
        print(f"reading Kubernetes {number}", flush=True)
        with source("kubernetes", f"v{number}") as folder:
            versions.append(read(int(number.split(".")[1]), folder / "api/openapi-spec/v3"))
    with source("api", f"v0.{VERSIONS[-1].partition('.')[2]}") as folder:
        going = GONE | dict(lifecycles(folder))
    lines = [
        {"type": "versions", "first": versions[0].minor, "last": versions[-1].minor},
        *going_lines(going),
        *kind_lines(versions),
        *type_lines(versions),
    ]
    text = "".join(json.dumps(line, separators=(",", ":"), sort_keys=True) + "\n" for line in lines)
    OUTPUT.write_text(text)
    print(f"{OUTPUT.name}: {len(lines)} lines, {len(text) // 1024} KiB")


class source:
    """A module's folder, for as long as it is needed."""

    def __init__(self, module: str, version: str) -> None:
        self._name = f"k8s.io/{module}@{version}"

    def __enter__(self) -> Path:
        self._cache = tempfile.TemporaryDirectory()
        command = ["go", "mod", "download", "-modcacherw", "-json", self._name]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "GOMODCACHE": self._cache.name}, cwd="/"
        )
        answer = json.loads(done.stdout or "{}")
        if done.returncode or answer.get("Error"):
            raise SystemExit(f"{self._name}: {answer.get('Error') or done.stderr}")
        return Path(answer["Dir"])

    def __exit__(self, *_: object) -> None:
        self._cache.cleanup()


def read(minor: int, folder: Path) -> Version:
    kinds: dict[tuple[str, str], tuple[bool, str]] = {}
    schemas: dict[str, Any] = {}
    for file in sorted(folder.glob("*__v*_openapi.json")):
        document = json.loads(file.read_text())
        found = document.get("components", {}).get("schemas", {})
        schemas |= found
        # what can be created has a collection to which it is posted
        for path, operations in document["paths"].items():
            named = operations.get("post", {}).get("x-kubernetes-group-version-kind")
            if named and re.fullmatch(r"/apis?/([^{}]+/)?(namespaces/\{namespace\}/)?[^/{}]+", path):
                kinds[api_version(named), named["kind"]] = "{namespace}" in path, type_of(named, found)
    return Version(minor, kinds, trimmed(schemas, {name for _, name in kinds.values()}))


def api_version(named: dict[str, str]) -> str:
    return f"{named['group']}/{named['version']}".lstrip("/")


def type_of(named: dict[str, str], schemas: dict[str, Any]) -> str:
    return next(
        name
        for name, schema in sorted(schemas.items())
        if named in [pick(one) for one in schema.get("x-kubernetes-group-version-kind", ())]
    )


def pick(named: dict[str, str]) -> dict[str, str]:
    return {key: named[key] for key in ("group", "version", "kind")}


def trimmed(schemas: dict[str, Any], roots: set[str]) -> dict[str, dict[str, Any]]:
    """The types that the roots reach, without what does not decide whether a value fits."""
    found: dict[str, dict[str, Any]] = {}
    wanted = set(roots)
    while wanted:
        name = wanted.pop()
        found[name] = SPECIAL.get(name) or type_schema(schemas[name])
        wanted |= set(references(found[name])) - found.keys()
    return found


def type_schema(schema: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = field_schema(schema)
    if "type" not in kept or (kept["type"] == "object" and not kept.keys() & {"properties", "additionalProperties"}):
        # any JSON, or an object of some other kind
        return ANYTHING if "type" not in kept else {"type": "object", **ANYTHING}
    return kept


def field_schema(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"$ref": schema["$ref"].removeprefix(REFERENCE)}
    if len(schema.get("allOf", ())) == 1:
        return field_schema(schema["allOf"][0])
    kept = {key: schema[key] for key in KEPT if key in schema}
    if schema.get("format") == "byte":
        kept["format"] = "byte"
    if "properties" in kept:
        kept["properties"] = {
            name: type_schema(field) if "$ref" not in field_schema(field) else field_schema(field)
            for name, field in kept["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(kept.get(key), dict):
            kept[key] = field_schema(kept[key])
    return kept


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)


def lifecycles(folder: Path) -> Iterator[tuple[tuple[str, str], tuple[int, int, str]]]:
    """From the generated functions: API version and kind to deprecated since, removed in, replaced by."""
    for file in sorted(folder.glob("*/*/zz_generated.prerelease-lifecycle.go")):
        group = re.search(r'GroupName = "(.*)"', (file.parent / "register.go").read_text())
        assert group is not None, file
        text = file.read_text()
        version = api_version({"group": group[1], "version": file.parent.name})
        deprecated, removed = numbers(text, "Deprecated"), numbers(text, "Removed")
        replacements = re.findall(
            r"\(in \*(\w+)\) APILifecycleReplacement\(\).*?\{\s*return schema\.GroupVersionKind\{"
            r'Group: "(.*?)", Version: "(.*?)", Kind: "(.*?)"\}',
            text,
        )
        replaced = {kind: f"{api_version({'group': g, 'version': v})} {new}" for kind, g, v, new in replacements}
        for kind, since in deprecated.items():
            if not kind.endswith("List"):
                yield (version, kind), (since, removed.get(kind, 0), replaced.get(kind, ""))


def numbers(text: str, what: str) -> dict[str, int]:
    found = re.findall(rf"\(in \*(\w+)\) APILifecycle{what}\(\).*?\{{\s*return 1, (\d+)", text)
    return {kind: int(minor) for kind, minor in found}


def going_lines(going: dict[tuple[str, str], tuple[int, int, str]]) -> Iterator[dict[str, Any]]:
    for (api, kind), (deprecated, removed, replacement) in sorted(going.items()):
        yield {
            "type": "going",
            "api": api,
            "kind": kind,
            "deprecated": deprecated,
            "removed": removed,
            "replacement": replacement,
        }


def kind_lines(versions: list[Version]) -> Iterator[dict[str, Any]]:
    for key in sorted({key for version in versions for key in version.kinds}):
        for first, last, (namespaced, name) in spans(versions, [version.kinds.get(key) for version in versions]):
            yield {
                "type": "kind",
                "api": key[0],
                "kind": key[1],
                "first": first,
                "last": last,
                "namespaced": namespaced,
                "schema": name,
            }


def type_lines(versions: list[Version]) -> Iterator[dict[str, Any]]:
    for name in sorted({name for version in versions for name in version.types}):
        for first, last, schema in spans(versions, [version.types.get(name) for version in versions]):
            yield {"type": "type", "name": name, "first": first, "last": last, "schema": schema}


def spans(versions: list[Version], values: list[Any]) -> Iterator[tuple[int, int, Any]]:
    """Runs of equal values, with the first and the last minor version of each; None is none."""
    begun = 0
    for index in range(1, len(values) + 1):
        if index == len(values) or values[index] != values[begun]:
            if values[begun] is not None:
                yield versions[begun].minor, versions[index - 1].minor, values[begun]
            begun = index


if __name__ == "__main__":
    main()
