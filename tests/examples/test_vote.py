"""The sample's front end by itself: the protocol that it speaks to Redis, and what it shows without one."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from importlib import util
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ports import free_port
from tests.waiting import until

WEB = Path(__file__).parents[2] / "examples/vote/web"


def load_votes() -> Any:
    spec = util.spec_from_file_location("votes", WEB / "votes.py")
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


votes = load_votes()


class Front(NamedTuple):
    folder: Path
    url: str

    def get(self, path: str = "/") -> tuple[int, str]:
        return self._open(urllib.request.Request(self.url + path))

    def post(self, form: str) -> tuple[int, str]:
        return self._open(urllib.request.Request(self.url + "/", data=form.encode()))

    @staticmethod
    def _open(request: urllib.request.Request) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    """A copy of the front end, answering without a Redis behind it."""
    folder = tmp_path / "web"
    shutil.copytree(WEB, folder, ignore=shutil.ignore_patterns("__pycache__"))
    port = free_port()
    env = {**os.environ, "PORT": str(port), "REDIS": "127.0.0.1", "BASE_PATH": "/vote", "TITLE": "Tea & coffee"}
    with subprocess.Popen([sys.executable, "main.py"], cwd=folder, env=env) as process:  # noqa: ASYNC220 - it is the fixture
        try:
            await until(accepts(port), what="the front end accepts connections")
            yield Front(folder, f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def accepts(port: int) -> Callable[[], bool]:
    def connected() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    return connected


@given(st.lists(st.text(), min_size=1))
def test_a_command_is_an_array_of_its_words(words: list[str]) -> None:
    assert votes.decode(io.BytesIO(votes.encode(*words))) == [word.encode() for word in words]


@pytest.mark.parametrize(
    ("reply", "value"), [(b":7\r\n", 7), (b"+OK\r\n", "OK"), (b"*2\r\n$-1\r\n$1\r\n3\r\n", [None, b"3"])]
)
def test_replies_are_read(reply: bytes, value: object) -> None:
    assert votes.decode(io.BytesIO(reply)) == value


@pytest.mark.parametrize("reply", [b"-LOADING in a moment\r\n", b"", b"HTTP/1.1 400\r\n"])
def test_an_error_is_no_value(reply: bytes) -> None:
    with pytest.raises(ValueError, match=r"LOADING|not a reply"):
        votes.decode(io.BytesIO(reply))


async def test_without_redis_the_page_says_so(front: Front) -> None:
    status, text = front.get()
    assert (status, "cannot be opened right now" in text) == (503, True)


async def test_it_stays_alive_without_redis(front: Front) -> None:
    assert front.get("/healthz") == (200, "ok\n")


async def test_an_edited_template_shows_at_the_next_request(front: Front) -> None:
    (front.folder / "templates/closed.html").write_text("<h1>Back soon: $title</h1>")
    assert front.get() == (503, "<h1>Back soon: Tea &amp; coffee</h1>")


async def test_the_path_of_the_ingress_shows_the_same(front: Front) -> None:
    assert front.get("/vote/static/style.css") == front.get("/static/style.css")


async def test_what_is_not_on_the_ballot_is_refused(front: Front) -> None:
    assert front.post("vote=mice")[0] == 400
