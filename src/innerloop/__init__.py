"""innerloop: from source to running on Kubernetes, in step with every save.

The public surface for plugins is what this module exports; everything below is private to the project.
"""

__version__ = "0.1.0"
