"""On which nodes a developed pod may land, where a cluster has several architectures."""

from __future__ import annotations

from typing import Any

import pytest

from innerloop.dev.placing import ARCHITECTURE, place

AMD, ARM, POWER = ({ARCHITECTURE: name, "pool": name} for name in ("amd64", "arm64", "ppc64le"))


def affinity(*values: str, operator: str = "In") -> dict[str, Any]:
    expression = {"key": ARCHITECTURE, "operator": operator, "values": list(values)}
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


@pytest.mark.parametrize(
    ("nodes", "made_for", "chosen"),
    [
        ([ARM, ARM], "arm64", "arm64"),
        # an image of several architectures, or one that will not run: the helper at least is right
        ([ARM], "amd64", "arm64"),
        ([AMD], None, "amd64"),
        # nobody may look at the nodes
        ([], "arm64", "arm64"),
        ([], None, "amd64"),
        ([{}], "arm64", "arm64"),
    ],
)
def test_nodes_of_one_architecture_need_no_selector(
    nodes: list[dict[str, str]], made_for: str | None, chosen: str
) -> None:
    spec: dict[str, Any] = {}
    assert place(spec, nodes, made_for) == chosen
    assert spec == {}


@pytest.mark.parametrize(
    ("nodes", "made_for", "chosen"),
    [
        ([AMD, ARM], "amd64", "amd64"),
        ([AMD, ARM], "arm64", "arm64"),
        ([ARM, AMD], None, "amd64"),
        ([POWER, ARM], "amd64", "arm64"),
    ],
)
def test_among_several_the_image_decides(nodes: list[dict[str, str]], made_for: str | None, chosen: str) -> None:
    spec: dict[str, Any] = {"nodeSelector": {"disk": "ssd"}}
    assert place(spec, nodes, made_for) == chosen
    assert spec["nodeSelector"] == {"disk": "ssd", ARCHITECTURE: chosen}


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ({ARCHITECTURE: "arm64"}, "arm64"),
        ({ARCHITECTURE: "ppc64le"}, "ppc64le"),
        ({"pool": "arm64"}, "arm64"),
    ],
)
def test_selector_of_the_template_decides(selector: dict[str, str], chosen: str) -> None:
    spec: dict[str, Any] = {"nodeSelector": dict(selector)}
    assert place(spec, [AMD, ARM], "amd64") == chosen
    assert spec == {"nodeSelector": selector}


def test_required_affinity_of_the_template_decides() -> None:
    spec = affinity("arm64")
    assert place(spec, [AMD, ARM], "amd64") == "arm64"
    assert "nodeSelector" not in spec


def test_affinity_for_several_leaves_the_choice_to_the_image() -> None:
    spec = affinity("arm64", "amd64")
    assert place(spec, [AMD, ARM, POWER], "arm64") == "arm64"
    assert spec["nodeSelector"] == {ARCHITECTURE: "arm64"}
