"""What the written files have in common: head, command lines, credentials."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from innerloop import __version__
from innerloop.config.yaml_writing import dump_all
from innerloop.gitops.pipelines.description import PREVIEW_FILE, Step

PYTHON = "3.12"
TOKEN = "LOOP_FORGE_TOKEN"
"""Environment variable with the token for the GitOps repository, and for its pull requests."""
SECRET = "GITOPS_TOKEN"
"""Secret of the CI system that has it."""
INSTALL = f"python -m pip install innerloop=={__version__}"
IDENTIFIER = str.maketrans(".-", "__")
"""Environments' names to names of jobs and stages, where a system takes only letters, digits and underscores."""


def command(step: Step) -> str:
    """A step as a line for a shell."""
    line = shlex.join(("loop", *step.arguments))
    return f"{line} > {PREVIEW_FILE}" if step.is_preview else line


def written(head: Iterable[str], document: dict[str, Any]) -> str:
    """A file: comments, then the document."""
    comments = "".join(f"# {line}".rstrip() + "\n" for line in head)
    return f"{comments}\n{dump_all([document])}"


def head(title: str, *needs: str) -> list[str]:
    """The comments of a file: what it is for, and what it needs of the CI system."""
    return [
        f"{title}.",
        "Written by 'loop init --ci'. It does nothing but call loop, so a laptop can do the same.",
        *needs,
    ]
