"""Arbitrary streams of frames into the sanitized receiver; ``make fuzz`` does the same for longer."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

SECONDS, SEED = 20, 1


def test_arbitrary_frames_neither_crash_the_receiver_nor_lead_it_out_of_its_folders(build: Any, tmp_path: Path) -> None:
    fuzzer = build.build_fuzzer()
    completed = subprocess.run(
        [fuzzer, str(SECONDS), str(SEED)], env={"TMPDIR": str(tmp_path)}, capture_output=True, text=True
    )
    assert completed.returncode == 0, f"replay: {fuzzer} {tmp_path}/loop-fuzz-*/input\n{completed.stderr}"
    counts = dict(line.split() for line in completed.stdout.splitlines())
    # welcome, checked, looked, listed, content, failed, committed, restarted, changed, signalled, fatal
    assert {"81", "82", "83", "84", "85", "8b", "8c", "8d", "8f", "91", "ff"} <= counts.keys()
    assert int(counts["actions"]) > int(counts["streams"])
