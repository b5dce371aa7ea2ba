"""No image that can become another one without a commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from innerloop import references
from innerloop.gitops.gates.findings import Finding
from innerloop.manifest import Manifest
from innerloop.render.images import image_references

_LOCK = "`loop build --push --lock` writes it down"


def findings(manifests: Iterable[Manifest], locked: Mapping[str, str]) -> Iterator[Finding]:
    """One for each reference of an object that has no digest; ``locked`` are full references by repository."""
    told: set[tuple[int, str]] = set()
    known = {references.repository(name): reference for name, reference in locked.items()}
    for use in image_references(manifests):
        parsed = references.parse(use.reference)
        if (parsed and parsed.digest) or (id(use.manifest), use.reference) in told:
            continue
        told.add((id(use.manifest), use.reference))
        if parsed is None:
            message, hint = f"'{use.reference}' is no reference of an image", "mend it in the template"
        else:
            tag = "" if parsed.tag else ", not even a tag"
            message = f"image {use.reference} has no digest{tag}: what runs can change without a commit"
            lock = references.parse(known.get(parsed.repository, ""))
            has = f"the lock has {lock.digest}: render again with it" if lock and lock.digest else f"{_LOCK}"
            hint = f"{has}, or write …@sha256:… into the template"
        yield Finding("mutable-tag", str(use.manifest.key), message, use.manifest.source, hint)
