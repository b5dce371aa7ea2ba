"""Base images for machines that reach no image registry, made from distribution packages under their usual names.

``debian:12-slim`` comes from debootstrap; every other image is an ordinary Dockerfile (``recipes/``) on top of it.
What is made is kept as one OCI layout in the cache, so a new cluster only gets it pushed.
"""

from innerloop.cluster.base_images.providing import ensure

__all__ = ["ensure"]
