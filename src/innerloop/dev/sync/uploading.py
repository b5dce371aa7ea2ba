"""The helper in a container that has it not mounted, because its pod is someone else's: brought there by exec.

The container needs ``sh``, ``uname``, ``head``, ``wc``, ``chmod``, ``mv`` and ``rm``, which busybox, Alpine and Debian
have, and a folder where its user may write and run programs.
"""

from __future__ import annotations

import hashlib
from functools import cache

from innerloop.dev import helper
from innerloop.dev.pods import PodContainer
from innerloop.errors import LoopError
from innerloop.events import Notice
from innerloop.kube import execution
from innerloop.kube.client import Client
from innerloop.project import DevTarget

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
"""``uname -m`` to the architecture's name in Kubernetes."""
FOLDERS = ("/tmp", "/var/tmp", "/dev/shm", "/run", "$HOME")
UPLOAD_SECONDS = 30

_FIND = f"""\
uname -m
for folder in {" ".join(f'"{folder}"' for folder in FOLDERS)}; do
  try="$folder/.loop-try.$$"
  trap 'rm -f "$try"' EXIT
  trap 'exit 1' HUP TERM
  if (printf '#!/bin/sh\\n' > "$try") 2>/dev/null && chmod 700 "$try" && "$try" 2>/dev/null; then
    cd "$folder" && pwd
    exit
  fi
  rm -f "$try"
done
"""
"""Tells the machine, and a folder where a program can be written and run; many are mounted noexec."""

_PUT = """\
umask 077
limit=
timeout 1 true 2> /dev/null && limit="timeout $3"
if [ -f "$1" ] && [ -O "$1" ] && [ -x "$1" ] && [ "$(wc -c < "$1")" -eq "$2" ]; then
  $limit head -c "$2" > /dev/null
  exit
fi
part="$1.$$"
trap 'rm -f "$part"' EXIT
trap 'exit 1' HUP TERM
$limit head -c "$2" > "$part" && [ "$(wc -c < "$part")" -eq "$2" ] && chmod 700 "$part" && mv -f "$part" "$1"
"""
"""Puts stdin, of the size $2, to the path $1: complete, or not at all. ``head`` needs no end of its input, which not
every cluster can tell it; nor do all tell when the connection broke, so it waits for $3 seconds at most."""


async def upload(client: Client, namespace: str, container: PodContainer) -> str:
    """Bring the program into a container, if it is not there from an earlier time; returns its path.

    Raises LoopError when the container has no shell, nowhere to write a program, or nothing that can be run there.
    """
    place = (namespace, container.pod, container.container)
    found = await execution.run(client, *place, ["sh", "-c", _FIND])
    machine, *folders = found.stdout.decode(errors="replace").splitlines() or [""]
    if machine not in MACHINES:
        raise LoopError(f"cannot bring the helper to a machine that is called '{machine}'")
    if not folders:
        raise LoopError("the container has no folder where its user may write and run a program")
    data = helper.program(MACHINES[machine])
    path = f"{folders[0].rstrip('/')}/{_name(data)}"
    command = ["sh", "-c", _PUT, "sh", path, str(len(data)), str(UPLOAD_SECONDS)]
    put = await execution.run(client, *place, command, input=data)
    if put.code:
        raise LoopError(f"cannot write {path}", detail=put.stderr.decode(errors="replace").strip())
    return path


@cache
def _name(data: bytes) -> str:
    return f".loop-helper-{hashlib.sha256(data).hexdigest()[:12]}"


def uploaded_notice(target: DevTarget, container: PodContainer, program: str) -> Notice:
    """What a user has to know of a container that gets the helper this way."""
    given = {
        "command": target.command,
        "workingDir": target.working_dir,
        "env": target.env,
        "restart": target.restart,
        "signal": any(action.signal for action in target.actions),
    }
    without = [name for name, value in given.items() if value]
    return Notice(
        level="warning" if without else "info",
        message=f"{target.name}: {container.pod} was not set up for development: the helper was copied to {program}",
        detail="files are synced; its process is not run by the helper, so it can be neither restarted nor signalled"
        + (f": {', '.join(without)} have no effect" if without else ""),
    )
