"""What this machine, the cluster and the project lack: the facts behind ``loop doctor``."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator

import msgspec

from innerloop.build.choosing import choose_builder
from innerloop.errors import LoopError
from innerloop.gitops.agents.finding import served
from innerloop.gitops.agents.resuming import Standing, everywhere
from innerloop.kube import discovery
from innerloop.kube.client import Client
from innerloop.kube.rights import may
from innerloop.render import programs

ANSWER_SECONDS = 10.0

RIGHTS = (("create", "apps", "deployments"), ("create", "", "configmaps"), ("create", "", "pods/portforward"))
"""What a developer needs in a namespace: verb, group, resource."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was looked at."""

    name: str
    good: bool
    told: str
    """What was found, or what is wrong."""
    detail: str = ""
    hint: str = ""
    """What mends it."""


async def examine_machine() -> list[Check]:
    """The programs that rendering, building and promoting need."""
    return [*_programs(), await _builder()]


async def examine_cluster(client: Client, namespace: str) -> list[Check]:
    """Whether the cluster answers, and allows what a developer needs in ``namespace``."""
    name = client.access.context or client.access.server
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await discovery.resources(client)
            lacking = [
                f"{verb} {resource}"
                for verb, group, resource in RIGHTS
                if not await may(client, verb, resource, group=group, namespace=namespace)
            ]
            return [
                Check(name="cluster", good=True, told=f"{name} answers"),
                _rights(namespace, lacking),
                *await _agents(client),
            ]
    except TimeoutError:
        hint = "choose another: loop use context NAME, or start one: loop cluster up"
        return [Check(name="cluster", good=False, told=f"{name} gives no answer", hint=hint)]
    except LoopError as error:
        return [failed("cluster", error)]


def failed(name: str, error: LoopError) -> Check:
    """The check that an error is the result of."""
    return Check(name=name, good=False, told=str(error), detail=error.detail or "", hint=error.hint or "")


def _programs() -> Iterator[Check]:
    git = shutil.which("git")
    hint = "" if git else "install git: https://git-scm.com/downloads"
    yield Check(name="git", good=git is not None, told=git or "it is not on PATH", hint=hint)
    looks: dict[str, Callable[[], str]] = {
        "helm": programs.helm,
        "kustomize": lambda: " ".join(programs.kustomize()),
    }
    for name, look in looks.items():
        try:
            yield Check(name=name, good=True, told=look())
        except LoopError as error:
            yield failed(name, error)


async def _builder() -> Check:
    try:
        return Check(name="builder", good=True, told=(await choose_builder(None, None)).NAME)
    except LoopError as error:
        return failed("builder", error)


def _rights(namespace: str, lacking: list[str]) -> Check:
    if not lacking:
        return Check(name="rights", good=True, told=f"you may develop in namespace {namespace}")
    hint = (
        f"choose a namespace of yours: loop use namespace NAME; or ask for the role edit: kubectl create rolebinding"
        f" NAME --clusterrole=edit --user=YOU --namespace={namespace}"
    )
    return Check(
        name="rights", good=False, told=f"in namespace {namespace} you may not {', '.join(lacking)}", hint=hint
    )


async def _agents(client: Client) -> list[Check]:
    kinds = await served(client)
    if not kinds:
        return []
    agents = " and ".join(sorted({kind.agent for kind in kinds}))
    over = [one for one in await everywhere(client) if one.over]
    if not over:
        return [Check(name="gitops", good=True, told=f"{agents}: nothing waits that nobody gives back")]
    told = "; ".join(f"{one.session.reason} by {one.session.holder}: {one.over}" for one in over)
    return [Check(name="gitops", good=False, told=f"{agents} wait for {told}", hint="loop doctor --resume")]


async def standing(client: Client, *, alive: bool) -> tuple[list[Standing], list[Standing]]:
    """The truces that are over, and those whose sessions may live; ``alive`` counts the latter as over too."""
    found = await everywhere(client)
    over = [one for one in found if alive or one.over]
    return over, [one for one in found if one not in over]
