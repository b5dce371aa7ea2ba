"""The images that an environment runs, put into the manifests of the next one: promotion moves digests, not tags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from innerloop.gitops.environments.rendering import Rendered
from innerloop.references import repository
from innerloop.render.images import image_references, replace_images


def with_images(rendered: Rendered, images: Mapping[str, str]) -> Rendered:
    """With each image as it runs elsewhere (repository to reference).

    A repository that is used with several tags at once stays as it is: of those, provenance knows one only.
    """
    used = Counter(repository(text) for text in {use.reference for use in image_references(rendered.manifests)})
    known = {name: reference for name, reference in images.items() if used[name] == 1}
    manifests = tuple(replace_images(rendered.manifests, known))
    now = {repository(use.reference): use.reference for use in image_references(manifests)}
    provenance = msgspec.structs.replace(rendered.provenance, images=dict(sorted(now.items())))
    return rendered._replace(manifests=manifests, provenance=provenance)
