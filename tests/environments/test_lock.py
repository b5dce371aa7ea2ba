"""The file loop.lock: written, read, merged by git, and every mistake in it."""

from __future__ import annotations

import msgspec
import pytest

from innerloop.errors import LoopError
from innerloop.gitops.environments.lock import Lock, LockedImage, LockedSource, read_lock, write_lock
from tests.environments.conftest import Shop

DIGEST = "sha256:" + "a1" * 32


def image(digit: str) -> LockedImage:
    return LockedImage(digest=f"sha256:{digit * 64}", tag=digit * 20, inputs=digit * 20, commit=digit * 40)


FULL = Lock(
    engines={"kustomize": "v5.8.0", "helm": "v4.2.0"},
    images={"example.com/b": image("b"), "example.com/a": image("1")},
    third_party_images={"docker.io/library/redis:7": DIGEST},
    charts={"oci://example.com/redis ^1.2": LockedSource(version="1.20", digest=DIGEST)},
    bases={"https://example.com/a.git?ref=v1": LockedSource(version="v1", digest=DIGEST)},
)


def test_what_is_written_is_read_back(shop: Shop) -> None:
    assert write_lock(shop.folder, FULL) is True
    assert read_lock(shop.folder) == FULL


def test_it_is_sorted_and_tells_what_it_is(shop: Shop) -> None:
    write_lock(shop.folder, FULL)
    text = (shop.folder / "loop.lock").read_text()
    assert text.startswith("# What the environments are rendered with")
    assert text.index("helm:") < text.index("kustomize:") < text.index("example.com/a:") < text.index("example.com/b:")


def test_the_same_lock_is_not_written_again(shop: Shop) -> None:
    write_lock(shop.folder, FULL)
    before = (shop.folder / "loop.lock").stat().st_ino
    assert write_lock(shop.folder, FULL) is False
    assert (shop.folder / "loop.lock").stat().st_ino == before


def test_others_may_read_it(shop: Shop) -> None:
    write_lock(shop.folder, FULL)
    assert (shop.folder / "loop.lock").stat().st_mode & 0o777 == 0o644


def test_a_project_without_one_has_none(shop: Shop) -> None:
    assert read_lock(shop.folder) is None


def test_branches_that_lock_different_images_merge(shop: Shop) -> None:
    def locked(**images: LockedImage) -> None:
        named = {f"example.com/{name}": image for name, image in images.items()}
        write_lock(shop.folder, msgspec.structs.replace(FULL, images=named))
        shop.commit()

    locked(a=image("1"), b=image("2"))
    shop.git("switch", "--quiet", "--create", "other")
    locked(a=image("1"), b=image("3"))
    shop.git("switch", "--quiet", "-")
    locked(a=image("4"), b=image("2"))
    shop.git("merge", "--quiet", "other")
    merged = read_lock(shop.folder)
    assert merged is not None
    assert merged.images == {"example.com/a": image("4"), "example.com/b": image("3")}


def test_a_merge_that_was_left_open_is_told_with_its_line(shop: Shop) -> None:
    shop.write("loop.lock", "version: 1\n<<<<<<< HEAD\nengines: {helm: v1}\n=======\n>>>>>>> other\n")
    told = refused(shop)
    assert str(told).startswith("loop.lock:") and told.where is not None and told.where.line in (2, 3)
    assert told.hint == "restore it from git, or lock anew: loop build --push --lock"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 2\n", "loop.lock:1:10: the lock is of version 2, and this innerloop knows 1"),
        ("version: 1\nimages: {a: {digest: latest, tag: a, inputs: b}}\n", "loop.lock:2:22: 'latest' is no valid"),
        ("version: 1\nimages: {a: {tag: a, inputs: b}}\n", "loop.lock:2:13: images.a lacks 'digest'"),
        ("version: 1\nimagse: {}\n", "loop.lock:2:1: unknown key 'imagse'"),
        ("version: [\n", "loop.lock:2:1: "),
        ("- a\n", "loop.lock:1: a mapping is expected"),
        ("", "loop.lock:1: a mapping is expected"),
    ],
)
def test_mistakes_are_told_with_their_line(shop: Shop, text: str, message: str) -> None:
    shop.write("loop.lock", text)
    assert str(refused(shop)).startswith(message)


def test_a_lock_of_a_later_version_asks_for_an_upgrade(shop: Shop) -> None:
    shop.write("loop.lock", "version: 2\nsomething: new\n")
    assert refused(shop).hint == "upgrade innerloop"


def refused(shop: Shop) -> LoopError:
    with pytest.raises(LoopError) as failure:
        read_lock(shop.folder)
    return failure.value
