from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.cluster.builtin.addresses import Addresses, candidates, choose, overlapping
from innerloop.errors import LoopError

networks = st.builds(
    lambda address, prefix: IPv4Network((address, prefix), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(9, 32),
)


@given(st.text("abcdefgh-", min_size=1, max_size=20), st.lists(networks, max_size=30))
def test_a_chosen_block_overlaps_with_nothing_taken(name: str, taken: list[IPv4Network]) -> None:
    chosen = choose(name, taken)
    assert not overlapping(chosen, taken)


def test_a_name_always_gets_the_same_block() -> None:
    assert choose("innerloop", []) == choose("innerloop", [])


def test_two_names_get_blocks_apart() -> None:
    first = choose("one", [])
    assert not choose("one", [first.block]).block.overlaps(first.block)


def test_a_vpn_that_routes_all_of_10_leaves_other_blocks() -> None:
    assert str(choose("innerloop", [IPv4Network("10.0.0.0/8")]).block).startswith("172.")


def test_no_free_block_is_an_error() -> None:
    with pytest.raises(LoopError, match="no free block"):
        choose("innerloop", [IPv4Network("0.0.0.0/0")])


@pytest.mark.parametrize("block", list(candidates("innerloop"))[::40])
def test_link_pods_and_services_are_apart_within_the_block(block: IPv4Network) -> None:
    addresses = Addresses(block)
    link = IPv4Network(f"{addresses.machine}/{addresses.link_prefix}", strict=False)
    parts = [link, addresses.pods, addresses.services]
    assert all(part.subnet_of(block) for part in parts)
    assert not any(a.overlaps(b) for a in parts for b in parts if a is not b)
    assert addresses.node in link
    assert addresses.api_service in addresses.services
