"""The files of an environment: their names, and that they change only with the manifests."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from innerloop.errors import LoopError
from innerloop.gitops.places.contents import files_of, provenance_of
from innerloop.gitops.places.layouts import Place, place
from innerloop.gitops.promotion import marks
from innerloop.manifest import Manifest
from innerloop.project import GitOps, Project
from tests.gitops.lab import ENVIRONMENT, config_map, rendered


def at(tmp: Any, **settings: Any) -> Place:
    gitops = GitOps(repository="x", **settings)
    return place(Project(name="vote", file=tmp, folder=tmp), ENVIRONMENT, gitops)


def named(kind: str, name: str, namespace: str = "vote", api: str = "v1") -> Manifest:
    return Manifest({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}})


def test_a_file_is_named_by_kind_and_name(tmp_path: Any) -> None:
    found = files_of(rendered(named("Service", "web")), at(tmp_path))
    assert list(found) == ["stage/vote/service-web.yaml"]


def test_two_of_a_name_have_their_namespaces(tmp_path: Any) -> None:
    found = files_of(rendered(named("Service", "web"), named("Service", "web", "other")), at(tmp_path))
    assert list(found) == ["stage/vote/service-web-vote.yaml", "stage/vote/service-web-other.yaml"]


def test_two_of_a_kind_have_their_groups(tmp_path: Any) -> None:
    knative = named("Service", "web", api="serving.knative.dev/v1")
    found = files_of(rendered(named("Service", "web"), knative), at(tmp_path))
    assert list(found) == ["stage/vote/service-web-vote.yaml", "stage/vote/service-web-vote-serving.knative.dev.yaml"]


def test_names_that_no_file_can_tell_apart_are_kept_apart(tmp_path: Any) -> None:
    roles = [named("Role", "a:b"), named("Role", "a.b"), named("Role", "a-b")]
    found = files_of(rendered(*roles), at(tmp_path))
    assert len(found) == 3 and "stage/vote/role-a.b.yaml" in found


def test_an_object_that_is_rendered_twice_is_told(tmp_path: Any) -> None:
    with pytest.raises(LoopError, match="ConfigMap/web in vote is rendered twice"):
        files_of(rendered(config_map(), config_map(data="2")), at(tmp_path))


def test_the_commit_and_the_template_are_in_no_file(tmp_path: Any) -> None:
    one = files_of(rendered(config_map(), commit="a"), at(tmp_path))
    moved = Manifest(config_map().object, "another/template.yaml")
    assert files_of(rendered(moved, commit="b"), at(tmp_path)) == one


def test_no_objects_are_no_file(tmp_path: Any) -> None:
    assert files_of(rendered(), at(tmp_path, files="one")) == {}


def test_provenance_has_the_hashes_of_manifests_below_the_folder(tmp_path: Any) -> None:
    where = at(tmp_path, layout="cluster")
    made = rendered(config_map(), templates={"values.yaml": b"a: 1\n"})
    found = provenance_of(made.provenance, files_of(made, where), where)
    assert list(found.files) == ["vote/configmap-web.yaml"]


def test_trailers_are_read_back(tmp_path: Any) -> None:
    provenance = msgspec.structs.replace(rendered().provenance, rolled_back="b" * 40)
    text = marks.message("Subject", "Body: with a colon", provenance, {})
    found = marks.trailers(text)
    assert found["Rolled-Back"] == ["b" * 40] and "Body" not in found
    assert marks.is_ours(text, "vote", "stage") and not marks.is_ours(text, "vote", "prod")


def test_a_message_of_others_is_not_ours() -> None:
    assert not marks.is_ours("Fix it\n\nProject: vote\nEnvironment: stage\n", "vote", "stage")
