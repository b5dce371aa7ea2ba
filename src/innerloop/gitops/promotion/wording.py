"""The texts of a promotion: of its commit, and of its pull request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from innerloop.gitops.differences.differences import Difference
from innerloop.gitops.differences.markdown import counted, details
from innerloop.gitops.forges import azure, bitbucket, gitea, github, gitlab
from innerloop.gitops.forges.forge import Forge
from innerloop.gitops.gates.findings import Finding
from innerloop.gitops.promotion import marks
from innerloop.gitops.promotion.planning import Plan, Wanted
from innerloop.gitops.provenance import FILE, Provenance
from innerloop.gitops.repository.trees import blob_id

LIMITS = {
    "GitHub": github.BODY,
    "GitLab": gitlab.BODY,
    "Azure DevOps": azure.BODY,
    "Gitea": gitea.BODY,
    "Bitbucket": bitbucket.BODY,
}
"""Longest texts of pull requests by forge."""
LONGEST = 60_000
"""Where more could be said, nobody would read it."""
IMAGES = 10
"""Images that are shown."""
SHORT = 12
"""Letters of a commit's id that people see."""


def promotion_title(provenance: Provenance) -> str:
    source = provenance.source
    what = source.subject or (source.commit[:SHORT] if source.commit else "")
    return f"Promote {provenance.project} to {provenance.environment}" + (f": {what}" if what else "")


def commit_message(wanted: Wanted, plan: Plan, parent: str) -> str:
    """Of the commit on ``parent``. Without a diff: the commit has it."""
    provenance = wanted.provenance
    subject = wanted.title if len(wanted.title) <= 72 else wanted.title[:71].rstrip() + "…"
    change = {path: blob_id(content, parent) for path, content in plan.written.items()}
    change |= dict.fromkeys(plan.removed, "")
    return marks.message(subject, f"{_capital(counted(plan.differences))}.", provenance, change)


def pull_request_body(wanted: Wanted, plan: Plan, forge: Forge) -> str:
    """What matters most comes first, since a forge may cut the end. The same plan gives the same text."""
    limit = min(LIMITS.get(forge.name, LONGEST), LONGEST)
    head = "\n\n".join(filter(None, [wanted.introduction, _facts(wanted.provenance), wanted.notes, _unreadable(plan)]))
    heading = f"### {_capital(counted(plan.differences))}"
    left = max(limit - len(head) - len(heading) - 100, 0)
    return "\n\n".join(filter(None, [head, heading, _shown(plan.differences, left)])) + "\n"


def exemptions(found: Iterable[Finding]) -> str:
    """What gates found and let through, with the reasons; empty where that is nothing."""
    lines = [
        f"- {code(one.gate)}{f' {code(one.object)}' if one.object else ''}: {plain(one.message)}. {plain(one.allowed)}"
        for one in found
        if one.allowed
    ]
    return "\n".join(["**Let through by `gitops.allow`:**", "", *lines]) if lines else ""


def code(text: str) -> str:
    """Text in which nothing is a mark, a mention or a link."""
    return f"<code>{escape(' '.join(text.split()), quote=False)}</code>"


def plain(text: str) -> str:
    return escape(" ".join(text.split()), quote=False)


def _facts(provenance: Provenance) -> str:
    source = provenance.source
    rows = []
    if source.commit:
        said = f"{code(source.commit[:SHORT])} {code(source.subject)}" if source.subject else code(source.commit)
        rows.append(("source", f"{said}, {code(source.author)}" if source.author else said))
    if source.repository:
        rows.append(("repository", code(source.repository)))
    if not source.clean:
        rows.append(("uncommitted", "**rendered files had changes that no commit has**"))
    images = [code(one) for one in provenance.images.values()]
    if len(images) > IMAGES:
        images[IMAGES:] = [f"and {len(images) - IMAGES} more, in {code(FILE)}"]
    rows += [("image" if number == 0 else "", one) for number, one in enumerate(images)]
    engines = ", ".join(f"{name} {version}" for name, version in sorted(provenance.engines.items()))
    if engines:
        rows.append(("rendered by", code(engines)))
    lines = [f"| {name} | {value.replace('|', '&#124;')} |" for name, value in rows]
    return "\n".join(["| | |", "|---|---|", *lines])


def _unreadable(plan: Plan) -> str:
    if not plan.unreadable:
        return ""
    return "Replaced, and not compared since they cannot be read: " + ", ".join(map(code, plan.unreadable))


def _shown(differences: Sequence[Difference], limit: int) -> str:
    if not differences:
        return "The objects stay as they are; only their files, or what is known of them, change."
    return details(differences, limit=limit)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
