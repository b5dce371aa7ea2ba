from __future__ import annotations

import secrets

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.deploy import records
from innerloop.deploy.identity import Owner
from innerloop.deploy.records import Entry, Inventory, State
from innerloop.errors import LoopError
from innerloop.manifest import ObjectKey

OWNER = Owner(repository="github.com/acme/vote", origin="ann@laptop:/src/vote")

words = st.text(alphabet="abcxyz019.-", min_size=1, max_size=20).filter(lambda word: word != "-")
keys = st.builds(
    ObjectKey,
    st.sampled_from(["v1", "apps/v1", "example.com/v1alpha1"]),
    st.sampled_from(["ConfigMap", "Deployment", "Widget"]),
    st.one_of(st.just(""), words),
    # names of RBAC objects: anything but / and %
    st.text(st.characters(codec="utf-8", exclude_characters="/%"), min_size=1).filter(lambda name: name != "-"),
)
entries = st.builds(Entry, keys, st.sampled_from(State), st.sampled_from(["", "4f0c"]), st.sampled_from(["", "abc1"]))


def config_map(inventory: Inventory) -> dict[str, object]:
    content = records.encode(inventory)
    content = {part: {k: v for k, v in values.items() if v is not None} for part, values in content.items()}
    metadata = {"name": records.config_map_name(inventory.project), "namespace": inventory.namespace}
    return {"metadata": metadata, **content}


def large(count: int) -> Inventory:
    made = (
        Entry(ObjectKey("v1", "ConfigMap", "shop", f"settings-{n}"), State.CREATED, secrets.token_hex(18), "0" * 12)
        for n in range(count)
    )
    return Inventory("vote", "shop", OWNER).with_entries(made)


@given(st.lists(entries))
def test_every_inventory_survives_the_config_map(listed: list[Entry]) -> None:
    inventory = Inventory("vote", "shop", OWNER).with_entries(listed)
    assert records.decode(config_map(inventory)) == inventory


def test_long_inventory_is_compressed_below_the_limit() -> None:
    inventory = large(8000)
    encoded = config_map(inventory)
    assert len(msgspec.json.encode(encoded)) < records.LIMIT_BYTES
    assert records.decode(encoded) == inventory


def test_inventory_beyond_the_limit_is_refused() -> None:
    with pytest.raises(LoopError, match="40000 objects, too many"):
        records.encode(large(40000))


def test_other_api_version_is_the_same_object() -> None:
    old = Entry(ObjectKey("batch/v1beta1", "CronJob", "shop", "tidy"), State.CREATED, "1")
    new = Entry(ObjectKey("batch/v1", "CronJob", "shop", "tidy"), State.CREATED, "1")
    inventory = Inventory("vote", "shop", OWNER).with_entries([old]).with_entries([new])
    assert list(inventory.entries.values()) == [new]


def test_newer_format_is_refused() -> None:
    newer = config_map(large(1))
    newer["data"] = {"format": "9"}
    with pytest.raises(LoopError, match="format 9"):
        records.decode(newer)


@pytest.mark.parametrize("objects", ["nonsense", "made-up 1 2 v1 Pod shop web"])
def test_damaged_list_is_refused(objects: str) -> None:
    damaged = config_map(large(1))
    damaged["data"] = {"format": "1", "objects": objects}
    with pytest.raises(LoopError, match="damaged"):
        records.decode(damaged)


def test_projects_whose_names_look_alike_have_inventories_of_their_own() -> None:
    names = {records.config_map_name(name) for name in ("vote", "Vote", "VOTE", "vote_", "vote-")}
    assert len(names) == 5


def test_hash_ignores_the_order_of_keys() -> None:
    assert records.manifest_hash({"a": 1, "b": 2}) == records.manifest_hash({"b": 2, "a": 1})


def test_hash_sees_values() -> None:
    assert records.manifest_hash({"a": 1}) != records.manifest_hash({"a": "1"})
