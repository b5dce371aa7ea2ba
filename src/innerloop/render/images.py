"""The images that manifests use, found and replaced.

An image is any string ``image`` of a container: an item of a list ``containers``, ``initContainers`` or
``ephemeralContainers``, wherever the object has one; and the ``image.reference`` of an item of ``volumes`` (image
volumes, Kubernetes 1.31). So custom resources that embed pod templates are covered without a list of kinds, and nothing
else that happens to be called ``image`` is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from innerloop.manifest import Manifest
from innerloop.references import repository

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
IMAGE_LISTS = (*CONTAINER_LISTS, "volumes")

Path = tuple[str | int, ...]
Change = Callable[[str], str]


class ImageUse(NamedTuple):
    manifest: Manifest
    path: Path
    """Keys and indices from the object to the container or volume: ``("spec", "volumes", 0)``."""
    reference: str
    """As the manifest has it."""


def image_references(manifests: Iterable[Manifest]) -> list[ImageUse]:
    """Every use of an image, in the order of the stream."""
    return [
        ImageUse(manifest, path, reference)
        for manifest in manifests
        for path, reference in _references(manifest.object, ())
    ]


def replace_images(manifests: Iterable[Manifest], built: Mapping[str, str]) -> list[Manifest]:
    """The manifests with the images that were built, by repository; tags and digests in the manifests do not count.

    Manifests that use none of them are handed on as they are, the others as copies.
    """
    references = {repository(name): reference for name, reference in built.items()}
    return change_images(manifests, lambda image: references.get(repository(image), image))


def change_images(manifests: Iterable[Manifest], change: Change) -> list[Manifest]:
    """The manifests with what ``change`` makes of each reference; copies where that is something else."""
    return [_changed(manifest, change) for manifest in manifests]


def _changed(manifest: Manifest, change: Change) -> Manifest:
    changed = _with_images(manifest.object, change)
    return manifest if changed is manifest.object else Manifest(changed, manifest.source)


def _with_images(node: Any, change: Change) -> Any:
    """The node itself where nothing in it changes, else a copy that shares what does not."""
    if isinstance(node, dict):
        changed = {
            key: _with_image_list(key, value, change) if key in IMAGE_LISTS else _with_images(value, change)
            for key, value in node.items()
        }
        return node if all(changed[key] is node[key] for key in node) else changed
    if isinstance(node, list):
        items = [_with_images(item, change) for item in node]
        return node if all(new is old for new, old in zip(items, node, strict=True)) else items
    return node


def _with_image_list(name: str, node: Any, change: Change) -> Any:
    if not isinstance(node, list):
        return _with_images(node, change)
    items = [_with_image(name, _with_images(item, change), change) for item in node]
    return node if all(new is old for new, old in zip(items, node, strict=True)) else items


def _with_image(name: str, item: Any, change: Change) -> Any:
    image = _reference(name, item)
    new = image if image is None else change(image)
    if new == image:
        return item
    return {**item, "image": {**item["image"], "reference": new} if name == "volumes" else new}


def _references(node: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in IMAGE_LISTS and isinstance(value, list):
                for index, item in enumerate(value):
                    if (reference := _reference(key, item)) is not None:
                        yield (*path, key, index), reference
            yield from _references(value, (*path, key))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _references(item, (*path, index))


def _reference(name: str, item: Any) -> str | None:
    """The image of an item of the list ``name``."""
    image = item.get("image") if isinstance(item, dict) else None
    if name == "volumes":
        image = image.get("reference") if isinstance(image, dict) else None
    return image if isinstance(image, str) else None
