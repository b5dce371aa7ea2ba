"""The owned folder in the GitOps repository: is it as the last promotion left it, and is it ours?

There is no exemption for this in ``loop.yaml``: an edit is lost once, when it is overwritten, and so the consent is
given once, by ``loop promote --overwrite-edits``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from innerloop.gitops.gates.findings import Finding
from innerloop.gitops.provenance import Provenance

OVERWRITE = "--overwrite-edits"


def edited(provenance: Provenance, files: Mapping[str, bytes]) -> list[str]:
    """The files that are not as they were rendered: changed or removed since.

    ``provenance`` is what is kept beside them, ``files`` their content by path relative to the environment's folder.
    Files that no promotion wrote are not counted: nothing overwrites what stands beside the rendered ones, and what a
    promotion wants to write where someone else's file is, is for who writes it to tell. A checkout that turned line
    ends into CRLF is no edit.
    """
    return sorted(path for path, digest in provenance.files.items() if not _is(files.get(path), digest))


def edit_findings(provenance: Provenance, files: Mapping[str, bytes], folder: str) -> Iterator[Finding]:
    """One for each file that someone edited by hand; ``folder`` is where they are in the GitOps repository."""
    for path in edited(provenance, files):
        what = "changed" if path in files else "removed"
        message = f"{what} by hand since it was rendered from {provenance.source.commit[:12] or 'uncommitted sources'}"
        hint = f"take the change over into the templates (`git log` there tells whose it is), or {OVERWRITE} to drop it"
        yield Finding("target", "", message, f"{folder}/{path}" if folder else path, hint)


def owner_findings(provenance: Provenance, project: str, environment: str, where: str) -> Iterator[Finding]:
    """One if the place belongs to another project, or to another environment of this one."""
    if provenance.project == project and provenance.environment == environment:
        return
    owner = f"{provenance.project}, environment {provenance.environment}"
    message = f"the place belongs to {owner}; its files would be removed"
    hint = "give one of the two another name, cluster or namespace; a project that was renamed: remove the file in git"
    yield Finding("target", "", message, where, hint)


def _is(content: bytes | None, digest: str) -> bool:
    if content is None:
        return False
    return digest in (_hash(content), _hash(content.replace(b"\r\n", b"\n")))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
