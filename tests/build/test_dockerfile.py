"""What is read from a Dockerfile."""

from __future__ import annotations

import pytest

from innerloop.build.dockerfile import read_dockerfile


@pytest.mark.parametrize(
    ("text", "bases"),
    [
        ("FROM python:3.12\n", ["python:3.12"]),
        ("from --platform=linux/amd64 python AS base\nFROM base\nFROM scratch\n", ["python"]),
        ("ARG V=3\nFROM python:${V}-slim\n", ["python:3-slim"]),
        ("ARG V\nFROM python:${V:-4}\n", ["python:4"]),
        ("FROM a AS one\nCOPY --from=one /x /x\nCOPY --from=b:1 /x /x\nCOPY --from=0 /x /x\n", ["a", "b:1"]),
        ("FROM a\nRUN --mount=type=bind,from=tools,target=/t make\n", ["a", "tools"]),
        ("FROM a\nRUN <<END\nFROM b\nEND\nFROM c\n", ["a", "c"]),
        ("FROM a\nCOPY <<-'END' /file\n\tFROM b\n\tEND\n", ["a"]),
        ("FROM \\\n  # a comment\n\n  a\n", ["a"]),
        ("# escape=`\nFROM `\n a\n", ["a"]),
        ("# FROM b\nFROM a # not a comment\n", ["a"]),
        ("FROM a AS b\nARG V=1\nFROM c$V\n", ["a", "c"]),
    ],
)
def test_images_from_elsewhere(text: str, bases: list[str]) -> None:
    assert list(read_dockerfile(text, {}).bases) == bases


def test_a_given_argument_chooses_the_base() -> None:
    assert read_dockerfile("ARG V=3\nFROM python:$V\n", {"V": "4"}).bases == ("python:4",)


def test_declared_arguments() -> None:
    text = 'ARG A\nFROM x\nARG B=1 C="two words"\nRUN echo ARG D\n'
    assert read_dockerfile(text, {}).arguments == {"A", "B", "C"}
