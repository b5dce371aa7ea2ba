"""Reading and merging kubeconfigs: as kubectl does, and never with a riddle for an error."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from innerloop.kube import config
from innerloop.kube.errors import KubeConfigError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def context_of(name: str, server: str = "https://one:6443", **user: Any) -> str:
    """A kubeconfig with context, cluster and user of one name."""
    return json.dumps(
        {
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "clusters": [{"name": name, "cluster": {"server": server}}],
            "users": [{"name": name, "user": user}],
        }
    )


def test_of_two_files_the_first_that_names_something_wins_whole(tmp_path: Path) -> None:
    one = write(tmp_path / "one", context_of("a", "https://first:1", token="t"))
    two = write(tmp_path / "two", context_of("a", "https://second:2", username="u", password="p"))
    merged = config.load([one, two])
    assert merged.clusters["a"].cluster.server == "https://first:1"
    assert merged.users["a"].user.username == ""


def test_the_first_current_context_wins(tmp_path: Path) -> None:
    none = write(tmp_path / "none", "contexts: null\ncurrent-context: ''\n")
    one, two = write(tmp_path / "one", context_of("a")), write(tmp_path / "two", context_of("b"))
    assert config.load([none, two, one]).current == "b"


def test_a_context_may_use_cluster_and_user_of_another_file(tmp_path: Path) -> None:
    contexts = write(tmp_path / "contexts", "contexts: [{name: c, context: {cluster: a, user: a}}]\n")
    entries = write(tmp_path / "entries", context_of("a", "https://there:1"))
    assert config.access(config.load([contexts, entries]), "c").server == "https://there:1"


def test_files_that_kubeconfig_names_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = write(tmp_path / "there", context_of("a"))
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(tmp_path / "missing"), "", str(there), str(there)]))
    loaded = config.load()
    assert (loaded.files, loaded.missing) == ((there,), (tmp_path / "missing",))


def test_a_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(KubeConfigError, match=r"no kubeconfig .*absent"):
        config.load([tmp_path / "absent"])


def test_extra_files_come_last_and_may_be_missing(tmp_path: Path) -> None:
    one = write(tmp_path / "one", context_of("a", "https://one:1"))
    extra = write(tmp_path / "extra", context_of("a", "https://extra:1").replace('"a"', '"b"', 1))
    loaded = config.load([one], extra=[extra, tmp_path / "missing"])
    assert (loaded.current, loaded.clusters["a"].cluster.server) == ("a", "https://one:1")


def test_without_kubeconfig_the_default_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / ".kube" / "config", context_of("home"))
    assert config.load().current == "home"


def test_relative_paths_count_from_the_file_they_stand_in(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "ca.pem", "authority")
    file = write(
        tmp_path / "deep" / "config",
        context_of("a", tokenFile="token").replace('"server":', '"certificate-authority": "ca.pem", "server":'),
    )
    found = config.access(config.load([file]))
    assert found.ca == "authority"
    assert repr(found.credentials) == f"TokenFile(path={tmp_path / 'deep' / 'token'!r})"


@pytest.mark.parametrize(("command", "expected"), [("./login", "{folder}/login"), ("login", "login")])
def test_only_plugins_with_a_slash_are_relative(tmp_path: Path, command: str, expected: str) -> None:
    plugin = {"command": command, "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}
    loaded = config.load([write(tmp_path / "config", context_of("a", exec=plugin))])
    found = loaded.users["a"].user.exec
    assert found is not None
    assert os.path.normpath(found.command) == expected.format(folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("contexts: [", r"config:2:1: this kubeconfig is not valid YAML"),
        ("contexts: nonsense", r"config: this is not a kubeconfig"),
        ("- a", r"config: this is not a kubeconfig"),
        ("contexts: [{name: a}, {name: a}]", r"config: the context 'a' is there twice"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(KubeConfigError, match=message):
        config.load([write(tmp_path / "config", text)])


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeConfigError, match="cannot read the kubeconfig"):
        config.load([tmp_path])


def test_what_stands_around_a_yaml_error_is_not_shown(tmp_path: Path) -> None:
    file = write(tmp_path / "config", "users:\n- name: a\n  user: {token: hunter2: x\n")
    with pytest.raises(KubeConfigError) as caught:
        config.load([file])
    shown = f"{caught.value} {caught.value.detail} {caught.value.hint} {caught.value.__cause__!r}"
    assert "hunter2" not in shown


def test_names_that_look_like_dates_are_names(tmp_path: Path) -> None:
    file = write(tmp_path / "config", "contexts: [{name: 2026-01-01, context: {cluster: a}}]\n")
    assert list(config.load([file]).contexts) == ["2026-01-01"]


def test_no_kubeconfig_at_all_tells_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(KubeConfigError, match="no kubeconfig names a cluster") as caught:
        config.access(config.load())
    assert str(tmp_path / "missing") in (caught.value.detail or "")
    assert "loop cluster up" in (caught.value.hint or "")


def test_an_unknown_context_gets_a_suggestion(tmp_path: Path) -> None:
    loaded = config.load([write(tmp_path / "config", context_of("staging"))])
    with pytest.raises(KubeConfigError, match="no context 'stagign'") as caught:
        config.access(loaded, "stagign")
    assert caught.value.hint == "did you mean 'staging'?"


def test_no_chosen_context_lists_them(tmp_path: Path) -> None:
    file = write(tmp_path / "config", context_of("a").replace('"current-context": "a"', '"current-context": ""'))
    with pytest.raises(KubeConfigError, match="no context is chosen") as caught:
        config.access(config.load([file]))
    assert (caught.value.hint or "").endswith(": a")


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ("clusters", "config: context 'a' names the cluster 'a', which no kubeconfig has"),
        ("users", "config: context 'a' names the user 'a', who is in no kubeconfig"),
    ],
)
def test_a_dangling_context_is_named(tmp_path: Path, cut: str, message: str) -> None:
    text = context_of("a").replace(f'"{cut}"', '"preferences"')
    with pytest.raises(KubeConfigError, match=message):
        config.access(config.load([write(tmp_path / "config", text)]))


def kubectl_view(files: Iterable[Path]) -> dict[str, Any]:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("no kubectl to compare with")
    environment = {**os.environ, "KUBECONFIG": os.pathsep.join(map(str, files))}
    output = subprocess.run(
        [program, "config", "view", "--raw", "-o", "json"], env=environment, check=True, capture_output=True
    ).stdout
    viewed: dict[str, Any] = json.loads(output)
    return viewed


def test_merging_agrees_with_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [
        write(tmp_path / "a" / "config", "current-context: ''\ncontexts: null\n"),
        write(tmp_path / "b" / "config", context_of("one", "https://b:1", **{"client-key": "k", "token": "b"})),
        tmp_path / "missing",
        write(tmp_path / "c" / "config", context_of("one", "https://c:1", tokenFile="t", token="c")),
        write(tmp_path / "d" / "config", context_of("two", "https://d:1", tokenFile="t")),
    ]
    theirs = kubectl_view(files)
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, files)))
    ours = config.load()
    assert ours.current == theirs["current-context"]
    assert {name: entry.cluster.server for name, entry in ours.clusters.items()} == {
        entry["name"]: entry["cluster"]["server"] for entry in theirs["clusters"]
    }
    assert {
        name: seen(entry.user.token, entry.user.token_file, entry.user.client_key) for name, entry in ours.users.items()
    } == {
        entry["name"]: seen(*(entry["user"].get(field, "") for field in ("token", "tokenFile", "client-key")))
        for entry in theirs["users"]
    }


def seen(token: str, token_file: str, key: str) -> tuple[str, str, str]:
    # kubectl shows paths as they were written
    return token, Path(token_file).name, Path(key).name
