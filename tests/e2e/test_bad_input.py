"""What goes wrong at the command line: told in words, and nothing is lost or left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from innerloop.build.nodes import Nodes
from innerloop.config.yaml import load_all
from innerloop.kube import config, objects
from innerloop.kube.client import Client, connect
from innerloop.manifest import TARGET_ANNOTATION, ObjectKey
from tests.e2e.conftest import Sample
from tests.e2e.loop_command import Ended, developing, loop

pytestmark = pytest.mark.cluster


def kubeconfig_as(kubeconfig: Path, target: Path, user: dict[str, Any], **cluster: str) -> Path:
    """A copy of the kubeconfig for another user, perhaps of another server."""
    (content,) = load_all(kubeconfig.read_text(), str(kubeconfig))
    content["users"][0]["user"] = user
    content["clusters"][0]["cluster"] |= cluster
    target.write_bytes(msgspec.json.encode(content))
    return target


@pytest.fixture
def project(kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sample:
    """A project that is never deployed."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.delenv("LOOP_CONTEXT", raising=False)
    monkeypatch.setenv("LOOP_NAMESPACE", "nothing-is-there")
    found = Sample(tmp_path / "project", "nothing-is-there", 0)
    only_settings(found)
    return found


@pytest.fixture
async def restricted(kubeconfig: Path, client: Client, namespace: str, tmp_path: Path) -> Path:
    """The kubeconfig of a user with the role `edit` in `namespace`, and no other rights."""
    return await with_role(kubeconfig, client, namespace, tmp_path, "edit")


async def with_role(kubeconfig: Path, client: Client, namespace: str, folder: Path, role: str) -> Path:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ann", "namespace": namespace}}
    await objects.create(client, account)
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "ann", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "ann", "namespace": namespace}],
    }
    await objects.create(client, binding)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/ann/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
    made = await client.request_json("POST", path, body=request)
    return kubeconfig_as(kubeconfig, folder / "restricted", {"token": made["status"]["token"]})


def only_settings(sample: Sample) -> None:
    """A project that is deployed at once, without any image."""
    sample.write("deploy/web.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n")
    sample.write("loop.yaml", "name: sample\nmanifests: [{files: deploy/*.yaml}]\n")


def refused(ended: Ended, *words: str) -> None:
    """A clear error that says all of ``words``: no crash, exit code 1."""
    told = ended.stdout + ended.stderr
    assert ended.code == 1, told
    assert [word for word in words if word not in told] == [], told


COMMANDS = ("dev", "deploy", "status", "purge", "logs", "use namespace")


@pytest.mark.parametrize("command", COMMANDS)
async def test_no_kubeconfig(project: Sample, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    # where the built-in clusters are
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    refused(await loop(*command.split(), cwd=project.folder), "no kubeconfig names a cluster", "loop cluster up")


async def test_an_unknown_context(project: Sample) -> None:
    refused(await loop("dev", "--context", "nowhere", cwd=project.folder), "there is no context 'nowhere'")


async def test_an_api_that_is_not_there(
    project: Sample, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "KUBECONFIG", str(kubeconfig_as(kubeconfig, tmp_path / "away", {}, server="https://127.0.0.1:1"))
    )
    refused(await loop("dev", cwd=project.folder), "cannot reach the API server https://127.0.0.1:1")


async def test_a_token_that_is_not_accepted(
    project: Sample, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig_as(kubeconfig, tmp_path / "wrong", {"token": "made-up"})))
    refused(await loop("dev", cwd=project.folder), "does not accept the credentials", "log in")


@pytest.mark.parametrize("command", ["logs", "enter", "exec web true", "forward web 1:1", "restart web"])
async def test_nothing_is_deployed(project: Sample, command: str) -> None:
    refused(await loop(*command.split(), cwd=project.folder), "sample is not deployed in namespace", "loop deploy")


async def test_ports_of_an_unknown_service_are_not_asked_for(sample: Sample) -> None:
    only_settings(sample)
    assert (await loop("deploy", cwd=sample.folder)).code == 0
    refused(await loop("forward", "nothing", cwd=sample.folder), "no service 'nothing' is deployed")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file must be a mapping"),
        ("name: shop\nimages:\n\tweb: web\n", "loop.yaml:3:1: a tab cannot indent YAML"),
        ("name: shop\nname: shop\n", "loop.yaml:2:1: duplicate key 'name', first given in line 1"),
        ("name: shop\nimagse: {}\n", "did you mean 'images'?"),
        ("name: My Shop\n", "Lower-case letters"),
        ('name: shop\nimages: {web: {context: "${WEB}"}}\n', "undefined variable ${WEB}"),
        ("name: shop\nimages: {web: {context: nowhere}}\n", "nowhere is not a folder"),
        ("name: shop\nmanifests: [{files: nothing/*.yaml}]\n", "no file matches"),
    ],
)
async def test_a_broken_file(project: Sample, text: str, told: str) -> None:
    project.write("loop.yaml", text)
    refused(await loop("deploy", cwd=project.folder), told)


async def test_rights_in_one_namespace_suffice(
    sample: Sample, restricted: Path, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_settings(sample)
    with monkeypatch.context() as context:
        context.setenv("KUBECONFIG", str(restricted))
        ended = await loop("deploy", "-n", namespace, cwd=sample.folder)
        assert ended.code == 0, ended.stdout + ended.stderr
        purged = await loop("purge", "-n", namespace, cwd=sample.folder)
        assert purged.code == 0, purged.stdout + purged.stderr


async def test_nodes_are_not_asked_without_the_right(restricted: Path) -> None:
    async with connect(config.access(config.load([restricted]))) as client:
        nodes = Nodes(client)
        assert not await nodes.have("example.com/web:1")
        await nodes.remember("example.com/web:1")


async def test_lacking_rights_are_told_before_anything_is_built(
    sample: Sample, restricted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        context.setenv("KUBECONFIG", str(restricted))
        ended = await loop("deploy", cwd=sample.folder)
    refused(ended, "no right to keep the inventory", sample.namespace)
    assert "build" not in ended.stdout


async def test_a_right_to_look_only_is_told_before_anything_is_built(
    sample: Sample, kubeconfig: Path, client: Client, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        context.setenv("KUBECONFIG", str(await with_role(kubeconfig, client, namespace, tmp_path, "view")))
        ended = await loop("deploy", "-n", namespace, cwd=sample.folder)
    refused(ended, f"no right to write in namespace {namespace}", "kubectl create rolebinding")
    assert "build" not in ended.stdout


async def test_a_kind_without_rights_is_told_with_its_manifest(
    sample: Sample, restricted: Path, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_settings(sample)
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader}\nrules: []\n"
    sample.write("deploy/role.yaml", role)
    with monkeypatch.context() as context:
        context.setenv("KUBECONFIG", str(restricted))
        ended = await loop("deploy", "-n", namespace, cwd=sample.folder)
    refused(ended, "deploy/role.yaml: no right to apply Role/reader")


async def test_namespaces_that_may_not_be_listed_can_be_named(
    project: Sample, restricted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(restricted))
    refused(await loop("use", "namespace", cwd=project.folder), "no right to list", "loop use namespace NAME")


async def test_an_object_that_was_refused_is_not_called_removed(sample: Sample) -> None:
    only_settings(sample)
    sample.replace("deploy/web.yaml", "settings", "No_Name")
    assert (await loop("deploy", cwd=sample.folder)).code == 1
    ended = await loop("status", cwd=sample.folder)
    refused(ended, "ConfigMap/No_Name  it was never made")


async def test_a_service_that_is_not_developed_is_not_restarted(sample: Sample) -> None:
    sample.replace("deploy/web.yaml", "image: web", "image: busybox:1.36\n          command: [sleep, '1000']")
    sample.replace(
        "deploy/web.yaml", "readinessProbe: {httpGet: {path: /, port: 8000}, periodSeconds: 1}", "stdin: false"
    )
    sample.write("loop.yaml", "name: sample\nvariables: {TITLE: x}\nmanifests: [{files: deploy/*.yaml}]\n")
    assert (await loop("deploy", cwd=sample.folder)).code == 0
    refused(
        await loop("restart", "web", cwd=sample.folder),
        "web is not developed",
        "kubectl rollout restart deployment web",
    )


async def test_missing_credentials_are_told(
    sample: Sample, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        context.setenv("KUBECONFIG", str(kubeconfig_as(kubeconfig, tmp_path / "nobody", {})))
        refused(await loop("deploy", cwd=sample.folder), "has no credentials")


async def test_another_project_of_the_same_name_is_told_before_anything_is_built(
    sample: Sample, client: Client, tmp_path: Path
) -> None:
    only_settings(sample)
    assert (await loop("deploy", cwd=sample.folder)).code == 0
    other = Sample(tmp_path / "other", sample.namespace, sample.port)
    other.write("loop.yaml", (sample.folder / "loop.yaml").read_text())
    ended = await loop("deploy", "-n", sample.namespace, cwd=other.folder)
    refused(ended, "another project that is called sample", str(sample.folder))
    assert "build" not in ended.stdout
    refused(await loop("purge", "-n", sample.namespace, cwd=other.folder), "another project that is called sample")
    await objects.get(client, ObjectKey("v1", "ConfigMap", sample.namespace, "settings"))


async def test_sessions_of_several_services_leave_each_other_alone(sample: Sample, client: Client) -> None:
    manifest = (sample.folder / "deploy/web.yaml").read_text()
    sample.write("deploy/api.yaml", manifest.replace("name: web}", "name: api}").replace("app: web", "app: api"))
    sample.replace("loop.yaml", "dev:\n  web:", "dev:\n  api: {selector: {app: api}, sync: web:/app}\n  web:")
    sample.replace("loop.yaml", "    sync: web", "    selector: {app: web}\n    sync: web")
    async with developing(sample.folder, "web") as one:
        await one.next("ready", timeout=120)
        async with developing(sample.folder, "api") as two:
            await two.next("ready")
            deployed = await loop("deploy", cwd=sample.folder)
            assert "web stays in development" in deployed.stdout
            for name in ("web", "api"):
                found = await objects.get(client, ObjectKey("apps/v1", "Deployment", sample.namespace, name))
                assert TARGET_ANNOTATION in found["spec"]["template"]["metadata"]["annotations"], name
