"""The Go tests of the node's own packages."""

from __future__ import annotations

import os
import subprocess

from innerloop.cluster.compiling import sources


def test_the_kubelet_waits_until_the_runtime_takes_calls() -> None:
    # the flags of the node's build, whose compiled packages Go then takes from its cache
    command = ["go", "test", "-count=1", "-trimpath", "./containerruntime"]
    completed = subprocess.run(
        command, cwd=sources(), env={**os.environ, "CGO_ENABLED": "0"}, capture_output=True, text=True
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
