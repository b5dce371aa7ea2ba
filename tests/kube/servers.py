"""Programs for test pods: small TCP servers in Python."""

from __future__ import annotations

from typing import Any

from tests.kube.pods import PYTHON, container

ECHO, SOURCE, SINK, RESET, NAME = 7001, 7002, 7003, 7004, 7005

_PROGRAM = f"""
import asyncio, os, socket, struct

async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def source(reader, writer):
    left = int(await reader.readline())
    while left > 0:
        chunk = b"x" * min(left, 65536)
        writer.write(chunk)
        await writer.drain()
        left -= len(chunk)
    writer.close()

async def sink(reader, writer):
    left = int(await reader.readline())
    await asyncio.sleep(float(await reader.readline()))
    while left > 0:
        left -= len(await reader.read(262144))
    writer.write(b"done")
    await writer.drain()
    await reader.read()
    writer.close()

async def reset(reader, writer):
    await reader.read(1)
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()

async def name(reader, writer):
    writer.write(os.environ["HOSTNAME"].encode() + b"\\n")
    await echo(reader, writer)

async def main():
    await asyncio.sleep(float(os.environ.get("DELAY", "0")))
    for port, serve in (({ECHO}, echo), ({SOURCE}, source), ({SINK}, sink), ({RESET}, reset), ({NAME}, name)):
        await asyncio.start_server(serve, "0.0.0.0", port)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def server(name: str = "app", *, delay: float = 0.0, **more: Any) -> dict[str, Any]:
    """A container with all the servers, that listen after ``delay`` seconds; its command ends at once on SIGTERM."""
    env = [{"name": "DELAY", "value": str(delay)}]
    return container(name, ["python", "-c", _PROGRAM], PYTHON, env=env, **more)


def ready_probe(port: int = ECHO) -> dict[str, Any]:
    return {"tcpSocket": {"port": port}, "periodSeconds": 1}
