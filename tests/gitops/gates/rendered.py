"""Objects as a renderer would hand them over, and the project that they are of."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from innerloop.config import yaml
from innerloop.events import Emit, Event
from innerloop.gitops.environments.rendering import Rendered
from innerloop.gitops.gates.checking import check
from innerloop.gitops.gates.findings import Finding
from innerloop.gitops.provenance import Provenance, SourceCommit
from innerloop.manifest import Manifest
from innerloop.project import Environment, GitOps, Model, Project

SOURCE = "deploy/chart/templates/web.yaml"
PINNED = "registry.example.com/shop/web@sha256:" + "a" * 64

DEPLOYMENT = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - name: web
          image: {PINNED}
"""


def manifests(text: str) -> list[Manifest]:
    """The objects of a YAML text."""
    return [Manifest(document, SOURCE) for document in yaml.load_all(textwrap.dedent(text), "test.yaml")]


def project(gitops: dict[str, Any] | None = None, **fields: Any) -> Project:
    """One that is promoted to a GitOps repository; ``gitops`` are fields of that."""
    target = GitOps(repository="https://git.example.com/shop.git", **(gitops or {}))
    return Project(name="shop", file=Path("/shop/loop.yaml"), folder=Path("/shop"), gitops=target, **fields)


def rendered(objects: Iterable[Manifest], images: dict[str, str] | None = None, **environment: Any) -> Rendered:
    """What an environment was rendered to, in namespace ``shop`` unless told otherwise."""
    source = SourceCommit(repository="https://git.example.com/shop.git", commit="c" * 40)
    provenance = Provenance(project="shop", environment="prod", source=source, images=images or {})
    fields = {"name": "prod", "namespace": "shop"} | environment
    return Rendered(Environment(**fields), tuple(objects), {}, provenance)


def checked(text: str, of: Project | None = None, emit: Emit = lambda _: None, **options: Any) -> list[Finding]:
    """What all gates find in a YAML text."""
    return asyncio.run(check(rendered(manifests(text), **options), of or project(), emit=emit))


def told(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Gate and object of each."""
    return [(finding.gate, finding.object) for finding in findings]


def messages(events: Iterable[Event]) -> list[str]:
    return [str(getattr(event, "message", "")) for event in events]


def replaced(model: Model, **fields: Any) -> Any:
    return msgspec.structs.replace(model, **fields)
