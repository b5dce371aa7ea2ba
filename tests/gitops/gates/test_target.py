"""The owned folder: edited by hand, or another project's."""

from __future__ import annotations

import hashlib

from innerloop.gitops.gates.target import edit_findings, edited, owner_findings
from innerloop.gitops.provenance import Provenance, SourceCommit

FILES = {"deployment-web.yaml": b"kind: Deployment\n", "service-web.yaml": b"kind: Service\n"}
PROVENANCE = Provenance(
    project="shop",
    environment="prod",
    source=SourceCommit(repository="https://git.example.com/shop.git", commit="0123456789abcdef" * 2),
    files={path: hashlib.sha256(content).hexdigest() for path, content in FILES.items()},
)


def test_files_as_they_were_rendered_are_not_edited() -> None:
    assert edited(PROVENANCE, FILES) == []


def test_a_changed_file_is_edited() -> None:
    assert edited(PROVENANCE, FILES | {"service-web.yaml": b"kind: Service\nspec: {}\n"}) == ["service-web.yaml"]


def test_a_removed_file_is_edited() -> None:
    assert edited(PROVENANCE, {"service-web.yaml": FILES["service-web.yaml"]}) == ["deployment-web.yaml"]


def test_a_file_of_someone_else_is_no_edit() -> None:
    assert edited(PROVENANCE, FILES | {"README.md": b"mind the gap\n"}) == []


def test_a_checkout_with_other_line_ends_is_no_edit() -> None:
    assert edited(PROVENANCE, {path: content.replace(b"\n", b"\r\n") for path, content in FILES.items()}) == []


def test_an_edit_is_told_with_its_file_and_the_commit_that_it_came_after() -> None:
    (one,) = edit_findings(PROVENANCE, FILES | {"service-web.yaml": b""}, "prod/shop")
    assert (one.gate, one.where) == ("target", "prod/shop/service-web.yaml")
    assert one.message == "changed by hand since it was rendered from 0123456789ab"


def test_an_edit_is_told_with_both_ways_out() -> None:
    (one,) = edit_findings(PROVENANCE, FILES | {"service-web.yaml": b""}, "")
    assert "take the change over into the templates" in one.hint and "--overwrite-edits" in one.hint


def test_a_removal_is_told_as_one() -> None:
    messages = [one.message for one in edit_findings(PROVENANCE, {}, "")]
    assert messages == ["removed by hand since it was rendered from 0123456789ab"] * 2


def test_the_projects_own_place_passes() -> None:
    assert list(owner_findings(PROVENANCE, "shop", "prod", "prod/shop")) == []


def test_a_place_of_another_project_is_told() -> None:
    (one,) = owner_findings(PROVENANCE, "blog", "prod", "prod/shop/hydrator.metadata")
    assert one.message == "the place belongs to shop, environment prod; its files would be removed"


def test_a_place_of_another_environment_is_told() -> None:
    assert len(list(owner_findings(PROVENANCE, "shop", "stage", "prod/shop/hydrator.metadata"))) == 1
