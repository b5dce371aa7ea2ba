"""The tools that are measured, driven as their users do: a configuration file, a command, ^C."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from bench.cluster import LOOP, choose
from bench.measuring import command
from bench.running import Running, running
from bench.sample import NAME, PORT, Sample, manifest


class Tool(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def syncs_at_start(self) -> bool:
        """Whether it brings the container what differs when it starts; else the image has to have it."""
        ...

    def version(self) -> str | None:
        """None: it is not on PATH."""
        ...

    def configure(self, sample: Sample) -> None:
        """Write its configuration file into the sample's folder."""
        ...

    def develop(self, sample: Sample) -> AbstractContextManager[Running]:
        """A session that says it is ready to take edits."""
        ...


class Loop:
    name = "innerloop"
    syncs_at_start = True

    def version(self) -> str | None:
        return command([LOOP, "--version"])().split()[-1]

    def configure(self, sample: Sample) -> None:
        sample.write("deploy.yaml", manifest(sample.image))
        sample.write(
            "loop.yaml",
            f"""\
name: {NAME}
manifests: [{{files: deploy.yaml}}]
dev:
  {NAME}:
    selector: {{app: {NAME}}}
    sync: ["app:/app", "tree:/tree"]
    command: [python, /app/server.py, "{PORT}"]
    restart: ["**/*.py"]
""",
        )
        choose(sample.folder, sample.namespace)

    @contextlib.contextmanager
    def develop(self, sample: Sample) -> Iterator[Running]:
        with running([LOOP, "dev", "-o", "json"], sample.folder, {}) as session:
            session.wait(lambda line: '"event":"ready"' in line)
            yield session


def synced(line: str) -> dict[str, Any] | None:
    """The event of a batch that arrived in the container, where a line of ``loop dev -o json`` is one."""
    event: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
    return event if event.get("event") == "sync" else None


def bytes_sent(session: Running) -> int:
    """Bytes of files that a session of ours says it sent so far."""
    return sum(event["bytes"] for line in session.lines if (event := synced(line.text)))
