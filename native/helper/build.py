"""Builds loop-helper for the containers' architectures into src/innerloop/dev/helper.

The compiler is Zig's (the wheel ``ziglang``), because it carries musl for every target. Results are kept outside the
checkout by content: a fresh clone on a machine that built the same sources before compiles nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from innerloop.paths import cache_dir

SOURCES = Path(__file__).parent
FUZZ = SOURCES / "fuzz"
OUTPUT = SOURCES.parents[1] / "src/innerloop/dev/helper"
TARGETS = {"amd64": "x86_64-linux-musl", "arm64": "aarch64-linux-musl"}
FLAGS = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-static", "-s")
MAX_SIZE = 100 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("architectures", nargs="*", help=f"some of {', '.join(TARGETS)}; all unless told")
    parser.add_argument("--fuzzer", action="store_true", help="only what feeds the program arbitrary frames")
    arguments = parser.parse_args()
    if arguments.fuzzer:
        print(build_fuzzer())
        return
    for architecture in arguments.architectures or TARGETS:
        built = build(architecture)
        place = OUTPUT / f"loop-helper-linux-{architecture}"
        temporary = place.with_suffix(".tmp")
        shutil.copyfile(built, temporary)
        temporary.chmod(0o755)
        temporary.replace(place)
        print(os.path.relpath(place))


def build(architecture: str) -> Path:
    """The program for an architecture, compiled unless the same sources were compiled before."""
    command = [sys.executable, "-m", "ziglang", "cc", "-target", TARGETS[architecture], *FLAGS]
    result = _kept(architecture, command, _sources())
    if not result.exists():
        print(f"compiling loop-helper for {architecture} (the first time takes a minute)", flush=True)
        _compile(command, _sources(), result)
    if result.stat().st_size > MAX_SIZE:
        raise SystemExit(f"{result} is larger than {MAX_SIZE} bytes")
    return result


def build_sanitized() -> Path:
    """A program for this machine that ends with a report on a wrong memory access or undefined behaviour.

    The address sanitizer comes with the system's compiler only; without one, undefined behaviour is checked alone.
    """
    return _build_checked("sanitized", _sources())


def build_fuzzer() -> Path:
    """The receiver with those checks, and what makes streams of frames for it (``fuzz/``)."""
    left_out = (SOURCES / "main.c", SOURCES / "succession.c")
    sources = [source for source in _sources(SOURCES, FUZZ) if source not in left_out]
    return _build_checked("fuzz", sources, "-Wl,--wrap=poll,--wrap=monotonic_ms")


def _build_checked(name: str, sources: list[Path], *flags: str) -> Path:
    system = shutil.which("cc")
    compiler = [system] if system else [sys.executable, "-m", "ziglang", "cc"]
    checks = "address,undefined" if system else "undefined"
    # at fixed places: addr2line finds them also where the report could not
    command = [*compiler, "-std=c11", "-g", "-O1", "-no-pie", f"-fsanitize={checks}", "-fno-sanitize-recover=all"]
    command += flags
    result = _kept(name, command, sources)
    if not result.exists():
        _compile(command, sources, result)
    return result


def _sources(*folders: Path) -> list[Path]:
    return sorted(source for folder in folders or (SOURCES,) for source in folder.glob("*.c"))


def _kept(name: str, command: list[str], sources: list[Path]) -> Path:
    key = hashlib.sha256(f"{version('ziglang')} {command[1:]}".encode())
    for source in [*sources, *SOURCES.glob("*.h"), *FUZZ.glob("*.h")]:
        key.update(f"{source.name}\0".encode() + source.read_bytes())
    return cache_dir() / "helper" / f"{name}-{key.hexdigest()[:32]}"


def _compile(command: list[str], sources: list[Path], result: Path) -> None:
    zig_cache = str(cache_dir() / "zig")
    result.parent.mkdir(parents=True, exist_ok=True)
    temporary = result.with_suffix(f".{os.getpid()}")
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": zig_cache, "ZIG_LOCAL_CACHE_DIR": zig_cache}
    subprocess.run([*command, "-o", str(temporary), *map(str, sources)], env=environment, check=True)
    temporary.replace(result)


if __name__ == "__main__":
    main()
