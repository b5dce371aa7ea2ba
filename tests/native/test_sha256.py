"""The helper's SHA-256, by hand and by the processor's instructions, against Python's."""

from __future__ import annotations

import ctypes
import hashlib
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).parents[2] / "native/helper"
INITIAL = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, build: Any) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("sha256")
    zig_cache = str(build.cache_dir() / "zig")
    subprocess.run(
        [
            *(sys.executable, "-m", "ziglang", "cc", "-std=c11", "-Os", "-shared", "-fPIC", "-o", folder / "sha256.so"),
            *(SOURCES / "sha256.c", SOURCES / "sha256_cpu.c"),
        ],
        env={**os.environ, "ZIG_GLOBAL_CACHE_DIR": zig_cache, "ZIG_LOCAL_CACHE_DIR": zig_cache},
        check=True,
    )
    return ctypes.CDLL(str(folder / "sha256.so"))


def digest(compress: Any, data: bytes) -> bytes:
    """By FIPS 180-4, section 5.1.1 and 6.2, with a function that takes a state and a block."""
    state = (ctypes.c_uint32 * 8)(*INITIAL)
    padded = data + b"\x80" + bytes(-(len(data) + 9) % 64) + struct.pack(">Q", 8 * len(data))
    for start in range(0, len(padded), 64):
        compress(state, padded[start : start + 64])
    return struct.pack(">8I", *state)


def test_every_way_gives_the_digests_that_everybody_computes(library: ctypes.CDLL) -> None:
    ways = [library.sha256_compress_by_hand]
    if library.sha256_cpu_can():
        ways.append(library.sha256_cpu_compress)
    for size in (0, 1, 55, 56, 63, 64, 65, 4096, 10_001):
        data = os.urandom(size)
        assert [digest(way, data).hex() for way in ways] == [hashlib.sha256(data).hexdigest()] * len(ways), size
