"""A real cluster of its own name and state folder, through the command line."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from innerloop.cluster import waiting
from innerloop.cluster.base_images import ensure
from innerloop.cluster.builtin import keeper, sandbox
from innerloop.cluster.builtin.names import names_of
from innerloop.cluster.compiling import compile_node
from innerloop.events import Event, Synced
from innerloop.kube import execution, objects
from innerloop.kube.client import Client, connect
from innerloop.manifest import ObjectKey
from tests.dev.service import developed
from tests.dev.torture import Load
from tests.kube import pods
from tests.waiting import until

pytestmark = pytest.mark.cluster

NAME = "innerloop-of-tests"
UP = ("cluster", "up", NAME, "--provider", "built-in", "-o", "json")
LOOP = str(Path(sys.executable).with_name("loop"))


def ignore(event: Event) -> None:
    pass


class Machine:
    """Commands with a state folder of their own, and what they leave on the machine."""

    def __init__(self, state: Path) -> None:
        self.environment = {**os.environ, "XDG_STATE_HOME": str(state), "KUBECONFIG": str(state / "users-kubeconfig")}
        self.state = state / "innerloop"
        self.folder = self.state / "clusters" / NAME

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def loop(self, *arguments: str, code: int | None = 0) -> str:
        completed = subprocess.run([LOOP, *arguments], env=self.environment, capture_output=True, text=True)
        output = completed.stdout + completed.stderr
        assert code is None or completed.returncode == code, output
        return output

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        pipe = subprocess.PIPE
        command = [LOOP, *arguments]
        with subprocess.Popen(command, env=self.environment, stdout=pipe, stderr=subprocess.STDOUT, text=True) as it:
            yield it

    def problems(self) -> list[str]:
        status = json.loads(self.loop("cluster", "status", NAME, "-o", "json", code=None))
        return [problem["message"] for problem in status["problems"]]

    def pid_of(self, component: str) -> int:
        """The component's process number on the machine."""
        inside = next(state.pid for state in keeper.components(self.folder) if state.name == component)
        holder = keeper.find(self.folder)
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _numbers(entry)[1:] == [inside] and _parent(entry) == holder:
                return int(entry.name)
        raise AssertionError(f"{component} has no process")

    def traces(self) -> list[str]:
        """Everything of the cluster that can be found on the machine, whatever records say."""
        names = names_of(self.folder)
        found = [f"link {line}" for line in _output("ip", "-o", "link").splitlines() if names.link in line]
        found += [
            f"route {line}"
            for line in _output("ip", "route", "show", "table", "all").splitlines()
            if names.link in line
        ]
        found += [f"table {line}" for line in _output("nft", "list", "tables").splitlines() if names.table in line]
        found += [f"group {path}" for path in Path("/sys/fs/cgroup").glob(f"**/{names.cgroup}")]
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                found += [f"process {text}" for text in _texts(entry) if str(self.folder) in text]
        found += [f"file {path}" for path in (self.state / "clusters").glob("*")]
        return found


def _texts(process: Path) -> Iterator[str]:
    for file in ("cmdline", "mountinfo"):
        try:
            yield (process / file).read_text().replace("\0", " ")
        except OSError:
            return


def _numbers(process: Path) -> list[int]:
    """The process's number in each namespace, outermost first."""
    try:
        found = re.search(r"^NSpid:(.*)$", (process / "status").read_text(), re.MULTILINE)
    except OSError:
        return []
    return [int(number) for number in found[1].split()] if found else []


def _parent(process: Path) -> int:
    return int((process / "stat").read_text().rpartition(")")[2].split()[1])


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@asynccontextmanager
async def connected(machine: Machine) -> AsyncIterator[Client]:
    async with connect(waiting.access_of(machine.kubeconfig)) as client:
        yield client


@pytest.fixture(scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    """A cluster that is up, brought up by two commands at the same time."""
    await compile_node(ignore)
    machine = Machine(tmp_path_factory.mktemp("state"))
    arguments = ("cluster", "up", NAME, "--provider", "built-in", "--merge")
    with machine.started(*arguments) as one, machine.started(*arguments) as other:
        outputs = [process.communicate()[0] for process in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0], outputs
    yield machine
    machine.loop("cluster", "down", NAME)


def test_two_ups_at_the_same_time_make_one_cluster(machine: Machine) -> None:
    keepers = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and _is_keeper(entry, machine.folder)]
    assert len(keepers) == 1


def _is_keeper(process: Path, folder: Path) -> bool:
    return any(f"hold {folder}" in text for text in _texts(process))


def test_status_finds_nothing_wrong(machine: Machine) -> None:
    assert "running" in machine.loop("cluster", "status", NAME)
    assert machine.problems() == []


def test_the_kubeconfig_is_for_its_owner_only(machine: Machine) -> None:
    assert machine.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_merged_the_context_is_in_the_users_kubeconfig(machine: Machine) -> None:
    assert f'"name": "{NAME}"' in Path(machine.environment["KUBECONFIG"]).read_text()


async def test_a_loaded_image_runs_although_its_pod_always_pulls(machine: Machine, tmp_path: Path) -> None:
    pause = (await compile_node(ignore)).pause.read_bytes()
    archive = tmp_path / "pausing.tar"
    archive.write_bytes(sandbox.archive(pause, "example.com/pausing:1"))
    machine.loop("cluster", "load", str(archive), "--name", NAME)
    container = pods.container("main", ["/pause"], "example.com/pausing:1", imagePullPolicy="Always")
    async with connected(machine) as client:
        await pods.start(client, pods.pod("default", "pulled", [container]))


async def test_a_pod_finds_a_service_by_its_name(machine: Machine) -> None:
    await ensure([pods.BUSYBOX], json.loads(machine.loop("cluster", "status", NAME, "-o", "json"))["registry"], ignore)
    serve = "mkdir /tmp/www; echo found > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"
    server = pods.pod("default", "asked", [pods.container("main", ["sh", "-c", serve])], labels={"app": "asked"})
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "greeter", "namespace": "default"},
        "spec": {"selector": {"app": "asked"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    async with connected(machine) as client:
        await objects.create(client, service)
        await pods.start(client, server)

        async def answered() -> bool:
            # not wget, which crashes in static builds of busybox with glibc
            command = ["sh", "-c", r"printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 2 greeter 80"]
            return (await execution.run(client, "default", "asked", "main", command)).stdout.endswith(b"found\n")

        await until(answered, timeout=10, every=0.2)


async def test_a_claimed_volume_is_bound(machine: Machine) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    async with connected(machine) as client:
        await objects.create(client, claim)

        async def bound() -> bool:
            found = await objects.get(client, ObjectKey("v1", "PersistentVolumeClaim", "default", "data"))
            return bool(found["status"].get("phase") == "Bound")

        await until(bound, timeout=15)


async def test_the_registry_is_told_to_builders(machine: Machine) -> None:
    async with connected(machine) as client:
        found = await objects.get(client, ObjectKey("v1", "ConfigMap", "kube-public", "local-registry-hosting"))
    status = json.loads(machine.loop("cluster", "status", NAME, "-o", "json"))
    assert f'host: "{status["registry"]}"' in found["data"]["localRegistryHosting.v1"]


async def test_sync_goes_on_when_the_api_server_was_restarted_in_the_middle_of_saves(
    machine: Machine, tmp_path: Path
) -> None:
    await ensure([pods.PYTHON], json.loads(machine.loop("cluster", "status", NAME, "-o", "json"))["registry"], ignore)
    async with connected(machine) as client, developed(client, "default", tmp_path / "local") as service:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Load(service.local, saves=400, seconds=6).run(), name="save")
            await until(lambda: len(service.of(Synced)) > 5)
            os.kill(machine.pid_of("kube-apiserver"), signal.SIGKILL)
            await asyncio.to_thread(machine.loop, "cluster", "up", NAME)
        await service.settle()


def test_a_killed_component_is_told_and_mended(machine: Machine) -> None:
    os.kill(machine.pid_of("kube-scheduler"), signal.SIGKILL)
    output = machine.loop("cluster", "status", NAME, code=1)
    assert re.search(r"kube-scheduler is not running since .*: signal SIGKILL", output)
    assert "mended" in machine.loop("cluster", "up", NAME)
    assert machine.problems() == []


def test_a_stopped_api_server_is_told_in_words(machine: Machine) -> None:
    pid = machine.pid_of("kube-apiserver")
    os.kill(pid, signal.SIGSTOP)
    try:
        assert any("the API server does not answer" in problem for problem in machine.problems())
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_after_a_crash_of_all_it_comes_up_again_with_its_data(machine: Machine) -> None:
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept", "namespace": "default"}}
    async with connected(machine) as client:
        await objects.create(client, kept)
    holder = keeper.find(machine.folder)
    assert holder is not None
    os.kill(holder, signal.SIGKILL)
    await until(lambda: keeper.find(machine.folder) is None, timeout=10)
    assert machine.problems() == ["the cluster is not running"]
    machine.loop("cluster", "up", NAME)
    async with connected(machine) as client:
        assert await objects.get(client, ObjectKey("v1", "ConfigMap", "default", "kept"))


def test_down_leaves_nothing(machine: Machine) -> None:
    assert machine.traces()
    machine.loop("cluster", "down", NAME)
    assert machine.traces() == []
    assert NAME not in Path(machine.environment["KUBECONFIG"]).read_text()


def test_down_of_nothing_is_no_error(machine: Machine) -> None:
    machine.loop("cluster", "down", NAME)
    assert "there is no cluster" in machine.loop("cluster", "status", NAME, code=1)


def test_what_a_killed_up_left_is_removed_by_down(machine: Machine) -> None:
    with machine.started(*UP) as process:
        _read_until(process, "containerd, etcd")
        process.kill()
    machine.loop("cluster", "down", NAME)
    assert machine.traces() == []


def test_down_recognises_what_a_killed_up_left_without_a_record(machine: Machine) -> None:
    with machine.started(*UP) as process:
        _read_until(process, "ServiceAccount|not ready|not registered|not reported")
        process.kill()
    (machine.folder / "record.json").unlink()
    machine.loop("cluster", "down", NAME)
    assert machine.traces() == []


async def test_an_interrupted_up_leaves_nothing(machine: Machine) -> None:
    with machine.started(*UP) as process:
        await until(lambda: keeper.components(machine.folder), timeout=20)
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 130
    assert machine.traces() == []


@pytest.mark.usefixtures("machine")
def test_an_up_that_fails_tells_which_component_and_down_removes_it(tmp_path: Path) -> None:
    other = Machine(tmp_path)
    # etcd can't use a file as its folder
    (other.folder / "var/lib").mkdir(parents=True)
    (other.folder / "var/lib/etcd").touch()
    output = other.loop("cluster", "up", NAME, "--provider", "built-in", code=1)
    assert f"etcd of cluster {NAME} ended" in output
    other.loop("cluster", "down", NAME)
    assert other.traces() == []


def _read_until(process: subprocess.Popen[str], pattern: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if re.search(pattern, line):
            return
    raise AssertionError(f"ended before {pattern!r}")
