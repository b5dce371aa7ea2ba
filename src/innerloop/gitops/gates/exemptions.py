"""What ``gitops.allow`` lets through, and which of its entries have become useless."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from innerloop.gitops.gates.findings import Finding
from innerloop.project import Exemption


class Exempted(NamedTuple):
    findings: list[Finding]
    """All of them, those that an exemption lets through with its reason in ``allowed``."""
    stale: list[int]
    """Indices of the exemptions that fit none."""


def exempt(findings: Iterable[Finding], allow: Sequence[Exemption]) -> Exempted:
    """Of several exemptions that fit, the first one's reason counts, and none of them is stale."""
    used: set[int] = set()
    seen: list[Finding] = []
    for finding in findings:
        fitting = [number for number, exemption in enumerate(allow) if _fits(exemption, finding)]
        used.update(fitting)
        seen.append(finding._replace(allowed=allow[fitting[0]].reason) if fitting else finding)
    return Exempted(seen, [number for number in range(len(allow)) if number not in used])


def _fits(exemption: Exemption, finding: Finding) -> bool:
    return exemption.gate == finding.gate and fnmatchcase(finding.object, exemption.object)
