"""The keeper alone, with a plan of ordinary programs instead of Kubernetes."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from innerloop.cluster.builtin import cgroups, keeper
from innerloop.cluster.builtin.keeper import ComponentState
from innerloop.cluster.builtin.names import names_of
from innerloop.cluster.compiling import compile_node
from tests.ports import free_port
from tests.waiting import until

pytestmark = pytest.mark.cluster


class Kept:
    """A keeper in ``folder``; the plan is written before it starts."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.pid = 0

    async def start(self, *components: dict[str, Any], shown: dict[str, str] | None = None) -> None:
        groups = cgroups.create(names_of(self.folder).cgroup)
        plan = {
            "hostname": "kept",
            "cgroups": [{"source": str(group), "target": str(mount)} for group, mount in groups],
            "binds": [{"source": str(self.folder), "target": "/run/innerloop/state"}],
            "shown": shown or {},
            "components": components,
        }
        (self.folder / "log").mkdir(exist_ok=True)
        (self.folder / "plan.json").write_bytes(msgspec.json.encode(plan))
        self.pid = await keeper.start(self.program, self.folder)

    def state(self, name: str, state: str = "") -> ComponentState | None:
        """The component's state, None when it is another than the given one."""
        found = next((state for state in keeper.components(self.folder) if state.name == name), None)
        return found if found and state in ("", found.state) else None

    async def reached(self, name: str, state: str) -> ComponentState:
        await until(lambda: self.state(name, state), timeout=10, what=f"{name} is {state}")
        found = self.state(name)
        assert found is not None
        return found

    def inside(self, *command: str) -> str:
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--uts", "--cgroup"]
        return subprocess.run([*enter, *command], check=True, capture_output=True, text=True).stdout


def component(name: str, *argv: str, **more: str) -> dict[str, Any]:
    return {"name": name, "argv": list(argv), "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], **more}


@pytest.fixture(scope="session")
async def program() -> Path:
    return (await compile_node(lambda _: None)).keeper


@pytest.fixture
async def kept(program: Path, tmp_path: Path) -> AsyncIterator[Kept]:
    kept = Kept(program, tmp_path)
    yield kept
    await keeper.kill(tmp_path)
    assert not await cgroups.remove(names_of(tmp_path).cgroup)


async def test_a_component_that_ends_is_reported_with_its_signal(kept: Kept) -> None:
    await kept.start(component("sleeper", "/bin/sleep", "1000"))
    state = await kept.reached("sleeper", "running")
    kept.inside("kill", "-KILL", str(state.pid))
    assert (await kept.reached("sleeper", "ended")).message == "signal SIGKILL"


async def test_reloading_starts_what_ended_and_only_that(kept: Kept) -> None:
    await kept.start(component("ends", "/bin/true"), component("stays", "/bin/sleep", "1000"))
    stays = await kept.reached("stays", "running")
    ended = await kept.reached("ends", "ended")
    keeper.reload(kept.pid)
    await until(lambda: (s := kept.state("ends")) and s.since > ended.since, timeout=5)
    assert (await kept.reached("stays", "running")).pid == stays.pid


async def test_a_program_that_is_not_there_is_reported(kept: Kept) -> None:
    await kept.start(component("nothing", "/nowhere"))
    assert "no such file" in (await kept.reached("nothing", "ended")).message


async def test_a_component_waits_for_its_address(kept: Kept) -> None:
    server = "import socket, time; s = socket.create_server(('127.0.0.1', 7)); time.sleep(1000)"
    await kept.start(component("client", "/bin/sleep", "1000", after="127.0.0.1:7"))
    await kept.reached("client", "waiting")
    plan = msgspec.json.decode((kept.folder / "plan.json").read_bytes())
    plan["components"].append(component("server", sys.executable, "-c", server))
    (kept.folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    keeper.reload(kept.pid)
    await kept.reached("client", "running")


async def test_killing_the_keeper_ends_all_that_ever_came_from_it(kept: Kept) -> None:
    mark = str(kept.folder / "orphan")
    daemon = f"(setsid setsid sh -c 'exec -a {mark} sleep 1000' &) ; exec sleep 1000"
    await kept.start(component("parent", "/bin/bash", "-c", daemon.replace("sh -c", "bash -c")))
    await until(lambda: command_lines_with(mark), timeout=5)
    assert await keeper.kill(kept.folder)
    assert not command_lines_with(mark)


async def test_what_is_mounted_inside_is_not_seen_outside(kept: Kept) -> None:
    target = kept.folder / "mounted"
    target.mkdir()
    await kept.start(component("sleeper", "/bin/sleep", "1000"))
    kept.inside("mount", "-t", "tmpfs", "none", str(target))
    assert str(target) not in Path("/proc/self/mountinfo").read_text()
    assert str(target) in kept.inside("cat", "/proc/self/mountinfo")


async def test_the_cluster_sees_its_own_control_groups_as_the_roots(kept: Kept) -> None:
    await kept.start(component("sleeper", "/bin/sleep", "1000"))
    state = await kept.reached("sleeper", "running")
    groups = {line.split(":", 2)[2] for line in kept.inside("cat", f"/proc/{state.pid}/cgroup").splitlines()}
    assert groups == {"/node"}


async def test_a_shown_setting_is_not_written(kept: Kept) -> None:
    before = Path("/proc/sys/kernel/panic").read_text()
    await kept.start(component("sleeper", "/bin/sleep", "1000"), shown={"kernel/panic": "4711"})
    assert kept.inside("cat", "/proc/sys/kernel/panic") == "4711\n"
    assert Path("/proc/sys/kernel/panic").read_text() == before


async def test_a_socket_of_the_machine_is_handed_to_a_component(kept: Kept) -> None:
    port = free_port()
    answer = "import socket; s = socket.socket(fileno=3); c, _ = s.accept(); c.sendall(b'inside'); c.close()"
    await kept.start(component("answers", sys.executable, "-c", answer, listen=f"127.0.0.1:{port}"))
    await kept.reached("answers", "running")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read() == b"inside"
    writer.close()


async def test_the_keeper_itself_never_leaves_its_network(kept: Kept) -> None:
    # what is done in the machine's network is done by a thread that changes over, and must not be the main thread
    ports = [free_port() for _ in range(60)]
    listening = [component(f"c{port}", "/bin/sleep", "1000", listen=f"127.0.0.1:{port}") for port in ports]
    await kept.start(*listening)
    for port in ports:
        await kept.reached(f"c{port}", "running")
        assert not os.path.samefile(f"/proc/{kept.pid}/ns/net", "/proc/self/ns/net")


async def test_a_resolver_at_a_loopback_address_answers_inside_too(
    kept: Kept, program: Path, resolver: str, tmp_path: Path
) -> None:
    configuration = tmp_path / "resolv.conf"
    configuration.write_text(f"nameserver {resolver}\n")
    # a mount namespace of the test's own, so that the machine's resolv.conf stays
    script = tmp_path / "keeper"
    cover = f"mount --bind {configuration} /etc/resolv.conf"
    script.write_text(f'#!/bin/sh\nexec unshare --mount sh -c \'{cover} && exec {program} "$@"\' - "$@"\n')
    script.chmod(0o755)
    kept.program = script
    await kept.start(component("sleeper", "/bin/sleep", "1000"))
    ask = (
        "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(5);"
        f"s.sendto(b'question', ('{resolver}', 53)); print(s.recv(100).decode())"
    )
    answer = await asyncio.to_thread(kept.inside, sys.executable, "-c", ask)
    assert answer == "answer to question\n"


@pytest.fixture
def resolver() -> Iterator[str]:
    """A server on a loopback address of the machine that answers every datagram."""
    address = "127.0.53.53"
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as server:
        server.bind((address, 53))

        def serve() -> None:
            while True:
                question, client = server.recvfrom(1000)
                if question == b"end":
                    return
                server.sendto(b"answer to " + question, client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield address
        with closing(socket.socket(type=socket.SOCK_DGRAM)) as last:
            last.sendto(b"end", (address, 53))
        thread.join()


def command_lines_with(text: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
            except OSError:
                continue
            if text in line:
                found.append(line)
    return found
