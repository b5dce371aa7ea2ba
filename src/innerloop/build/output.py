"""What a build writes: shown as it comes, kept in a file, told whole when the build fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TextIO

from innerloop.errors import Location, LoopError
from innerloop.events import Emit, StepOutput

_HINTS = (
    (r"no space left on device", "free disk space: docker system prune, or buildah rmi --prune"),
    (r"server gave HTTP response to HTTPS client", "add the registry to insecure-registries in docker's daemon.json"),
    (r"unauthorized|authentication required|denied: |access.*denied", "log in: docker login {registry}"),
)


class Output:
    """The lines of one build; the file is begun anew with the first line."""

    def __init__(self, emit: Emit, step: str, file: Path) -> None:
        self.emit = emit
        self._step = step
        self._file = file
        self._lines: list[str] = []
        self._log: TextIO | None = None

    def line(self, text: str) -> None:
        if self._log is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # line by line: who looks into it while the build runs sees how far it is
            self._log = self._file.open("w", encoding="utf-8", errors="replace", buffering=1)
        self._log.write(f"{text}\n")
        self._lines.append(text)
        self.emit(StepOutput(step=self._step, text=text))

    def close(self) -> None:
        if self._log:
            self._log.close()
            self._log = None

    def failure(self, message: str, where: Location, *, registry: str = "REGISTRY") -> LoopError:
        """The error of what just ended, with all that it wrote; ``registry`` is the one that it talked to."""
        text = "\n".join(self._lines)
        hint = next((hint for pattern, hint in _HINTS if re.search(pattern, text, re.IGNORECASE)), "")
        return LoopError(
            message,
            where=where,
            detail=text or None,
            hint=hint.format(registry=registry) or f"the output is kept in {self._file}",
        )
