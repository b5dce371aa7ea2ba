"""What changes a content tag, and what does not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from innerloop.build import context as contexts
from innerloop.build.tags import content_tag
from tests.build.conftest import Shop


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda shop: shop.write("serve", "other"), id="content"),
        pytest.param(lambda shop: shop.write("new", ""), id="new file"),
        pytest.param(lambda shop: (shop.context / "serve").unlink(), id="file gone"),
        pytest.param(lambda shop: (shop.context / "serve").rename(shop.context / "other"), id="file renamed"),
        pytest.param(lambda shop: (shop.context / "serve").chmod(0o755), id="executable"),
        pytest.param(lambda shop: (shop.context / "empty").mkdir(), id="empty folder"),
        pytest.param(lambda shop: (shop.context / "link").symlink_to("serve"), id="link"),
        pytest.param(lambda shop: shop.write("Dockerfile", "FROM scratch\n"), id="Dockerfile"),
        pytest.param(lambda shop: shop.write(".dockerignore", "serve"), id="left out"),
    ],
)
def test_a_change_of_the_context_changes_the_tag(shop: Shop, change: Callable[[Shop], None]) -> None:
    before = content_tag(shop.image())
    change(shop)
    assert content_tag(shop.image()) != before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda shop: os.utime(shop.context / "serve", (1, 1)), id="times"),
        pytest.param(lambda shop: (shop.context / "serve").chmod(0o600), id="other mode bits"),
        pytest.param(lambda shop: shop.write("notes.md", "changed"), id="ignored file"),
        pytest.param(lambda shop: (shop.context / ".loop").mkdir(), id="our own state"),
    ],
)
def test_what_no_builder_sees_leaves_the_tag(shop: Shop, change: Callable[[Shop], None]) -> None:
    shop.write(".dockerignore", "*.md\n")
    before = content_tag(shop.image())
    change(shop)
    assert content_tag(shop.image()) == before


def test_a_link_counts_by_its_target(shop: Shop) -> None:
    link = shop.context / "link"
    link.symlink_to("serve")
    before = content_tag(shop.image())
    link.unlink()
    link.symlink_to("Dockerfile")
    assert content_tag(shop.image()) != before


def test_only_declared_arguments_count(shop: Shop) -> None:
    plain = content_tag(shop.image())
    assert content_tag(shop.image(args={"OTHER": "1"})) == plain
    assert content_tag(shop.image(args={"GREETING": "1"})) != plain


def test_target_platform_and_names_of_secrets_count(shop: Shop) -> None:
    changed = [shop.image(target="x"), shop.image(platform="linux/arm64"), shop.image(secrets={"a": shop.folder / "a"})]
    tags = {content_tag(image) for image in [shop.image(), *changed]}
    assert len(tags) == 4


def test_the_builder_does_not_count(shop: Shop) -> None:
    assert content_tag(shop.image(builder="docker")) == content_tag(shop.image(builder=None))


def test_a_known_base_image_counts(shop: Shop) -> None:
    shop.write("Dockerfile", "FROM base:1\n")
    tags = {content_tag(shop.image(), base_digests={"base:1": digest}) for digest in ("sha256:a", "sha256:b", "")}
    assert len(tags) == 3


def test_an_edit_of_equal_size_within_one_clock_tick_is_seen(shop: Shop) -> None:
    file = shop.context / "serve"
    tags = set()
    for number in range(200):
        file.write_text(f"{number:03}")
        os.utime(file, ns=(0, 0))
        tags.add(content_tag(shop.image()))
    assert len(tags) == 200


def test_an_old_file_that_did_not_change_is_not_read_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time_ns() + contexts.TICK_NS + 1_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: later)
    before = content_tag(shop.image())
    monkeypatch.setattr(contexts, "_file_digest", None)
    assert content_tag(shop.image()) == before


def test_many_files_are_hashed_in_time(home: Path, tmp_path: Path) -> None:
    big = Shop(tmp_path / "big")
    for folder in range(20):
        (big.context / f"{folder}").mkdir()
        for file in range(100):
            big.write(f"{folder}/{file}.py", f"{folder} {file}\n" * 50)
    started = time.perf_counter()
    content_tag(big.image())
    # 20,000 files in 2 s, and room for a busy machine
    assert time.perf_counter() - started < 2
