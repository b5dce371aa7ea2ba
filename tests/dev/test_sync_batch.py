"""Batches as a function of what is here and what is there, against a model of a container."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from innerloop.dev.sync.batch import Batch, make_batch, make_remote
from innerloop.dev.sync.local_tree import FILE, FOLDER, LINK, Entry, Key, LocalTree

Tree = dict[Key, Entry]

contents = st.sampled_from([b"", b"x", b"y", b"z"])
entries = st.one_of(
    st.builds(
        lambda content, mode: Entry(FILE, mode, len(content), hashlib.sha256(content).digest()),
        contents,
        st.sampled_from([0o644, 0o755]),
    ),
    st.just(Entry(LINK, 0, 1, hashlib.sha256(b"t").digest())),
    st.just(Entry(FOLDER, 0o755, 0, bytes(32))),
)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """A tree in which every entry's folder is a folder."""
    tree: Tree = {Key(0, b""): Entry(FOLDER, 0o755, 0, bytes(32))}
    names = st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=3).map(b"/".join)
    for path in sorted(draw(st.lists(names, max_size=12, unique=True))):
        key = Key(0, path)
        if tree.get(key.folder) and tree[key.folder].kind == FOLDER:
            tree[key] = draw(entries)
    return tree


def local(entries: Tree, former: Tree) -> LocalTree:
    tree = LocalTree([])
    tree.entries = dict(entries)
    tree.deleted = former.keys() - entries.keys()
    return tree


def carry_out(batch: Batch, container: Tree, wanted: Tree) -> Tree:
    """What the helper would do; fails where the helper would."""
    result = dict(container)

    def has_inside(key: Key) -> bool:
        return any(other != key and other.folder == key for other in result)

    def make_place(key: Key) -> None:
        assert result.get(key.folder, Entry(FOLDER, 0, 0, b"")).kind == FOLDER, f"{key.folder} is no folder"
        assert not has_inside(key), f"{key} is a folder with something in it"

    def delete(key: Key) -> None:
        assert not has_inside(key), f"{key} is deleted with something in it"
        result.pop(key, None)

    for key in batch.making_place:
        delete(key)
    for key in batch.folders:
        if result.get(key, wanted[key]).kind != FOLDER:
            make_place(key)
        result[key] = wanted[key]
    for old, new in batch.renames:
        make_place(new)
        assert result[old].digest == wanted[new].digest
        del result[old]
        result[new] = wanted[new]
    for key in batch.contents:
        make_place(key)
        result[key] = wanted[key]
    for key in batch.modes:
        result[key] = result[key]._replace(mode=wanted[key].mode)
    for key in batch.deletions:
        delete(key)
    return result


@given(trees(), trees())
def test_container_gets_what_is_here(before: Tree, after: Tree) -> None:
    tree = local(after, before)
    batch = make_batch({*before, *after}, tree, before)
    assert carry_out(batch, before, after) == after


@given(trees(), trees())
def test_unknown_container_gets_what_is_here(before: Tree, after: Tree) -> None:
    tree = local(after, before)
    batch = make_batch({*before, *after}, tree, {})
    assert carry_out(batch, before, after) == after


@given(trees())
def test_nothing_is_sent_when_nothing_differs(tree: Tree) -> None:
    assert not make_batch(tree, local(tree, {}), tree)


@given(trees(), trees(), st.data())
def test_batches_of_parts_add_up(before: Tree, after: Tree, data: st.DataObject) -> None:
    """Changes of files that stay files come in any grouping."""
    keys = [key for key in after if before.get(key, after[key]).kind == after[key].kind == FILE and key in before]
    part = data.draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    container = dict(before)
    wanted = {**before, **{key: after[key] for key in keys}}
    for chosen in (part, keys):
        batch = make_batch(chosen, local(wanted, {}), container)
        container = carry_out(batch, container, wanted)
    assert container == wanted


def test_moved_file_is_a_rename() -> None:
    entry = Entry(FILE, 0o644, 1, b"digest")
    tree = local({Key(0, b"new"): entry}, {Key(0, b"old"): entry})
    keys = [Key(0, b"old"), Key(0, b"new")]
    assert make_batch(keys, tree, {Key(0, b"old"): entry}).renames == [(keys[0], keys[1])]
    batch = make_batch(keys, tree, {Key(0, b"old"): entry}, not_renamed={keys[1]})
    assert (batch.renames, batch.contents, batch.deletions) == ([], [keys[1]], [keys[0]])


def test_file_moved_to_where_a_folder_was_finds_place() -> None:
    folder, x, y = (Entry(FOLDER, 0o755, 0, b""), Entry(FILE, 0o644, 1, b"x"), Entry(FILE, 0o644, 1, b"y"))
    before = {Key(0, b""): folder, Key(0, b"b"): folder, Key(0, b"b/c"): y, Key(0, b"x"): x}
    after = {Key(0, b""): folder, Key(0, b"b"): x}
    batch = make_batch({*before, *after}, local(after, before), before)
    assert carry_out(batch, before, after) == after


def test_file_whose_mode_alone_differs_is_not_sent() -> None:
    entry = Entry(FILE, 0o755, 1, b"digest")
    key = Key(0, b"run.sh")
    remote = make_remote([(key, entry)], bytes([4]))
    assert make_batch([key], local({key: entry}, {}), remote).modes == [key]
