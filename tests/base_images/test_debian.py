"""Reading where a machine gets its packages from."""

from __future__ import annotations

from innerloop.cluster.base_images.debian import read_indexes

BOOKWORM = """\
Debian bookworm http://mirror.example/debian main
Debian bookworm-updates http://mirror.example/debian main
Debian bookworm-backports http://mirror.example/debian main
Debian bookworm-security http://mirror.example/debian-security main
Debian bookworm http://mirror.example/debian contrib
Vendor stable https://packages.example main
"""


def test_the_distributions_own_archive_is_taken_and_nothing_else() -> None:
    sources = read_indexes(BOOKWORM, "bookworm")
    assert sources is not None
    assert sources.mirror == "http://mirror.example/debian"
    assert sources.lines == (
        "deb http://mirror.example/debian bookworm main",
        "deb http://mirror.example/debian bookworm-updates main",
        "deb http://mirror.example/debian-security bookworm-security main",
    )


def test_a_newer_debian_gets_the_packages_of_debian_12() -> None:
    sources = read_indexes("Debian trixie http://mirror.example/debian main", "trixie")
    assert sources is not None
    assert sources.lines == ("deb http://mirror.example/debian bookworm main",)


def test_without_an_archive_of_debian_there_are_no_sources() -> None:
    assert read_indexes("Ubuntu noble http://mirror.example/ubuntu main", "noble") is None


def test_an_origin_that_apt_does_not_know_yet_is_no_archive() -> None:
    assert read_indexes("$(ORIGIN) bookworm http://mirror.example/debian main", "bookworm") is None
