"""The main job from end to end, as a developer would do it by hand, with the time that each part took.

Runs the real commands on a copy of ``examples/vote``: a cluster (the built-in one unless LOOP_CONTEXT names
another), ``loop dev``, an edit of a template, an edit of the program, ``loop purge``. Ends with exit code 0 when all
of it worked. Standard library only; ``make demo`` calls it.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).resolve().parent
LOOP = Path(sys.executable).with_name("loop")
NAMESPACE = "innerloop-demo"
URL = "http://localhost:8085/"
DEPLOY_SECONDS = 300
EDIT_SECONDS = 30
LOCKS: list[IO[str]] = []
"""What keeps a second demonstration out of the folder, for as long as this one runs."""


class Failed(Exception):
    """A part of the demonstration did not do what it should."""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--keep", action="store_true", help="leave the sample deployed")
    keep = arguments.parse_args().keep
    started = time.monotonic()
    try:
        demonstrate(working_copy(), keep=keep)
    except Failed as failure:
        print(f"\ndemo failed: {failure}", file=sys.stderr)
        return 1
    print(f"\nall of it took {time.monotonic() - started:.1f} s")
    how_to_go_on()
    return 0


def demonstrate(project: Path, *, keep: bool) -> None:
    if not os.environ.get("LOOP_CONTEXT"):
        with part("cluster"):
            loop("cluster", "up", "--install", cwd=project)
        loop("use", "context", "innerloop", cwd=project)
    loop("use", "namespace", NAMESPACE, cwd=project)
    page, program = project / "web/templates/index.html", project / "web/main.py"
    with developing(project) as session:
        with part("deploy, until ready to edit"):
            session.wait_for("ready", DEPLOY_SECONDS)
        with part(f"{URL} answered"):
            wait_until(lambda: "Cats" in fetch(), EDIT_SECONDS, "the vote page")
        with part("template edit seen, no rebuild, no restart"):
            page.write_text(page.read_text().replace("</body>", "<p>edited template</p></body>"))
            wait_until(lambda: "edited template" in fetch(), EDIT_SECONDS, "the edited template")
        with part("Python edit seen after the restart of the process"):
            program.write_text(program.read_text().replace('"Cats"', '"Kittens"'))
            wait_until(lambda: "Kittens" in fetch(), EDIT_SECONDS, "the edited program")
        if rebuilt := session.count("step-done", step="build/web") - 1:
            raise Failed(f"the image was built {rebuilt} more times for edits that sync carries")
    if not keep:
        with part("purge"):
            loop("purge", cwd=project)
    if not os.environ.get("LOOP_CONTEXT"):
        loop("cluster", "status", cwd=project)


@contextlib.contextmanager
def part(title: str) -> Iterator[None]:
    """Time one part and print a line for it."""
    started = time.monotonic()
    print(f"── {title} …", flush=True)
    yield
    print(f"── {title}: {time.monotonic() - started:.2f} s\n", flush=True)


def working_copy() -> Path:
    """A copy of the sample with its ``.env``, since the demonstration edits files.

    Always in the same place: a project is known by its folder, and may have been left deployed by a former run.
    """
    project = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "innerloop/demo/vote"
    project.parent.mkdir(parents=True, exist_ok=True)
    LOCKS.append((project.parent / ".lock").open("w"))
    try:
        fcntl.flock(LOCKS[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failed("another demonstration runs on this machine") from None
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(HERE / "vote", project, ignore=shutil.ignore_patterns(".loop", ".env", "__pycache__"))
    shutil.copy(project / ".env.template", project / ".env")
    return project


class Session:
    """A running ``loop dev -o json``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._seen: list[dict[str, Any]] = []
        threading.Thread(target=self._read, name="read events", daemon=True).start()

    def wait_for(self, kind: str, seconds: float) -> dict[str, Any]:
        """The next event of a kind; raises Failed when the session ends or the time is over before it."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                event = self._events.get(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                raise Failed(f"no {kind!r} event after {seconds:g} s") from None
            if event is None:
                raise Failed(f"loop dev ended with status {self._process.wait()}")
            self._show(event)
            if event["event"] == kind:
                return event

    def count(self, kind: str, **fields: str) -> int:
        """How many events of a kind with these fields came so far."""
        return sum(
            event["event"] == kind and all(event.get(name) == value for name, value in fields.items())
            for event in list(self._seen)
        )

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            self._seen.append(event)
            self._events.put(event)
        self._events.put(None)

    @staticmethod
    def _show(event: dict[str, Any]) -> None:
        if event["event"] in ("step-done", "step-failed"):
            print(f"   {event['title']}: {event['seconds']:.2f} s {event.get('summary', event.get('message', ''))}")
            print("".join(f"   {line}\n" for line in event.get("detail", "").splitlines()), end="")
        elif event["event"] == "notice":
            print(f"   {event['message']}")


@contextlib.contextmanager
def developing(project: Path) -> Iterator[Session]:
    """Run ``loop dev`` while the body runs; it ends by ^C, as a developer would end it."""
    process = subprocess.Popen([LOOP, "dev", "-o", "json"], cwd=project, stdout=subprocess.PIPE, text=True)
    try:
        yield Session(process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def loop(*arguments: str, cwd: Path) -> None:
    """Run one command, its output for the reader; raises Failed for another status than 0."""
    print(f"$ loop {' '.join(arguments)}", flush=True)
    code = subprocess.call([LOOP, *arguments], cwd=cwd)
    if code:
        raise Failed(f"loop {' '.join(arguments)} ended with status {code}")


def fetch() -> str:
    """The page, or nothing while it can't be had."""
    try:
        with urllib.request.urlopen(URL, timeout=2) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"{what} did not show within {seconds:g} s")
        time.sleep(0.01)


def how_to_go_on() -> None:
    context = os.environ.get("LOOP_CONTEXT", "innerloop")
    print(f"""
Go on by hand:
  cd examples/vote && cp .env.template .env
  ../../.venv/bin/loop use context {context}
  ../../.venv/bin/loop use namespace mine
  ../../.venv/bin/loop dev                # {URL}
  ../../.venv/bin/loop purge
  ../../.venv/bin/loop cluster down       # the built-in cluster, when it has served""")


if __name__ == "__main__":
    sys.exit(main())
