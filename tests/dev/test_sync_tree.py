"""What the local tree takes note of, on real files."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from innerloop.dev.sync.local_tree import FILE, FOLDER, LINK, Entry, Key, LocalTree, Look, SyncRoot, sync_root
from innerloop.dev.sync.looking import look
from innerloop.project import SyncPath

EVERYTHING = Key(0, b"")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "sub/deep").mkdir(parents=True)
    (folder / "a").write_bytes(b"1")
    (folder / "sub/b").write_bytes(b"2")
    (folder / "sub/deep/c").write_bytes(b"3")
    return folder


@pytest.fixture
def tree(root: Path) -> LocalTree:
    tree = LocalTree([SyncRoot(root, "/app")])
    assert paths(changes(tree)) == {"", "a", "sub", "sub/b", "sub/deep", "sub/deep/c"}
    return tree


def counts(path: str, folder: bool) -> bool:
    return path.endswith(".log")


def changes(tree: LocalTree, *names: str) -> set[Key]:
    """What a look at some paths, or at all, finds changed."""
    keys = [Key(0, os.fsencode(name)) for name in names] or [EVERYTHING]
    return tree.take(look(tree, keys, {0: counts}), lambda key, folder: counts(os.fsdecode(key.path), folder))


def paths(keys: set[Key]) -> set[str]:
    return {os.fsdecode(key.path) for key in keys}


def test_entries_have_kind_mode_size_and_digest(tree: LocalTree, root: Path) -> None:
    (root / "a").chmod(0o750)
    (root / "link").symlink_to("sub/b")
    (root / "sub").chmod(0o700)
    assert paths(changes(tree)) == {"a", "link", "sub"}
    assert tree.entries[Key(0, b"a")] == Entry(FILE, 0o750, 1, hashlib.sha256(b"1").digest())
    assert tree.entries[Key(0, b"link")] == Entry(LINK, 0, 5, hashlib.sha256(b"sub/b").digest())
    assert tree.entries[Key(0, b"sub")] == Entry(FOLDER, 0o700, 0, bytes(32))


def test_edit_that_keeps_size_and_times_is_seen(tree: LocalTree, root: Path) -> None:
    before = (root / "a").stat()
    (root / "a").write_bytes(b"9")
    os.utime(root / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert paths(changes(tree, "a")) == {"a"}


@pytest.mark.parametrize(("room", "kept"), [(0, 0), (1, 1), (2, 2), (3, 3), (100, 3)])
def test_what_small_files_hold_is_kept_as_far_as_there_is_room(tree: LocalTree, room: int, kept: int) -> None:
    seen = look(tree, [EVERYTHING], {0: counts}, room=room)
    assert len(seen.contents) == kept
    assert all(content.digest == hashlib.sha256(content.data).digest() for content in seen.contents.values())


def test_what_a_file_holds_is_not_kept_while_it_is_written(tree: LocalTree, root: Path) -> None:
    with (root / "a").open("a"):
        assert look(tree, [Key(0, b"a")], {0: counts}, room=100).contents == {}
    assert look(tree, [Key(0, b"a")], {0: counts}, room=100).contents[Key(0, b"a")].data == b"1"


def test_save_without_a_difference_is_no_change(tree: LocalTree, root: Path) -> None:
    (root / "a").write_bytes(b"1")
    assert changes(tree, "a") == set()


def test_only_a_changed_mode_is_meant_exactly(tree: LocalTree, root: Path) -> None:
    (root / "a").write_bytes(b"new")
    (root / "sub/b").chmod(0o755)
    changes(tree)
    assert tree.exact == {Key(0, b"sub/b")}


def test_mode_of_what_was_made_anew_is_meant_exactly(tree: LocalTree, root: Path) -> None:
    (root / "a").unlink()
    changes(tree, "a")
    (root / "a").write_bytes(b"new")
    (root / "sub/b").unlink()
    (root / "sub/b").symlink_to("a")
    changes(tree)
    assert tree.exact == {Key(0, b"a"), Key(0, b"sub/b")}


def test_deleted_file_and_folder_are_remembered(tree: LocalTree, root: Path) -> None:
    (root / "a").unlink()
    shutil.rmtree(root / "sub")
    assert paths(changes(tree, "a", "sub")) == {"a", "sub", "sub/b", "sub/deep", "sub/deep/c"}
    assert paths(tree.deleted) == {"a", "sub", "sub/b", "sub/deep", "sub/deep/c"}
    assert paths(set(tree.entries)) == {""}


def test_deletion_is_forgotten_when_the_path_is_back(tree: LocalTree, root: Path) -> None:
    (root / "a").unlink()
    changes(tree, "a")
    (root / "a").write_bytes(b"1")
    assert paths(changes(tree, "a")) == {"a"}
    assert tree.deleted == set()


def test_look_at_a_folder_finds_what_is_new_and_gone_in_it(tree: LocalTree, root: Path) -> None:
    (root / "sub/deep/c").unlink()
    (root / "sub/new").mkdir()
    (root / "sub/new/d").write_bytes(b"4")
    assert paths(changes(tree, "sub")) == {"sub/deep/c", "sub/new", "sub/new/d"}


def test_folder_that_became_a_file_loses_what_was_in_it(tree: LocalTree, root: Path) -> None:
    shutil.rmtree(root / "sub")
    (root / "sub").write_bytes(b"file")
    assert paths(changes(tree, "sub")) == {"sub", "sub/b", "sub/deep", "sub/deep/c"}
    assert tree.entries[Key(0, b"sub")].kind == FILE


def test_path_that_leads_over_a_link_is_gone(tree: LocalTree, root: Path) -> None:
    (root / "sub").rename(root / "moved")
    (root / "sub").symlink_to("moved")
    assert paths(changes(tree, "sub/b", "sub/deep")) == {"sub/b", "sub/deep", "sub/deep/c"}
    assert paths(changes(tree, "sub", "moved")) == {"sub", "moved", "moved/b", "moved/deep", "moved/deep/c"}


def test_path_in_what_was_a_file_brings_its_folder(tree: LocalTree, root: Path) -> None:
    (root / "a").unlink()
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/c").write_bytes(b"1")
    assert paths(changes(tree, "a/b/c")) == {"a", "a/b", "a/b/c"}


def test_ignored_files_are_not_there_and_becoming_ignored_is_no_deletion(tree: LocalTree, root: Path) -> None:
    (root / "x.log").write_bytes(b"1")
    assert changes(tree) == set()
    everything = look(tree, [EVERYTHING], {0: lambda path, folder: path in ("a", "x.log")})
    assert tree.take(everything, lambda key, folder: key.path == b"a") == set()
    assert Key(0, b"a") not in tree.entries
    assert tree.deleted == set()


def test_root_that_is_gone_is_an_error_and_deletes_nothing(tree: LocalTree, root: Path) -> None:
    root.rename(root.parent / "elsewhere")
    found = look(tree, [EVERYTHING], {0: counts})
    assert list(found.errors) == [EVERYTHING]
    assert tree.take(found, lambda key, folder: False) == set()
    assert len(tree.entries) == 6


def test_unreadable_folder_deletes_nothing(tree: LocalTree) -> None:
    found = {key: entry for key, entry in tree.entries.items() if not key.path.startswith(b"sub/")}
    unreadable = Look([EVERYTHING], found, {Key(0, b"sub"): PermissionError()}, {}, {})
    assert tree.take(unreadable, lambda key, folder: False) == set()


def test_pipes_are_not_there(tree: LocalTree, root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert changes(tree) == set()


def test_links_to_folders_are_not_followed_but_the_root_is(tmp_path: Path, root: Path) -> None:
    (root / "loop").symlink_to(".")
    (tmp_path / "alias").symlink_to(root)
    tree = LocalTree([SyncRoot(tmp_path / "alias", "/app")])
    assert paths(changes(tree)) == {"", "a", "loop", "sub", "sub/b", "sub/deep", "sub/deep/c"}


@pytest.mark.parametrize(
    ("remote", "folder", "name"),
    [("/etc/app.conf", "/etc", b"app.conf"), ("/etc/", "/etc", b"a"), ("/conf", "/", b"conf"), ("/", "/", b"a")],
)
def test_single_file_is_kept_in_the_folder_that_holds_it(root: Path, remote: str, folder: str, name: bytes) -> None:
    file = sync_root(SyncPath(local=root / "a", remote=remote))
    assert (file.remote, file.only) == (folder, name)
    tree = LocalTree([file])
    assert list(tree.keys(str(root / "a"))) == [Key(0, name)]
    assert list(tree.keys(str(root / "sub/b"))) == []
    assert tree.take(look(tree, [Key(0, name)], {}), lambda key, folder: False) == {Key(0, name)}


def test_path_in_overlapping_roots_has_a_key_in_each(root: Path) -> None:
    tree = LocalTree([SyncRoot(root, "/app"), SyncRoot(root / "sub", "/lib")])
    assert list(tree.keys(str(root / "sub/b"))) == [Key(0, b"sub/b"), Key(1, b"b")]
