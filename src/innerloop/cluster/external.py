"""kind, k3d and minikube, through their own programs (kind 0.20 and later, k3d 5, minikube 1.30 and later)."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from innerloop import processes
from innerloop.cluster import archives, records
from innerloop.cluster.provider import Problem, Status
from innerloop.cluster.records import Record
from innerloop.cluster.waiting import access_of, account_problem, any_node_problem, api_problem
from innerloop.errors import LoopError
from innerloop.events import Emit, StepOutput, StepProgress, reported
from innerloop.kube.client import connect
from innerloop.storage import write_whole

READY_SECONDS = 180.0

ExternalKind = Literal["kind", "k3d", "minikube"]


class External(msgspec.Struct, frozen=True):
    kind: ExternalKind
    name: str

    @property
    def context(self) -> str:
        # minikube calls the context as the profile
        return self.name if self.kind == "minikube" else f"{self.kind}-{self.name}"

    @property
    def kubeconfig(self) -> Path:
        return records.kubeconfig_of(self.name)

    async def exists(self) -> bool:
        return self.name in await _clusters(self.kind)

    async def up(self, emit: Emit, *, install: bool = False) -> None:
        """Create the cluster or start it; ``install`` means nothing here. Cancelled, a new one is deleted again."""
        step = "cluster/up"
        with reported(emit, step, f"start cluster {self.name} with {self.kind}") as outcome:

            def waiting() -> None:
                emit(StepProgress(step=step, message="another process works on this cluster: waiting for that"))

            async with records.locked(self.name, waiting):
                there = await self.exists()
                if records.read(self.name) is None:
                    records.write(Record(provider=self.kind, name=self.name, context=self.context))
                try:
                    command = self._start_command() if there else self._create_command()
                    if command:
                        await self._run(command, emit, step)
                    await self._write_kubeconfig()
                except asyncio.CancelledError:
                    if not there:
                        await self._delete(emit, step)
                    raise
                await self._wait(emit, step)
            outcome.summary = "was there" if there else "made"

    async def down(self, emit: Emit) -> None:
        step = "cluster/down"
        with reported(emit, step, f"remove cluster {self.name} of {self.kind}"):
            async with records.locked(self.name):
                await self._delete(emit, step)

    async def status(self) -> Status:
        if not await self.exists():
            return Status(provider=self.kind, name=self.name, state="absent")
        problems: list[Problem] = []
        if not self.kubeconfig.exists():
            await self._write_kubeconfig()
        async with connect(access_of(self.kubeconfig)) as client:
            message = await api_problem(client) or await any_node_problem(client) or await account_problem(client)
        if message:
            problems.append(Problem(message=message, hint=f"start it: loop cluster up {self.name}"))
        return Status(
            provider=self.kind,
            name=self.name,
            state="degraded" if problems else "running",
            context=self.context,
            kubeconfig=self.kubeconfig,
            problems=tuple(problems),
        )

    async def load(self, images: Sequence[str], emit: Emit) -> None:
        for image in images:
            step = f"cluster/load/{image}"
            with reported(emit, step, f"load {image}"), tempfile.TemporaryDirectory(prefix="innerloop-") as folder:
                archive = await archives.archive(image, Path(folder))
                await self._run(self._load_command(archive), emit, step)

    def _create_command(self) -> list[str]:
        match self.kind:
            case "kind":
                return ["create", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig), "--wait", "3m"]
            case "k3d":
                quiet = ["--kubeconfig-update-default=false", "--kubeconfig-switch-context=false"]
                return ["cluster", "create", self.name, "--wait", "--timeout", "180s", *quiet]
            case "minikube":
                return ["start", "--profile", self.name, "--keep-context", "--embed-certs", "--interactive=false"]

    def _start_command(self) -> list[str]:
        """Empty where the program can't start a stopped cluster: kind leaves that to the container engine."""
        match self.kind:
            case "kind":
                return []
            case "k3d":
                return ["cluster", "start", self.name, "--wait"]
            case "minikube":
                return self._create_command()

    def _delete_command(self) -> list[str]:
        match self.kind:
            case "kind":
                return ["delete", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig)]
            case "k3d":
                return ["cluster", "delete", self.name]
            case "minikube":
                return ["delete", "--profile", self.name]

    def _load_command(self, archive: Path) -> list[str]:
        match self.kind:
            case "kind":
                return ["load", "image-archive", str(archive), "--name", self.name]
            case "k3d":
                return ["image", "import", str(archive), "--cluster", self.name]
            case "minikube":
                return ["image", "load", str(archive), "--profile", self.name]

    async def _delete(self, emit: Emit, step: str) -> None:
        if await self.exists():
            await self._run(self._delete_command(), emit, step)
        await asyncio.to_thread(records.remove, self.name)

    async def _write_kubeconfig(self) -> None:
        if self.kind == "minikube":
            # 'start' wrote it, see _run
            return
        command = {"kind": ["get", "kubeconfig", "--name"], "k3d": ["kubeconfig", "get"]}[self.kind]
        completed = await processes.run([_program(self.kind), *command, self.name])
        write_whole(self.kubeconfig, completed.stdout)

    async def _wait(self, emit: Emit, step: str) -> None:
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        async with connect(access_of(self.kubeconfig)) as client:
            while problem := (
                await api_problem(client) or await any_node_problem(client) or await account_problem(client)
            ):
                emit(StepProgress(step=step, message=problem))
                if asyncio.get_running_loop().time() > deadline:
                    hint = f"its containers may be stopped: docker start {self.name}-control-plane"
                    raise LoopError(f"cluster {self.name} does not get ready: {problem}", hint=hint)
                await asyncio.sleep(0.5)

    async def _run(self, command: list[str], emit: Emit, step: str) -> None:
        lines: list[str] = []

        def collect(line: str) -> None:
            lines.append(line)
            emit(StepOutput(step=step, text=line))

        argv = [_program(self.kind), *command]
        # never the user's own file
        code = await processes.stream(argv, collect, env={"KUBECONFIG": str(self.kubeconfig)})
        if code:
            raise LoopError(
                f"{self.kind} {' '.join(command[:2])} ended with status {code}", detail="\n".join(lines[-20:])
            )


def _program(kind: ExternalKind) -> str:
    hints = {
        "kind": "https://kind.sigs.k8s.io",
        "k3d": "https://k3d.io",
        "minikube": "https://minikube.sigs.k8s.io",
    }
    return processes.find_program(kind, purpose="for this cluster", hint=f"install it: {hints[kind]}")


async def _clusters(kind: ExternalKind) -> list[str]:
    match kind:
        case "kind":
            listed = await processes.run([_program(kind), "get", "clusters"])
            return listed.text.split()
        case "k3d":
            listed = await processes.run([_program(kind), "cluster", "list", "--output", "json"])
            return [entry["name"] for entry in _json(kind, listed.stdout)]
        case "minikube":
            # status 14 when there is no profile at all
            listed = await processes.run([_program(kind), "profile", "list", "--output", "json"], check=False)
            content = _json(kind, listed.stdout or b"{}")
            return [entry["Name"] for state in ("valid", "invalid") for entry in content.get(state) or []]


def _json(kind: str, text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise LoopError(f"{kind} did not answer in JSON", detail=text.decode(errors="replace")[:500]) from error
