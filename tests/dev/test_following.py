"""Logs of real pods: complete, in order, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from innerloop.dev.following import follow_logs, show_logs
from innerloop.events import Event, LogLine
from innerloop.kube import logs, objects
from innerloop.kube.access import Impersonation
from innerloop.kube.client import Client, connect
from innerloop.kube.errors import Forbidden
from innerloop.kube.execution import run
from innerloop.manifest import ObjectKey
from tests.kube import pods
from tests.kube.loopback import Relay, relayed
from tests.waiting import until

pytestmark = pytest.mark.cluster

COUNTING = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done"


class Log:
    """What was emitted."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []

    def emit(self, event: Event) -> None:
        assert isinstance(event, LogLine)
        self.lines.append(event)

    def texts(self, container: str = "app") -> list[str]:
        return [line.text for line in self.lines if line.container == container]

    async def until(self, predicate: Callable[[list[str]], bool], container: str = "app") -> list[str]:
        await until(lambda: predicate(self.texts(container)), timeout=60)
        return self.texts(container)


def contains(text: str) -> Callable[[list[str]], bool]:
    return lambda texts: text in texts


def longer_than(count: int) -> Callable[[list[str]], bool]:
    return lambda texts: len(texts) > count


@asynccontextmanager
async def followed(client: Client, namespace: str, **options: Any) -> AsyncIterator[Log]:
    log = Log()
    work = follow_logs(client, service="web", namespace=namespace, selector="app=web", emit=log.emit, **options)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work, name="logs")
        yield log
        task.cancel()


async def written(client: Client, namespace: str, text: str) -> None:
    """Return once the node has this line in a log."""

    async def is_there() -> bool:
        log = Log()
        await show_logs(client, service="web", namespace=namespace, selector="app=web", emit=log.emit)
        return text in log.texts()

    await until(is_there)


@asynccontextmanager
async def behind(relay: Relay, client: Client) -> AsyncIterator[Client]:
    name = client.access.server_name or urlsplit(client.access.server).hostname
    access = msgspec.structs.replace(client.access, server=f"https://{relay.host}:{relay.port}", server_name=name)
    async with connect(access) as other:
        yield other


def web_pod(namespace: str, script: str, name: str = "web", **spec: Any) -> dict[str, Any]:
    """A pod whose container ``app`` runs a script with a folder that outlives restarts."""
    app = pods.container("app", ["sh", "-c", script], volumeMounts=[{"name": "kept", "mountPath": "/kept"}])
    volumes = [{"name": "kept", "emptyDir": {}}]
    return pods.pod(namespace, name, [app], labels={"app": "web"}, **{"volumes": volumes, **spec})


async def test_all_containers_are_told(client: Client, namespace: str) -> None:
    manifest = web_pod(namespace, "echo from app; sleep 1000")
    manifest["spec"]["containers"].append(pods.container("side", ["sh", "-c", "echo from side >&2; sleep 1000"]))
    manifest["spec"]["initContainers"] = [pods.container("prepare", ["echo", "from init"])]
    async with followed(client, namespace) as log:
        await pods.start(client, manifest)
        await until(lambda: len(log.lines) == 3)
    assert {(line.pod, line.container, line.text) for line in log.lines} == {
        ("web", "prepare", "from init"),
        ("web", "app", "from app"),
        ("web", "side", "from side"),
    }
    assert all(line.service == "web" and line.time.startswith("20") for line in log.lines)


async def test_restarts_go_on(client: Client, namespace: str) -> None:
    script = (
        "echo x >> /kept/runs; n=$(wc -l < /kept/runs); echo start $n; echo end $n; [ $n -ge 2 ] && sleep 1000; exit 1"
    )
    await pods.start_without_waiting(client, web_pod(namespace, script))
    async with followed(client, namespace) as log:
        assert await log.until(contains("end 2")) == ["start 1", "end 1", "start 2", "end 2"]


async def test_new_pods_are_told_and_last_words_too(client: Client, namespace: str) -> None:
    script = "echo hello from $HOSTNAME; trap 'echo bye from $HOSTNAME; exit' TERM; while :; do sleep 0.1; done"
    async with followed(client, namespace) as log:
        for name in ("one", "two"):
            manifest = web_pod(namespace, script, name, terminationGracePeriodSeconds=20)
            await pods.start(client, manifest)
            await log.until(contains(f"hello from {name}"))
            await objects.delete(client, ObjectKey("v1", "Pod", namespace, name))
            await log.until(contains(f"bye from {name}"))


async def test_cut_connections_lose_and_double_nothing(client: Client, namespace: str) -> None:
    await pods.start(client, web_pod(namespace, COUNTING))
    async with relayed(client.access) as relay, behind(relay, client) as other, followed(other, namespace) as log:
        for _ in range(4):
            await log.until(longer_than(len(log.lines) + 30))
            relay.cut()
        texts = await log.until(longer_than(250))
    assert texts == [str(number) for number in range(len(texts))]


async def test_container_that_restarts_while_the_connection_is_down(client: Client, namespace: str) -> None:
    second = "[ -e /kept/once ] && { echo again; sleep 1000; }; touch /kept/once"
    script = f"{second}; trap 'echo last words; exit 1' TERM; {COUNTING}"
    await pods.start(client, web_pod(namespace, script))
    async with relayed(client.access) as relay, behind(relay, client) as other, followed(other, namespace) as log:
        await until(lambda: len(log.lines) > 10)
        relay.open = False
        relay.cut()
        await run(client, namespace, "web", "app", ["kill", "1"])

        async def restarted() -> bool:
            pod = await objects.get(client, ObjectKey("v1", "Pod", namespace, "web"))
            (status,) = pod["status"]["containerStatuses"]
            return bool(status["restartCount"] == 1 and "running" in status["state"])

        await until(restarted)
        relay.open = True
        texts = await log.until(contains("again"))
    assert texts[-2:] == ["last words", "again"]
    assert texts[:-2] == [str(number) for number in range(len(texts) - 2)]


async def test_odd_lines(client: Client, namespace: str) -> None:
    script = r"head -c 3000000 /dev/zero | tr '\0' x; echo; printf 'caf\351\n\n'; printf 'no end'; sleep 1; exit 0"
    await pods.start_without_waiting(client, web_pod(namespace, script, restartPolicy="Never"))
    async with followed(client, namespace) as log:
        texts = await log.until(lambda texts: texts[-1:] == ["no end"])
    assert texts[-3:] == ["caf\ufffd", "", "no end"]
    assert "".join(texts[:-3]) == "x" * 3_000_000
    assert max(map(len, texts)) <= logs.LONGEST_LINE + 262144


async def test_only_what_is_asked_for(client: Client, namespace: str) -> None:
    await pods.start(client, web_pod(namespace, "seq 100; sleep 1000"))
    await written(client, namespace, "100")
    async with followed(client, namespace, tail=3) as log:
        assert await log.until(contains("100")) == ["98", "99", "100"]
    async with followed(client, namespace, since="2100-01-01T00:00:00Z") as log:
        await pods.start(client, web_pod(namespace, "echo new; sleep 1000", "later"))
        assert await log.until(bool) == ["new"]


async def test_what_was_written_so_far(client: Client, namespace: str) -> None:
    manifest = web_pod(namespace, "seq 100; sleep 1000", initContainers=[pods.container("prepare", ["echo", "hi"])])
    await pods.start(client, manifest)
    await written(client, namespace, "100")
    log = Log()
    await show_logs(client, service="web", namespace=namespace, selector="app=web", emit=log.emit, tail=2)
    assert [line.text for line in log.lines] == ["hi", "99", "100"]


async def test_without_rights(client: Client, namespace: str) -> None:
    access = msgspec.structs.replace(client.access, impersonate=Impersonation("nobody"))
    async with connect(access) as nobody:
        with pytest.raises(Forbidden):
            await follow_logs(nobody, service="w", namespace=namespace, selector="a=b", emit=lambda event: None)
