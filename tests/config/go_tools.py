"""What helm and kustomize read from YAML, to compare with what we read."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from innerloop.config.yaml import load_all

_TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: probe}
data:
  json: {{ toJson .Values | quote }}
"""


def helm_values(helm: list[str], folder: Path, text: str) -> Any:
    """The values that ``helm template`` reads from a file with ``text``."""
    chart = folder / "chart"
    (chart / "templates").mkdir(parents=True, exist_ok=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: probe\nversion: 1.0.0\n")
    (chart / "templates" / "probe.yaml").write_text(_TEMPLATE)
    (folder / "values.yaml").write_text(text)
    output = _output(*helm, "template", "probe", str(chart), "--values", str(folder / "values.yaml"))
    return json.loads(load_all(output, "helm")[0]["data"]["json"])


def kustomized(kustomize: list[str], folder: Path, manifests: str) -> list[Any]:
    """The manifests after kustomize has read and written them."""
    (folder / "kustomization.yaml").write_text("resources: [manifests.yaml]\n")
    (folder / "manifests.yaml").write_text(manifests)
    return load_all(_output(*kustomize, str(folder)), "kustomize")


def _output(*argv: str) -> str:
    completed = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout
