"""Rendering an environment: the renderer of the inner loop, with the environment's values and the lock's images."""

from __future__ import annotations

from typing import NamedTuple

from innerloop.gitops.provenance import Provenance
from innerloop.manifest import Manifest
from innerloop.project import Environment


class Rendered(NamedTuple):
    """An environment's low-level manifests, and what they were made from."""

    environment: Environment
    manifests: tuple[Manifest, ...]
    """Sorted by namespace, kind and name; namespaces filled in; images by digest as far as the lock has them."""
    templates: dict[str, bytes]
    """The high-level templates with the variables put in, by path relative to the project's folder."""
    provenance: Provenance
    """Its ``files`` are those of no layout yet: empty."""
