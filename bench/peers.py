"""DevSpace, Skaffold and Tilt, where their programs are on PATH: the same image, folders and pod as ours."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

from bench.cluster import CONTEXT, REPOSITORY, environment, free_port
from bench.running import Running, running
from bench.sample import NAME, Sample, manifest
from innerloop import references

_TAG = f"{sys.executable} -m bench.tagging"


class DevSpace:
    name = "DevSpace"
    syncs_at_start = True

    def version(self) -> str | None:
        return _version("devspace", "--version")

    def configure(self, sample: Sample) -> None:
        sample.write("deploy.yaml", manifest(sample.image))
        sample.write(
            "devspace.yaml",
            f"""\
version: v2beta1
name: {NAME}
deployments:
  {NAME}:
    updateImageTags: false
    kubectl: {{manifests: [deploy.yaml]}}
dev:
  {NAME}:
    labelSelector: {{app: {NAME}}}
    sync:
      - {{path: "./app:/app"}}
      - {{path: "./tree:/tree"}}
""",
        )

    @contextlib.contextmanager
    def develop(self, sample: Sample) -> Iterator[Running]:
        command = ["devspace", "dev", "--kube-context", CONTEXT, "--namespace", sample.namespace, "--no-warn"]
        with running(command, sample.folder, _environment(sample)) as session:
            first = session.wait(_says("Initial sync completed"))
            session.wait(_says("Initial sync completed"), behind=session.lines.index(first) + 1)
            yield session


class Skaffold:
    name = "Skaffold"
    syncs_at_start = False

    def version(self) -> str | None:
        return _version("skaffold", "version")

    def configure(self, sample: Sample) -> None:
        repository = references.repository(sample.image)
        sample.write("deploy.yaml", manifest(repository))
        sample.write(
            "skaffold.yaml",
            f"""\
apiVersion: skaffold/v4beta11
kind: Config
metadata: {{name: {NAME}}}
build:
  tagPolicy: {{sha256: {{}}}}
  local: {{push: true}}
  insecureRegistries: ["{repository.partition("/")[0]}"]
  artifacts:
    - image: {repository}
      context: .
      custom:
        buildCommand: {_TAG} {sample.image} $IMAGE
        dependencies: {{paths: ["app/**", "tree/**"]}}
      sync:
        manual:
          - {{src: "app/**", dest: /app, strip: app/}}
          - {{src: "tree/**", dest: /tree, strip: tree/}}
manifests: {{rawYaml: [deploy.yaml]}}
deploy: {{kubectl: {{}}}}
""",
        )

    @contextlib.contextmanager
    def develop(self, sample: Sample) -> Iterator[Running]:
        place = ("--kube-context", CONTEXT, "--namespace", sample.namespace)
        command = ["skaffold", "dev", *place, "--cleanup=false", "--tail=false", "--port-forward=off"]
        with running(command, sample.folder, _environment(sample)) as session:
            session.wait(_says("Watching for changes"))
            yield session


class Tilt:
    name = "Tilt"
    syncs_at_start = False

    def version(self) -> str | None:
        return _version("tilt", "version")

    def configure(self, sample: Sample) -> None:
        repository = references.repository(sample.image)
        sample.write("deploy.yaml", manifest(repository))
        sample.write(
            "Tiltfile",
            f"""\
allow_k8s_contexts("{CONTEXT}")
update_settings(k8s_upsert_timeout_secs=120)
custom_build(
    "{repository}",
    "{_TAG} {sample.image} $EXPECTED_REF",
    deps=["app", "tree"],
    skips_local_docker=True,
    live_update=[sync("app", "/app"), sync("tree", "/tree")],
)
k8s_yaml("deploy.yaml")
""",
        )

    @contextlib.contextmanager
    def develop(self, sample: Sample) -> Iterator[Running]:
        place = ("--context", CONTEXT, "--namespace", sample.namespace)
        command = ["tilt", "up", "--stream", *place, "--port", str(free_port())]
        with running(command, sample.folder, _environment(sample)) as session:
            session.wait(lambda line: "Ready " in line and "Pending" not in line)
            yield session


def _version(program: str, argument: str) -> str | None:
    if shutil.which(program) is None:
        return None
    completed = subprocess.run([program, argument], capture_output=True, text=True)
    found = re.search(r"\d+\.\d+\.\d+", completed.stdout + completed.stderr)
    return found[0] if found else ""


def _environment(sample: Sample) -> dict[str, str]:
    """A home folder of their own, nothing told to anybody, and this checkout's modules for the tagging."""
    return {
        **environment(),
        "HOME": str(sample.home),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
        "DEVSPACE_SKIP_VERSION_CHECK": "true",
        "DO_NOT_TRACK": "1",
        "SKAFFOLD_UPDATE_CHECK": "false",
        "SKAFFOLD_INTERACTIVE": "false",
        "TILT_DISABLE_ANALYTICS": "1",
    }


def _says(text: str) -> Callable[[str], bool]:
    return lambda line: text in line
