"""What happens when the fault is ours: a file with all that a report needs."""

from __future__ import annotations

import platform
import shlex
import sys
import time
import traceback

from innerloop import __version__
from innerloop.paths import state_dir


def report_crash(error: BaseException, arguments: list[str]) -> None:
    """Write the crash file and tell where it is; the traceback does not go to the terminal."""
    folder = state_dir() / "crashes"
    file = folder / time.strftime("crash-%Y%m%d-%H%M%S.txt")
    text = "\n".join(
        [
            f"innerloop {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"loop {shlex.join(arguments)}",
            "",
            *traceback.format_exception(error),
        ]
    )
    print(f"error: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    except OSError as problem:
        print(f"{text}\n(no crash file: {problem})", file=sys.stderr)  # noqa: T201
    else:
        print(f"This is a bug in innerloop. What a report needs is in {file}", file=sys.stderr)  # noqa: T201
