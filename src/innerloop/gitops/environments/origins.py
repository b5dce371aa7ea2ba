"""What an environment's manifests were made from, put together."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from innerloop.config.variables import BUILT_IN
from innerloop.gitops.environments.templates import relative
from innerloop.gitops.provenance import Provenance, SourceCommit
from innerloop.manifest import Manifest
from innerloop.project import Environment, Project
from innerloop.references import repository
from innerloop.render.images import image_references


class Made(NamedTuple):
    """A render and what took part in it."""

    project: Project
    environment: Environment
    manifests: tuple[Manifest, ...]
    templates: dict[str, bytes]
    engines: dict[str, str]


def provenance_of(made: Made, commit: SourceCommit) -> Provenance:
    """The provenance of a render; its ``files`` are left to the layout."""
    images = {repository(use.reference): use.reference for use in image_references(made.manifests)}
    return Provenance(
        project=made.project.name,
        environment=made.environment.name,
        source=commit,
        images=dict(sorted(images.items())),
        engines=made.engines,
        inputs=_inputs(made, images),
    )


def _inputs(made: Made, images: dict[str, str]) -> str:
    """The same on every machine that renders the same: paths count from the project's folder."""
    project = made.project

    def encode(value: Any) -> str:
        return relative(value, project.folder) if isinstance(value, Path) else str(value)

    facts = {
        "name": project.name,
        "manifests": project.manifests,
        "variables": {name: one.value for name, one in project.variables.items() if name not in BUILT_IN},
        "namespace": project.namespace,
        "labels": made.environment.labels,
        "engines": made.engines,
        "images": images,
        "templates": {name: hashlib.sha256(content).hexdigest() for name, content in made.templates.items()},
        "plugins": {relative(file, project.folder): file.read_text() for file in project.plugins},
    }
    encoded = msgspec.json.encode(facts, enc_hook=encode, order="deterministic").decode()
    # charts and patterns are text with the absolute path in it
    portable = encoded.replace(msgspec.json.encode(str(project.folder)).decode()[1:-1], "")
    return hashlib.sha256(portable.encode()).hexdigest()
