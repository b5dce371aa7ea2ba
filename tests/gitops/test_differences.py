"""What differs between two sets of objects."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.config import yaml
from innerloop.errors import LoopError
from innerloop.gitops.differences.differences import Difference, compare
from innerloop.gitops.differences.manifest_files import manifests_of
from innerloop.manifest import Manifest

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: vote, labels: {app: web}}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - {name: web, image: 'web:1', env: [{name: TITLE, value: Cats}]}
"""
SECRET = "{apiVersion: v1, kind: Secret, metadata: {name: password, namespace: vote}, data: %s}"

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('ab1 :\n"é', max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)


def of(*texts: str) -> list[Manifest]:
    return [Manifest(object) for text in texts for object in yaml.load_all(text, "test.yaml")]


def config_map(name: str = "settings", **fields: Any) -> Manifest:
    return Manifest({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "vote"}} | fields)


def only(found: list[Difference]) -> Difference:
    [difference] = found
    return difference


def test_a_change_is_told_with_the_lines_around_it() -> None:
    difference = only(compare(of(WEB), of(WEB.replace("web:1", "web:2"))))
    assert (difference.kind, str(difference.key), difference.key.namespace) == ("changed", "Deployment/web", "vote")
    assert difference.text == (
        "@@ -13,5 +13,5 @@\n"
        "       - env:\n"
        "         - name: TITLE\n"
        "           value: Cats\n"
        "-        image: web:1\n"
        "+        image: web:2\n"
        "         name: web"
    )


def test_an_object_that_is_new_is_added_with_all_its_lines() -> None:
    difference = only(compare([], [config_map(data={"a": "1"})]))
    assert difference.kind == "added"
    assert [line[0] for line in difference.text.splitlines()[1:]] == ["+"] * 7


def test_an_object_that_is_missing_is_removed() -> None:
    assert only(compare([config_map()], [])).kind == "removed"


def test_an_object_is_known_by_group_and_not_by_version() -> None:
    difference = only(compare(of(WEB), of(WEB.replace("apps/v1", "apps/v1beta2"))))
    assert difference.kind == "changed"
    assert "-apiVersion: apps/v1\n+apiVersion: apps/v1beta2" in difference.text


def test_objects_of_one_name_in_two_groups_are_two() -> None:
    found = compare(of(WEB), of(WEB.replace("apps/v1", "example.com/v1")))
    assert sorted(one.kind for one in found) == ["added", "removed"]


def test_differences_come_by_namespace_kind_and_name() -> None:
    texts = [f"{{apiVersion: v1, kind: {kind}, metadata: {{name: {name}}}}}" for kind in "BA" for name in "dc"]
    found = compare([], [*of(*texts), config_map("a")])
    assert [str(one.key) for one in found] == ["A/c", "A/d", "B/c", "B/d", "ConfigMap/a"]


@given(st.dictionaries(st.text("abcde", min_size=1), _JSON, max_size=4))
def test_the_order_of_keys_is_no_difference(data: dict[str, Any]) -> None:
    reversed_ = dict(reversed([("data", dict(reversed(data.items()))), *config_map().object.items()]))
    assert compare([config_map(data=data)], [Manifest(reversed_)]) == []


@given(_JSON, _JSON)
def test_any_other_value_is_a_difference(one: Any, other: Any) -> None:
    same = yaml.dump_all([one]) == yaml.dump_all([other])
    assert (compare([config_map(data=[one])], [config_map(data=[other])]) == []) == same


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (1, "1"), (None, "null"), (None, {})])
def test_values_that_only_python_takes_for_the_same_differ(one: Any, other: Any) -> None:
    assert compare([config_map(data=one)], [config_map(data=other)])


def test_what_the_cluster_writes_by_itself_is_no_difference() -> None:
    noise = {
        "managedFields": [{"manager": "innerloop"}],
        "resourceVersion": "7",
        "uid": "1-2-3",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "generation": 3,
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        "labels": {"part-of.innerloop.dev/0123456789abcdef": "vote.shop"},
    }
    plain = config_map()
    live = Manifest({**plain.object, "metadata": {**plain.metadata, **noise}, "status": {"phase": "Active"}})
    assert compare([live], [plain]) == []


def test_labels_and_annotations_that_are_empty_are_no_difference() -> None:
    plain = config_map()
    empty = Manifest({**plain.object, "metadata": {**plain.metadata, "labels": {}, "annotations": None}})
    assert compare([empty], [plain]) == []


def test_a_manifest_is_not_changed_by_the_comparison() -> None:
    first, second = of(WEB, WEB.replace("web:1", "web:2"))
    compare([first], [second])
    assert (first.object, second.object) == tuple(one.object for one in of(WEB, WEB.replace("web:1", "web:2")))


def test_a_secrets_value_that_changed_shows_as_changed_and_nothing_of_it() -> None:
    before, after = (SECRET % f"{{user: cGVw, password: {value}}}" for value in ("aHVudGVyMg==", "c2VzYW1l"))
    difference = only(compare(of(before), of(after)))
    assert '-  password: "*** (before)"\n+  password: "*** (after)"\n   user: "***"' in difference.text
    assert not any(value in difference.text for value in ("aHVudGVyMg", "c2VzYW1l", "cGVw"))


@given(st.text(min_size=12), st.sampled_from(["data", "stringData"]), st.booleans())
def test_no_value_of_a_secret_is_shown_whatever_happens_to_it(value: str, field: str, removed: bool) -> None:
    encoded = b64encode(value.encode("utf-8", "surrogatepass")).decode()
    metadata = {
        "name": "password",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": f"{{{encoded}}}"},
    }
    secret = Manifest({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, field: {"password": encoded}})
    other = Manifest({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "password"}, field: encoded})
    for before, after in (([secret], []), ([], [secret]), ([secret], [other]), ([other], [secret])):
        assert encoded not in only(compare(before, after)).text


def test_files_become_objects_in_the_order_of_their_paths() -> None:
    files = {
        "stage/vote/b.yaml": f"{WEB}---\n{SECRET % '{}'}".encode(),
        "stage/vote/a.yml": b"\xef\xbb\xbfapiVersion: v1\r\nkind: ConfigMap\r\nmetadata: {name: a}\r\n",
    }
    assert [str(one.key) for one in manifests_of(files)] == ["ConfigMap/a", "Deployment/web", "Secret/password"]


@pytest.mark.parametrize("name", ["README.md", "hydrator.metadata", "kustomization.yaml", "notes.txt"])
def test_files_that_are_no_manifests_are_passed_over(name: str) -> None:
    assert manifests_of({f"stage/vote/{name}": b"resources: ["}) == []


def test_broken_yaml_is_told_with_its_place() -> None:
    with pytest.raises(LoopError) as caught:
        manifests_of({"stage/vote/web.yaml": f"{WEB}---\na: b: c\n".encode()})
    assert str(caught.value).startswith("stage/vote/web.yaml:11:5: ")
    assert caught.value.hint and "GitOps repository" in caught.value.hint


def test_a_file_that_is_no_text_is_told() -> None:
    with pytest.raises(LoopError, match=r"stage/vote/web\.yaml: this is not text in UTF-8"):
        manifests_of({"stage/vote/web.yaml": b"\xff\xfe\x00"})
