"""What an environment's manifests were made from, as it is kept beside them in the GitOps repository.

The file is a superset of the ``hydrator.metadata`` that Argo CD's Source Hydrator 3.5 writes and GitOps Promoter 0.36
reads (``repoURL``, ``drySha``, ``author``, ``date``, ``subject``, ``body``, ``references``); what is ours is below
``innerloop``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from innerloop.errors import Location, LoopError

FILE = "hydrator.metadata"


class SourceCommit(msgspec.Struct, frozen=True, kw_only=True):
    """The commit of the project's own repository that was rendered."""

    repository: str
    """Address of the remote, without credentials; empty where there is none."""
    commit: str
    """Full id; empty where the project is in no repository."""
    author: str = ""
    """``Name <address>``."""
    date: str = ""
    """ISO 8601."""
    subject: str = ""
    body: str = ""
    clean: bool = True
    """False: files that are rendered had changes that no commit has."""


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """What was rendered, from what, by what."""

    project: str
    environment: str
    source: SourceCommit
    images: dict[str, str] = {}
    """Repository to full reference, by digest where the lock knows it."""
    engines: dict[str, str] = {}
    """``innerloop``, ``helm``, ``kustomize`` to their versions, as far as they took part."""
    inputs: str = ""
    """A hash of all that was rendered: files, variables, engines."""
    files: dict[str, str] = {}
    """Each rendered file, relative to the environment's folder, to the SHA-256 of its content: shows edits by hand."""
    rolled_back: str = ""
    """After a rollback: the source commit that was gone back from."""


def encode(provenance: Provenance) -> bytes:
    """As the file has it: indented JSON, keys in a fixed order."""
    source = provenance.source
    document = {
        "repoURL": source.repository,
        "drySha": source.commit,
        "author": source.author,
        "date": source.date,
        "subject": source.subject,
        "body": source.body,
        "references": [],
        "innerloop": {
            "project": provenance.project,
            "environment": provenance.environment,
            "clean": source.clean,
            "images": provenance.images,
            "engines": provenance.engines,
            "inputs": provenance.inputs,
            "files": provenance.files,
            "rolledBack": provenance.rolled_back,
        },
    }
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=2) + b"\n"


class _Own(msgspec.Struct, kw_only=True, frozen=True):
    project: str
    environment: str
    clean: bool = True
    images: dict[str, str] = {}
    engines: dict[str, str] = {}
    inputs: str = ""
    files: dict[str, str] = {}
    rolledBack: str = ""


class _File(msgspec.Struct, kw_only=True, frozen=True):
    repoURL: str = ""
    drySha: str = ""
    author: str = ""
    date: str = ""
    subject: str = ""
    body: str = ""
    references: list[Any] = []
    innerloop: _Own | None = None


def decode(content: bytes, where: Location) -> Provenance | None:
    """What a file tells; None where another tool wrote it. Raises LoopError for what is no such file."""
    try:
        read = msgspec.json.decode(content, type=_File)
    except msgspec.DecodeError as error:
        raise LoopError(f"{FILE} cannot be read: {error}", where=where, hint="restore it from the history") from error
    own = read.innerloop
    if own is None:
        return None
    return Provenance(
        project=own.project,
        environment=own.environment,
        source=SourceCommit(
            repository=read.repoURL,
            commit=read.drySha,
            author=read.author,
            date=read.date,
            subject=read.subject,
            body=read.body,
            clean=own.clean,
        ),
        images=own.images,
        engines=own.engines,
        inputs=own.inputs,
        files=own.files,
        rolled_back=own.rolledBack,
    )
