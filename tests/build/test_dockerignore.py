"""Our reading of .dockerignore against Moby's own matcher."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from innerloop.build.dockerignore import ignore_file, parse_ignore, read_ignore
from innerloop.errors import LoopError

Ask = Callable[[str, list[str]], dict[str, Any]]

PATHS = [
    "a", "b", "ab", "abc", "a/b", "a/b/c", "b/a", "a.b", ".a", "a/.a", "a-b", "x/a/b/c.b", "c/ab/abc", "a/b/a/b", "é/a",
]  # fmt: skip


@pytest.fixture(scope="module")
def moby(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Ask Moby's matcher, compiled from its module."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go compiler")
    program = tmp_path_factory.mktemp("moby") / "moby"
    subprocess.run([go, "build", "-o", program, "."], cwd=Path(__file__).parent / "moby", check=True)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        stdin, stdout = process.stdin, process.stdout

        def ask(ignore: str, paths: list[str]) -> dict[str, Any]:
            stdin.write(json.dumps({"ignore": ignore, "paths": paths}).encode() + b"\n")
            stdin.flush()
            answer: dict[str, Any] = json.loads(stdout.readline())
            return answer

        yield ask
        stdin.close()


def agrees(ask: Ask, text: str) -> None:
    answer = ask(text, PATHS)
    if answer["error"]:
        with pytest.raises(LoopError):
            parse_ignore(text)
        return
    ignore = parse_ignore(text)
    expected = [docker and walk for docker, walk in zip(answer["docker"], answer["walk"], strict=True)]
    assert [ignore.excludes(path) for path in PATHS] == expected


piece = st.sampled_from(["a", "b", "c", ".", "/", "*", "**", "?", "[ab]", "[^a]", "\\-", "-", " ", "é"])
line = st.builds(lambda sign, parts: sign + "".join(parts), st.sampled_from(["", "", "!", "#", "/"]), st.lists(piece))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(line, max_size=5))
def test_any_ignore_file_reads_as_in_moby(moby: Ask, lines: list[str]) -> None:
    agrees(moby, "\n".join(lines))


@pytest.mark.parametrize(
    "text",
    [
        "*\n!a\n",
        "**\n!a/b/c\n",
        "a\n!a/b\na*\n",
        "a/b\n!a\n",
        "**/b\n",
        "**b",
        "a**",
        "a/**/c",
        "**/*.b\n!x/**/c.b",
        "/a\n./b\nc/../ab\n",
        "\ufeffa\n",
        "# a\n  b  \n",
        "!",
        "!/",
        "[",
        "[]a]",
        "[a-]",
        "a\\",
        "[a-c]",
        "[c-a]",
        "a.b\r\n!a\r\n",
    ],
)
def test_this_ignore_file_reads_as_in_moby(moby: Ask, text: str) -> None:
    agrees(moby, text)


def test_a_bad_pattern_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / ".dockerignore"
    file.write_text("a\nb[\n")
    with pytest.raises(LoopError) as failure:
        read_ignore(file)
    assert str(failure.value) == f"{file}:2: 'b[' is no valid pattern"


def test_an_ignore_file_of_the_dockerfile_comes_before_that_of_the_context(tmp_path: Path) -> None:
    dockerfile = tmp_path / "docker" / "web.Dockerfile"
    assert ignore_file(tmp_path, dockerfile) is None
    (tmp_path / ".dockerignore").touch()
    assert ignore_file(tmp_path, dockerfile) == tmp_path / ".dockerignore"
    dockerfile.parent.mkdir()
    (own := tmp_path / "docker" / "web.Dockerfile.dockerignore").touch()
    assert ignore_file(tmp_path, dockerfile) == own


def test_folders_left_out_are_entered_only_where_an_exception_can_match() -> None:
    assert parse_ignore("*\n!a/b").may_count_below("a")
    assert not parse_ignore("*\n!a/b").may_count_below("c")
    assert parse_ignore("*\n!**/b").may_count_below("c")
