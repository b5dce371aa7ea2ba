"""kind, k3d and minikube, which need container images from the Internet: stand-ins record how they are called.

The kubeconfig that the stand-ins give is a real cluster's, so being ready is the real thing.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from innerloop.cluster import choosing, operations, records
from innerloop.cluster.builtin import sandbox
from innerloop.cluster.external import External, ExternalKind
from innerloop.errors import LoopError
from innerloop.events import Event, Notice

pytestmark = pytest.mark.cluster

STAND_IN = """\
#!/bin/sh
echo "$(basename "$0") $*" >> {log}
case "$*" in
"get clusters") cat {folder}/clusters 2>/dev/null || : ;;
"cluster list"*) echo "[$(sed 's/.*/{{"name": "&"}}/' {folder}/clusters 2>/dev/null)]" ;;
"profile list"*) echo "{{\\"valid\\": [$(sed 's/.*/{{"Name": "&"}}/' {folder}/clusters 2>/dev/null)]}}" ;;
"get kubeconfig"*|"kubeconfig get"*) cat {kubeconfig} ;;
"create cluster"*|"cluster create"*) echo innerloop > {folder}/clusters ;;
"start"*) echo innerloop > {folder}/clusters; cp {kubeconfig} "$KUBECONFIG" ;;
*delete*) rm {folder}/clusters ;;
esac
"""


class StandIns:
    def __init__(self, folder: Path, kubeconfig: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.kubeconfig = kubeconfig
        self.log.touch()

    def install(self, name: str, script: str = STAND_IN) -> None:
        file = self.folder / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(script.format(log=self.log, folder=self.folder, kubeconfig=self.kubeconfig))
        file.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def programs(tmp_path: Path, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    """No provider installed, and a state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    # only what the stand-ins need, so that the machine's own programs don't count
    for name in ("sh", "cat", "echo", "basename", "sed", "rm", "cp"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        os.symlink(f"/bin/{name}", tmp_path / "bin" / name)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return StandIns(tmp_path, kubeconfig)


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.mark.parametrize("kind", ["kind", "k3d", "minikube"])
async def test_up_makes_a_cluster_once_and_down_deletes_it(
    programs: StandIns, events: list[Event], kind: ExternalKind
) -> None:
    programs.install(kind)
    for _ in range(2):
        status = await operations.up("innerloop", events.append, provider=kind, install=False, merge=False)
    assert (status.provider, status.state) == (kind, "running")
    made = [call for call in programs.calls if "create" in call]
    assert len(made) == (0 if kind == "minikube" else 1)
    await operations.down("innerloop", events.append)
    assert await External(kind, "innerloop").exists() is False
    assert records.read_all() == []


async def test_the_users_kubeconfig_is_never_written_to(programs: StandIns, events: list[Event]) -> None:
    programs.install("kind")
    await operations.up("innerloop", events.append, provider="kind", install=False, merge=False)
    own = records.kubeconfig_of("innerloop")
    assert f"kind create cluster --name innerloop --kubeconfig {own} --wait 3m" in programs.calls
    assert own.stat().st_mode & 0o777 == 0o600


async def test_a_failed_creation_tells_what_the_program_said(programs: StandIns, events: list[Event]) -> None:
    programs.install("kind", '#!/bin/sh\n[ "$1" = get ] && exit\necho "ERROR: no space"; exit 1\n')
    with pytest.raises(LoopError, match="kind create cluster ended with status 1") as caught:
        await operations.up("innerloop", events.append, provider="kind", install=False, merge=False)
    assert caught.value.detail == "ERROR: no space"


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("kind", "kind load image-archive {archive} --name innerloop"),
        ("k3d", "k3d image import {archive} --cluster innerloop"),
        ("minikube", "minikube image load {archive} --profile innerloop"),
    ],
)
async def test_images_are_loaded_by_the_provider(
    programs: StandIns, events: list[Event], tmp_path: Path, kind: ExternalKind, command: str
) -> None:
    programs.install(kind)
    archive = tmp_path / "image.tar"
    archive.write_bytes(sandbox.archive(b"", "example.com/web:1"))
    await External(kind, "innerloop").load([str(archive)], events.append)
    assert programs.calls == [command.format(archive=archive)]


async def test_an_image_that_is_nowhere_tells_where_it_was_looked_for(programs: StandIns, events: list[Event]) -> None:
    programs.install("kind")
    programs.install("docker", "#!/bin/sh\necho no such image >&2; exit 1\n")
    with pytest.raises(LoopError, match="no image web:1 here") as caught:
        await External("kind", "innerloop").load(["web:1"], events.append)
    assert caught.value.detail == "docker: no such image"


async def test_the_first_installed_provider_with_an_engine_is_chosen(programs: StandIns, events: list[Event]) -> None:
    programs.install("kind")
    programs.install("k3d")
    programs.install("docker", "#!/bin/sh\nexit 0\n")
    assert await choosing.for_up("innerloop", None, events.append) == External("kind", "innerloop")


async def test_a_provider_without_an_engine_is_passed_over_and_that_is_told(
    programs: StandIns, events: list[Event]
) -> None:
    programs.install("kind")
    assert (await choosing.for_up("innerloop", None, events.append)).kind == "built-in"
    assert [event.message for event in events if isinstance(event, Notice)] == [
        "kind is installed, but no container engine answers: not used"
    ]


async def test_an_existing_cluster_keeps_its_provider(programs: StandIns, events: list[Event]) -> None:
    programs.install("kind")
    await operations.up("innerloop", events.append, provider="kind", install=False, merge=False)
    with pytest.raises(LoopError, match="exists already, made with kind"):
        await choosing.for_up("innerloop", "k3d", events.append)


def test_contexts_lead_to_their_providers(programs: StandIns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("kind", "k3d", "minikube"):
        programs.install(name)
    monkeypatch.setenv("MINIKUBE_HOME", str(tmp_path))
    profile = tmp_path / ".minikube" / "profiles" / "mine"
    profile.mkdir(parents=True)
    (profile / "config.json").touch()
    assert choosing.provider_of("kind-a") == External("kind", "a")
    assert choosing.provider_of("k3d-b") == External("k3d", "b")
    assert choosing.provider_of("mine") == External("minikube", "mine")
    assert choosing.provider_of("production") is None


def test_a_provider_that_is_not_installed_loads_nothing(programs: StandIns) -> None:
    assert choosing.provider_of("kind-a") is None
