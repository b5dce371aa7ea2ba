"""innerloop: from source to running on Kubernetes, in step with every save.

The public surface for plugins is what this module exports; everything below is private to the project.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from innerloop.errors import LoopError
    from innerloop.manifest import Manifest
    from innerloop.plugins import builder, command, hook, renderer
    from innerloop.project import Image, PluginSource, Project

__version__ = "0.1.0"

__all__ = ["Image", "LoopError", "Manifest", "PluginSource", "Project", "builder", "command", "hook", "renderer"]

_HOMES = {
    "Image": "project",
    "LoopError": "errors",
    "Manifest": "manifest",
    "PluginSource": "project",
    "Project": "project",
    "builder": "plugins",
    "command": "plugins",
    "hook": "plugins",
    "renderer": "plugins",
}


def __getattr__(name: str) -> object:
    # only a plugin asks: every command of the command line imports this module and must stay fast
    if name not in _HOMES:
        raise AttributeError(f"module 'innerloop' has no attribute '{name}'")
    return getattr(import_module(f"innerloop.{_HOMES[name]}"), name)
