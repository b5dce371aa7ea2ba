"""loop.yaml as a whole becomes the model: short and long forms, paths, and every problem with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from innerloop.config.loading import Options, find, load
from innerloop.errors import Location, LoopError
from innerloop.project import (
    Command,
    DevTarget,
    Environment,
    Exemption,
    FilesSource,
    GitOps,
    HelmSource,
    Image,
    KustomizeSource,
    PluginSource,
    PortForward,
    Project,
    ProjectReference,
    SyncPath,
)

Read = Callable[..., Project]
Failure = Callable[..., LoopError]
Write = Callable[..., Path]

# the shape that the design shows
VOTE = """\
variables:
  TITLE: Cats or dogs
  APP_URL:
images:
  web: {context: web}
manifests:
  - helm: deploy/chart
    values: [deploy/values.yaml]
    set: {title: "${TITLE}"}
  - kustomize: deploy/base
  - files: deploy/extra/*.yaml
dev:
  web:
    sync: [web:/app]
    command: flask --app main run --port 80
    restart: ["**/*.py"]
    ports: [8085:80]
    open: http://localhost:8085
dependencies:
  redis: {helm: oci://registry.example/redis, version: 1.20}
  orders: {git: https://git.example/orders.git, ref: main}
hooks:
  before-deploy: ./scripts/check.sh
commands:
  test: pytest -q
profiles:
  debug: {dev: {web: {command: python -m debugpy --listen 5678 main.py}}}
environments:
  dev:   {variables: env/dev.env,   namespace: vote-dev}
gitops:
  repository: https://git.example/vote-gitops.git
"""


@pytest.fixture
def vote(read: Read, write: Write) -> Project:
    write("APP_URL=http://vote.example\n", ".env")
    return read(VOTE)


def test_the_least_is_a_name(read: Read, tmp_path: Path) -> None:
    project = read()
    assert (project.name, project.folder, project.file) == ("shop", tmp_path, tmp_path / "loop.yaml")


def test_an_image_has_its_dockerfile_in_its_context(vote: Project, tmp_path: Path) -> None:
    image = Image(name="web", repository="web", context=tmp_path / "web", dockerfile=tmp_path / "web/Dockerfile")
    assert vote.images == {"web": image}


def test_manifests_keep_their_order(vote: Project, tmp_path: Path) -> None:
    assert vote.manifests == (
        HelmSource(
            chart=str(tmp_path / "deploy/chart"),
            release="shop",
            values=(tmp_path / "deploy/values.yaml",),
            set={"title": "Cats or dogs"},
        ),
        KustomizeSource(path=tmp_path / "deploy/base"),
        FilesSource(pattern=str(tmp_path / "deploy/extra/*.yaml")),
    )


def test_a_dev_target_is_the_image_of_its_name(vote: Project, tmp_path: Path) -> None:
    target = DevTarget(
        name="web",
        image="web",
        sync=(SyncPath(local=tmp_path / "web", remote="/app"),),
        command=("flask", "--app", "main", "run", "--port", "80"),
        restart=("**/*.py",),
        ports=(PortForward(local=8085, remote=80),),
        open="http://localhost:8085",
    )
    assert vote.dev == {"web": target}


def test_dependencies_are_charts_or_projects(vote: Project) -> None:
    chart = HelmSource(chart="oci://registry.example/redis", version="1.20", release="redis")
    orders = ProjectReference(git="https://git.example/orders.git", ref="main")
    assert [dependency.source for dependency in vote.dependencies.values()] == [chart, orders]


def test_hooks_commands_environments_and_gitops(vote: Project, tmp_path: Path) -> None:
    assert vote.hooks == {"before-deploy": ("./scripts/check.sh",)}
    assert vote.commands == {"test": Command(name="test", run="pytest -q")}
    environment = Environment(name="dev", variables=tmp_path / "env/dev.env", namespace="vote-dev")
    assert vote.environments == {"dev": environment}
    assert vote.gitops == GitOps(repository="https://git.example/vote-gitops.git")


def test_the_project_knows_its_places_and_files(vote: Project, tmp_path: Path) -> None:
    assert vote.where("dev.web.ports.0") == Location("loop.yaml", 18, 13)
    assert vote.where("dev.web.nothing") == Location("loop.yaml", 14, 3)
    assert vote.files == (tmp_path / "loop.yaml", tmp_path / ".env")


@pytest.mark.parametrize(
    ("ports", "forward"),
    [
        ("8085:80", PortForward(local=8085, remote=80)),
        ("8085", PortForward(local=8085, remote=8085)),
        ("[0.0.0.0:8085:80]", PortForward(local=8085, remote=80, address="0.0.0.0")),
        ("['[::1]:8085:80']", PortForward(local=8085, remote=80, address="::1")),
        ("{remote: 80}", PortForward(local=80, remote=80)),
        ("[{local: '8085', remote: 80, address: 0.0.0.0}]", PortForward(local=8085, remote=80, address="0.0.0.0")),
    ],
)
def test_forms_of_a_port(read: Read, ports: str, forward: PortForward) -> None:
    project = read(f"dev: {{web: {{selector: {{app: web}}, ports: {ports}}}}}\n")
    assert project.dev["web"].ports == (forward,)


@pytest.mark.parametrize(
    ("sync", "exclude"),
    [("web:/app", ()), ("[web:/app]", ()), ("[{local: web, remote: /app, exclude: ['*.pyc']}]", ("*.pyc",))],
)
def test_forms_of_a_sync(read: Read, tmp_path: Path, sync: str, exclude: tuple[str, ...]) -> None:
    project = read(f"dev: {{web: {{selector: {{app: web}}, sync: {sync}}}}}\n")
    assert project.dev["web"].sync == (SyncPath(local=tmp_path / "web", remote="/app", exclude=exclude),)


@pytest.mark.parametrize("command", ["sh -c 'echo $HOME'", "[sh, -c, echo $HOME]"])
def test_a_command_is_split_as_a_shell_would_but_nothing_is_expanded(read: Read, command: str) -> None:
    project = read(f"dev: {{web: {{selector: {{app: web}}, command: {command}}}}}\n")
    assert project.dev["web"].command == ("sh", "-c", "echo $HOME")


def test_short_and_long_forms_of_an_image(read: Read, tmp_path: Path) -> None:
    project = read(
        "images:\n  a: ./web\n"
        "  b: {context: web, dockerfile: ../b.Dockerfile, image: example.com/shop/b, args: {DEBUG: yes, PORT: 0644}}\n"
    )
    assert project.images["a"].context == tmp_path / "web"
    assert project.images["b"] == Image(
        name="b",
        repository="example.com/shop/b",
        context=tmp_path / "web",
        dockerfile=tmp_path / "b.Dockerfile",
        args={"DEBUG": "yes", "PORT": "0644"},
    )


def test_charts_of_a_repository_and_what_a_plugin_renders(read: Read) -> None:
    project = read(
        "manifests:\n- {helm: redis, repo: 'https://charts.example', version: '1'}\n"
        "- {renderer: jsonnet, options: {file: main.jsonnet}}\n"
    )
    assert project.manifests == (
        HelmSource(chart="redis", repo="https://charts.example", version="1", release="shop"),
        PluginSource(renderer="jsonnet", options={"file": "main.jsonnet"}),
    )


def test_a_section_without_content_is_as_good_as_none(read: Read) -> None:
    assert read("images:\ndev:\n  # later\nhooks:\n").images == {}


def test_names_are_text_as_written(read: Read) -> None:
    assert list(read("commands: {y: echo 1, on: echo 2}\n").commands) == ["y", "on"]


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        ("imagse: {web: ./web}\n", "2:1: unknown key 'imagse'", "did you mean 'images'?"),
        ("dev:\n  web:\n    synch: a:/b\n", "4:5: unknown key 'synch' in dev.web", "did you mean 'sync'?"),
        ("hooks: {before-depoly: x}\n", "2:9: unknown key 'before-depoly' in hooks", "did you mean 'before-deploy'?"),
        ("images: [web]\n", "2:9: images must be a mapping, not a list", None),
        ("manifests: {helm: x}\n", "2:12: manifests must be a list, not a mapping", None),
        ("images: {web: {dockerfile: x}}\n", "2:15: images.web lacks 'context'", None),
        ("images: {web: }\n", "2:15: images.web must be text or a mapping, not empty", None),
        ("manifests:\n- {helm: a, files: b}\n", "3:13: manifests.0 has both 'helm' and 'files'", "keep one of the two"),
        ("manifests:\n- {set: {a: 1}}\n", "3:3: manifests.0 has none of helm, kustomize, files, renderer",
         "give exactly one"),
        ("manifests:\n- {kustomize: a, values: b}\n", "3:18: 'values' means nothing beside 'kustomize'", None),
        ("dev: {web: {sync: a:/b}}\n", "2:7: dev.web: images has no 'web'",
         "name one with 'image', or pods with 'selector'"),
        ("images: {web: a}\ndev: {x: {image: wbe}}\n", "3:11: dev.x: images has no 'wbe'", "did you mean 'web'?"),
        ("images: {web: a}\ndev: {web: {sync: a}}\n", "3:13: 'a' is not LOCAL:REMOTE", "for instance web:/app"),
        ("images: {web: a}\ndev: {web: {sync: 'a:b'}}\n", "3:13: 'b' is no absolute path in the container", "write /b"),
        ("images: {web: a}\ndev: {web: {ports: [80, 70000]}}\n", "3:25: '70000' is not LOCAL:REMOTE",
         "for instance 8085:80, 8085, or 0.0.0.0:8085:80; ports are from 1 to 65535"),
        ("images: {web: a}\ndev: {web: {ports: [{remote: 0}]}}\n",
         "3:30: dev.web.ports.0.remote must be from 1 to 65535, not 0", None),
        ("images: {web: a}\ndev: {web: {command: \"a 'b\"}}\n", "3:13: dev.web.command: no closing quotation",
         "quote it as for a shell"),
        ("images: {web: a, api: {context: b, image: web}}\n",
         "2:18: images.api and images.web are both web in the manifests",
         "give one of them another name by 'image'"),
        ("dependencies: {a: {path: x, ref: main}}\n", "2:29: 'ref' means nothing beside 'path'", None),
        ("commands: {'a b': x}\n", "2:12: 'a b' is no valid name in commands",
         "allowed: Letters, digits, '-', '_' and '.', a letter or digit first."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(failure: Failure, text: str, told: str, hint: str | None) -> None:
    error = failure(text)
    assert (str(error), error.hint) == (f"loop.yaml:{told}", hint)


def test_all_problems_are_told_at_once_in_the_files_order(failure: Failure) -> None:
    error = failure("imagse: {}\ncommands: {a: 'echo ${X}', b: [1]}\ndev: {web: {ports: {remote: x}}}\n")
    assert error.message == "4 problems in loop.yaml"
    assert [line.split(" ")[0] for line in str(error.detail).splitlines()] == [
        "loop.yaml:2:1:",
        "loop.yaml:3:21:",
        "loop.yaml:3:31:",
        "loop.yaml:4:29:",
    ]


def test_a_file_that_is_no_mapping_is_told(write: Write) -> None:
    for text in ("", "# nothing\n", "- a\n", "text\n"):
        with pytest.raises(LoopError, match="the file must be a mapping"):
            load(write(text), Options())


def test_a_file_that_is_not_text_is_told(write: Write) -> None:
    file = write("")
    file.write_bytes(b"name: \xff\n")
    with pytest.raises(LoopError, match="byte 7 is not text in UTF-8"):
        load(file, Options())


def test_a_bad_name_is_told(write: Write) -> None:
    with pytest.raises(LoopError, match=r"loop\.yaml:1:7: 'My Shop' is no valid name"):
        load(write("name: My Shop\n"), Options())


def test_an_impossible_namespace_is_told_with_its_place(write: Write) -> None:
    file = write("name: shop\nenvironments: {dev: {namespace: Shop_Dev}}\n")
    with pytest.raises(LoopError, match="'My_Space' cannot be the name of a namespace"):
        load(file, Options(namespace="My_Space"))
    with pytest.raises(LoopError, match=r"loop\.yaml:2:33: 'Shop_Dev' cannot be the name of a namespace"):
        load(file, Options(env="dev"))


def test_a_word_of_a_few_is_taken(read: Read) -> None:
    text = "layout: branch, forge: gitea, allow: [{gate: random, object: Secret/*, reason: rotated}]"
    gitops = read(f"gitops: {{repository: https://git.example/a.git, {text}}}\n").gitops
    assert gitops is not None
    assert (gitops.layout, gitops.forge, gitops.files) == ("branch", "gitea", "object")
    assert gitops.allow == (Exemption(gate="random", object="Secret/*", reason="rotated"),)


def test_another_word_than_those_is_told_with_a_suggestion(failure: Failure) -> None:
    told = failure("gitops: {repository: https://git.example/a.git, layout: folders}\n")
    assert str(told) == "loop.yaml:2:57: 'folders' is no valid gitops.layout"
    assert told.hint == "did you mean 'folder'?"


def test_the_file_is_found_upwards(write: Write, tmp_path: Path) -> None:
    file = write("name: shop\n")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find(None, inner) == file


def test_a_folder_names_its_file(write: Write, tmp_path: Path) -> None:
    file = write("name: shop\n", "other/loop.yml")
    assert find(Path("other"), tmp_path) == file


def test_no_file_is_told_with_the_smallest_one(tmp_path: Path) -> None:
    with pytest.raises(LoopError, match=r"no loop\.yaml in") as caught:
        find(None, tmp_path)
    assert "name: shop" in str(caught.value.detail)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_told_wrong(write: Write, data: st.DataObject) -> None:
    text = f"name: vote\n{VOTE}"
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    damage = data.draw(st.text(alphabet="{}[]:-?,|&*!#\n\t \"'$ab0", max_size=6))
    file = write(text[:start] + damage + text[end:])
    try:
        load(file, Options(set={"APP_URL": "x"}))
    except LoopError as error:
        assert error.where is not None or error.detail or "APP_URL" in error.message
