"""All gates over an environment's manifests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from innerloop.events import Emit, Notice
from innerloop.gitops.gates import (
    custom,
    kubernetes,
    local_value,
    mutable_tag,
    namespace,
    plain_secret,
    plain_template,
    policy,
    schema,
)
from innerloop.gitops.gates.exemptions import exempt
from innerloop.gitops.gates.findings import Finding
from innerloop.gitops.gates.kubernetes import Kind, KindKey, Kubernetes
from innerloop.manifest import Manifest
from innerloop.project import GitOps, Project

if TYPE_CHECKING:
    from innerloop.gitops.environments.rendering import Rendered
    from innerloop.kube.client import Client

_ELSEWHERE = ("random", "target")
"""Gates whose findings come from the renderer and from the GitOps repository, perhaps not in this run."""


async def check(
    rendered: Rendered,
    project: Project,
    *,
    emit: Emit,
    client: Client | None = None,
    others: Iterable[Finding] = (),
) -> list[Finding]:
    """What all gates find, sorted; those whose ``allowed`` is empty stop a promotion.

    ``client`` is a cluster that knows kinds which neither Kubernetes itself nor ``gitops.schemas`` nor the render has;
    ``others`` are findings of those who know more than the manifests (the renderer, the target folder). What stops
    nothing (deprecated API versions, ``warn`` rules, stale exemptions) is told as warnings. Raises LoopError for
    policies, schemas and versions that cannot be read: a check that cannot be made is not passed.
    """
    gitops = project.gitops or GitOps(repository="")
    manifests = list(rendered.manifests)
    known = kubernetes.known(gitops.kubernetes, project.where("gitops.kubernetes"))
    kinds = await _custom_kinds(manifests, project, known, client)
    judged = policy.Judged([], [])
    if gitops.policies:
        # users' programs, which may take their time
        judged = await asyncio.to_thread(policy.judge, manifests, gitops.policies, project.where("gitops.policies"))
    found = [
        *others,
        *schema.findings(manifests, known, kinds),
        *plain_secret.findings(manifests),
        *(plain_template.findings(rendered.templates) if gitops.layout == "cluster" else ()),
        *mutable_tag.findings(manifests, rendered.provenance.images),
        *local_value.findings(manifests, project),
        *namespace.findings(manifests, {**kinds, **known.kinds}, project, rendered.environment),
        *judged.findings,
    ]
    for warning in (*schema.deprecations(manifests, known), *judged.warnings):
        emit(Notice(level="warning", message=warning))
    exempted = exempt(found, gitops.allow)
    for number in exempted.stale:
        exemption = gitops.allow[number]
        if exemption.gate not in _ELSEWHERE:
            where = project.where(f"gitops.allow.{number}")
            message = f"{where}: nothing to let through: {exemption.gate} finds no fault with {exemption.object}"
            emit(Notice(level="warning", message=message, hint="take the entry out, or mend its glob"))
    return sorted(exempted.findings, key=lambda finding: (bool(finding.allowed), *finding))


async def _custom_kinds(
    manifests: Iterable[Manifest], project: Project, known: Kubernetes, client: Client | None
) -> dict[KindKey, Kind]:
    """The kinds in use that are not Kubernetes' own, as far as anything has their schemas."""
    found = custom.from_objects(manifest.object for manifest in manifests)
    used = {(manifest.api_version, manifest.kind) for manifest in manifests}
    wanted = used - found.keys() - known.kinds.keys()
    if project.gitops and project.gitops.schemas:
        files = custom.from_files(project.gitops.schemas, wanted, project.where("gitops.schemas"))
        found = files | found
        wanted -= files.keys()
    if client is None or not wanted:
        return found
    # without a cluster, no HTTP library is loaded
    from innerloop.gitops.gates.served import from_cluster

    return found | await from_cluster(client, sorted(wanted))
