"""The copy of the GitOps repository: what is read from it, committed to it, pushed and refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from innerloop.errors import LoopError
from innerloop.events import Event, Notice
from innerloop.gitops.repository.git import (
    AccessDenied,
    MovedOn,
    NoRepository,
    ProtectedBranch,
    PushRefused,
    RepositoryError,
    RepositoryUnreachable,
)
from innerloop.gitops.repository.repository import NOTES, Author, Repository, opened
from innerloop.paths import cache_dir
from tests.gitops.git_http import PASSWORD, USER, GitServer, serving_git
from tests.gitops.remote import ALICE, Remote, git

pytestmark = pytest.mark.usefixtures("isolated")

ME = Author("Robot", "robot@example.com")


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    remote = Remote(tmp_path / "remotes" / "ops.git")
    remote.commit({"README.md": "ours\n", "stage/vote/service-web.yaml": "a: 1\n", "stage/other/x.yaml": "x: 1\n"})
    yield remote


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
async def repository(remote: Remote, events: list[Event]) -> AsyncIterator[Repository]:
    async with opened(remote.url, events.append) as repository:
        yield repository


async def tip(repository: Repository, name: str = "main") -> str:
    commit = await repository.branch(name)
    assert commit is not None
    return commit


async def test_a_branch_is_where_the_server_has_it(repository: Repository, remote: Remote) -> None:
    assert await repository.branch("main") == remote.tip()
    commit = remote.commit({"README.md": "newer\n"})
    assert await repository.branch("main") == commit


async def test_a_branch_that_is_not_there_is_none(repository: Repository) -> None:
    assert await repository.branch("ain") is None


async def test_a_branch_that_was_forced_elsewhere_is_followed(repository: Repository, remote: Remote) -> None:
    await tip(repository)
    commit = remote.commit({"README.md": "another history\n"}, parents=())
    assert await repository.branch("main") == commit
    assert await repository.read(commit, ["README.md"]) == {"README.md": b"another history\n"}


async def test_a_branch_that_takes_the_place_of_a_folder_of_branches_is_followed(
    repository: Repository, remote: Remote
) -> None:
    remote.commit({"a": "1"}, "env/stage")
    await tip(repository, "env/stage")
    git(remote.folder, "update-ref", "-d", "refs/heads/env/stage")
    commit = remote.commit({"a": "1"}, "env")
    assert await repository.branch("env") == commit


async def test_an_empty_repository_has_no_branches(tmp_path: Path) -> None:
    async with opened(Remote(tmp_path / "empty.git").url, lambda _: None) as repository:
        assert await repository.branches("main", "stage") == {}


async def test_files_at_and_below_the_paths_are_read(repository: Repository) -> None:
    found = await repository.read(await tip(repository), ["stage/vote", "README.md", "missing"])
    assert found == {"README.md": b"ours\n", "stage/vote/service-web.yaml": b"a: 1\n"}


async def test_nothing_is_read_for_no_paths(repository: Repository) -> None:
    assert await repository.read(await tip(repository), []) == {}


async def test_a_commit_makes_the_owned_paths_exactly_the_files(repository: Repository, remote: Remote) -> None:
    parent = await tip(repository)
    files = {"stage/vote/deployment-web.yaml": b"b: 2\n", 'stage/vote/an "odd" näme.yaml': b"\x00\r\n"}
    commit = await repository.commit(parent, ["stage/vote"], files, "Promote\n", ME)
    assert await repository.read(commit, ["stage"]) == {"stage/other/x.yaml": b"x: 1\n", **files}
    made = await repository.details(commit)
    assert (made.parents, made.author, made.message) == ((parent,), "Robot <robot@example.com>", "Promote")
    assert remote.branches() == ["main"]


async def test_a_commit_without_files_removes_the_owned_paths(repository: Repository) -> None:
    commit = await repository.commit(await tip(repository), ["stage/vote"], {}, "Remove\n", ME)
    assert list(await repository.read(commit, ["stage"])) == ["stage/other/x.yaml"]


async def test_foreign_files_stay_as_they_are_whatever_they_are(repository: Repository, remote: Remote) -> None:
    odd = {
        ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n*.bat text eol=crlf\n",
        "large.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "dos.txt": "one\r\ntwo\r\n",
        "Case.yaml": "a: 1\n",
        "case.yaml": "a: 2\n",
    }
    parent = remote.commit(odd)
    module = f"M 160000 {parent} module\nM 120000 inline link\ndata 9\nREADME.md\n"
    head = f"commit refs/heads/main\ncommitter A <a> 0 +0000\ndata 0\nfrom {parent}\n"
    git(remote.folder, "fast-import", "--quiet", input=(head + module).encode())
    before = [line for line in remote.listed().splitlines() if "stage/vote" not in line]
    commit = await repository.commit(await tip(repository), ["stage/vote"], {"stage/vote/a.yaml": b"a"}, "x\n", ME)
    await repository.push("head", commit, None)
    assert [line for line in remote.listed("head").splitlines() if "stage/vote" not in line] == before


async def test_a_submodule_where_a_folder_is_needed_is_told(repository: Repository, remote: Remote) -> None:
    parent = remote.commit({"stage": None})
    head = f"commit refs/heads/main\ncommitter A <a> 0 +0000\ndata 0\nfrom {parent}\nM 160000 {parent} stage\n"
    git(remote.folder, "fast-import", "--quiet", input=head.encode())
    with pytest.raises(RepositoryError, match=r"stage is a submodule .* a folder is needed"):
        await repository.commit(await tip(repository), ["stage/vote"], {"stage/vote/a.yaml": b"a"}, "x\n", ME)


async def test_a_link_among_what_is_owned_is_told(repository: Repository, remote: Remote) -> None:
    parent = remote.tip()
    head = f"commit refs/heads/main\ncommitter A <a> 0 +0000\ndata 0\nfrom {parent}\n"
    link = "M 120000 inline stage/vote/link\ndata 3\nx/y\n"
    git(remote.folder, "fast-import", "--quiet", input=(head + link).encode())
    with pytest.raises(RepositoryError, match="stage/vote/link is a link"):
        await repository.commit(await tip(repository), ["stage/vote"], {}, "x\n", ME)


async def test_a_filter_on_what_is_rendered_is_told_with_the_line_that_mends_it(
    repository: Repository, remote: Remote
) -> None:
    remote.commit({".gitattributes": "*.yaml filter=lfs -text\n"})
    with pytest.raises(RepositoryError, match="through the filter lfs") as told:
        await repository.commit(await tip(repository), ["stage/vote"], {"stage/vote/a.yaml": b"a"}, "x\n", ME)
    assert told.value.hint is not None
    line = told.value.hint.split("`")[1]
    remote.commit({".gitattributes": f"*.yaml filter=lfs -text\n{line}\n"})
    await repository.commit(await tip(repository), ["stage/vote"], {"stage/vote/a.yaml": b"a"}, "x\n", ME)


async def test_a_commit_leaves_nothing_behind_in_the_copy(repository: Repository) -> None:
    await repository.commit(await tip(repository), ["stage"], {"stage/a": b"a"}, "x\n", ME)
    folder = repository._folder
    assert git(folder, "for-each-ref", "--format=%(refname)").splitlines() == ["refs/remotes/origin/main"]
    assert not list(folder.glob("index*"))


async def test_a_push_makes_and_moves_and_removes_a_branch(repository: Repository, remote: Remote) -> None:
    parent = await tip(repository)
    first = await repository.commit(parent, ["stage/vote"], {"stage/vote/a": b"1"}, "first\n", ME)
    await repository.push("loop/stage", first, None)
    assert remote.tip("loop/stage") == first
    second = await repository.commit(parent, ["stage/vote"], {"stage/vote/a": b"2"}, "second\n", ME)
    await repository.push("loop/stage", second, first)
    assert remote.tip("loop/stage") == second
    await repository.push("loop/stage", None, second)
    assert remote.tip("loop/stage") is None


async def test_a_push_to_a_branch_that_another_made_meanwhile_is_refused(
    repository: Repository, remote: Remote
) -> None:
    commit = await repository.commit(await tip(repository), ["stage/vote"], {"stage/vote/a": b"1"}, "x\n", ME)
    theirs = remote.commit({"a": "1"}, "loop/stage")
    with pytest.raises(MovedOn):
        await repository.push("loop/stage", commit, None)
    assert remote.tip("loop/stage") == theirs


async def test_a_push_to_a_branch_that_another_moved_meanwhile_is_refused(
    repository: Repository, remote: Remote
) -> None:
    commit = await repository.commit(await tip(repository), ["stage/vote"], {"stage/vote/a": b"1"}, "x\n", ME)
    expected = remote.commit({"a": "1"}, "loop/stage")
    theirs = remote.commit({"a": "2"}, "loop/stage")
    with pytest.raises(MovedOn):
        await repository.push("loop/stage", commit, expected)
    assert remote.tip("loop/stage") == theirs


async def test_a_protected_branch_is_told_as_such(repository: Repository, remote: Remote) -> None:
    remote.hook("pre-receive", 'echo "GH006: Protected branch update failed for refs/heads/loop/stage." >&2; exit 1')
    commit = await repository.commit(await tip(repository), ["stage/vote"], {"stage/vote/a": b"1"}, "x\n", ME)
    with pytest.raises(ProtectedBranch, match=r"branch loop/stage .* is protected") as told:
        await repository.push("loop/stage", commit, None)
    assert "GH006" in (told.value.detail or "")


async def test_a_push_that_the_server_refuses_has_its_words(repository: Repository, remote: Remote) -> None:
    remote.hook("pre-receive", 'echo "commits need a ticket" >&2; exit 1')
    commit = await repository.commit(await tip(repository), ["stage/vote"], {"stage/vote/a": b"1"}, "x\n", ME)
    with pytest.raises(PushRefused) as told:
        await repository.push("loop/stage", commit, None)
    assert "commits need a ticket" in (told.value.detail or "")


async def test_a_branch_in_the_way_of_one_below_it_is_told_as_no_race(repository: Repository, remote: Remote) -> None:
    remote.commit({"a": "1"}, "environments/stage-next")
    commit = await repository.commit(await tip(repository), ["stage/vote"], {"stage/vote/a": b"1"}, "x\n", ME)
    with pytest.raises(PushRefused, match="a part of its name"):
        await repository.push("environments/stage-next/vote", commit, None)


async def test_what_the_server_says_to_a_push_is_returned(repository: Repository, remote: Remote) -> None:
    remote.hook("post-receive", 'echo "Create a merge request:"; echo "  https://git.example.com/new"')
    commit = await repository.commit(await tip(repository), ["stage/vote"], {"stage/vote/a": b"1"}, "x\n", ME)
    said = await repository.push("loop/stage", commit, None)
    assert said == "Create a merge request:\nhttps://git.example.com/new"


async def test_hooks_of_the_users_own_template_do_not_run(
    repository: Repository, remote: Remote, tmp_path: Path
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-push").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-push").chmod(0o755)
    (tmp_path / "gitconfig").write_text(f"[core]\nhooksPath = {hooks}\n")
    commit = await repository.commit(await tip(repository), ["stage/vote"], {"stage/vote/a": b"1"}, "x\n", ME)
    await repository.push("loop/stage", commit, None)


async def test_notes_are_put_and_replaced(repository: Repository, remote: Remote) -> None:
    commit = await tip(repository)
    await repository.note(commit, '{"drySha": "1"}', ME)
    await repository.note(commit, '{"drySha": "2"}', ME)
    assert git(remote.folder, "notes", f"--ref={NOTES}", "show", commit) == '{"drySha": "2"}'


async def test_the_same_note_again_is_no_push(repository: Repository, remote: Remote) -> None:
    commit = await tip(repository)
    await repository.note(commit, "a", ME)
    before = git(remote.folder, "rev-parse", NOTES)
    await repository.note(commit, "a", ME)
    assert git(remote.folder, "rev-parse", NOTES) == before


async def test_a_note_is_put_though_others_write_meanwhile(repository: Repository, remote: Remote) -> None:
    commit = await tip(repository)
    other = remote.commit({"b": "1"})
    identity = {f"GIT_{role}_{field}": "x" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")}
    git(remote.folder, "notes", f"--ref={NOTES}", "add", "-m", "theirs", other, env=identity)
    await asyncio.gather(*(put(remote, commit, text) for text in "abc"))
    assert git(remote.folder, "notes", f"--ref={NOTES}", "show", other) == "theirs"
    assert git(remote.folder, "notes", f"--ref={NOTES}", "show", commit) in ("a", "b", "c")


async def put(remote: Remote, commit: str, text: str) -> None:
    async with opened(remote.url, lambda _: None) as repository:
        await repository.note(commit, text, ME)


async def test_changes_are_found_in_older_history_that_was_not_fetched(repository: Repository, remote: Remote) -> None:
    wanted = [remote.tip(), remote.commit({"stage/vote/service-web.yaml": "a: 2\n"})][::-1]
    for number in range(60):
        remote.commit({"README.md": f"{number}\n"})
    found = await repository.changes("main", await tip(repository), ["stage/vote"], 2)
    assert [commit.id for commit in found] == wanted


async def test_of_a_merge_counts_what_it_brought_to_the_branch(repository: Repository, remote: Remote) -> None:
    first = remote.tip()
    assert first is not None
    remote.commit({"stage/vote/service-web.yaml": "a: 2\n"}, "head", parents=(first,))
    remote.commit({"README.md": "meanwhile\n"})
    merge = remote.merge("head", "main")
    found = await repository.changes("main", await tip(repository), ["stage/vote"], 1)
    assert [commit.id for commit in found] == [merge]


async def test_commits_of_others_beside_the_base_are_listed(repository: Repository, remote: Remote) -> None:
    first = remote.tip()
    assert first is not None
    for number in range(5):
        remote.commit({"a": str(number)}, "head", message=f"Their {number}", parents=None if number else (first,))
    for number in range(60):
        remote.commit({"README.md": f"{number}\n"})
    remote.merge("main", "head")
    seen = await repository.branches("head", "main")
    found = await repository.beside("head", seen["head"], "main", seen["main"])
    assert [commit.subject for commit in found] == [f"Their {number}" for number in (4, 3, 2, 1, 0)]
    assert found[0].author == f"{ALICE[0]} <{ALICE[1]}>"


async def test_whether_a_commit_is_in_a_branch_is_told_however_old_it_is(
    repository: Repository, remote: Remote
) -> None:
    old = remote.tip()
    for number in range(60):
        remote.commit({"README.md": f"{number}\n"})
    beside = remote.commit({"a": "1"}, "beside", parents=(old,) if old else ())
    seen = await repository.branches("main", "beside")
    assert await repository.contains("main", seen["main"], old or "")
    assert not await repository.contains("main", seen["main"], beside)


async def test_the_copy_serves_where_the_server_gives_no_answer(
    tmp_path: Path, remote: Remote, events: list[Event]
) -> None:
    async with serving_git(remote.folder.parent) as server:
        address = f"{server.url}/ops.git"
        async with opened(address, events.append, "git") as repository:
            commit = await tip(repository)
    async with opened(address, events.append, "git") as repository:
        assert await repository.branch("main", or_copy=True) == commit
        with pytest.raises(RepositoryUnreachable, match="cannot reach"):
            await repository.branch("main")
    assert [event.message for event in events if isinstance(event, Notice)] == [
        f"{address} cannot be reached: what it had the last time is used"
    ]


async def test_a_repository_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoRepository, match="no GitOps repository at"):
        async with opened(f"file://{tmp_path}/nothing.git", lambda _: None) as repository:
            await repository.branch("main")


@pytest.fixture
async def server(remote: Remote) -> AsyncIterator[GitServer]:
    async with serving_git(remote.folder.parent) as server:
        yield server


async def test_git_over_http_reads_and_pushes(server: GitServer, remote: Remote) -> None:
    async with opened(f"{server.url}/ops.git", lambda _: None, "git") as repository:
        commit = await repository.commit(await tip(repository), ["stage/vote"], {"stage/vote/a": b"1"}, "x\n", ME)
        await repository.push("loop/stage", commit, None)
    assert remote.tip("loop/stage") == commit


async def test_a_password_of_the_users_own_helper_is_used(server: GitServer, tmp_path: Path) -> None:
    server.accepted = {PASSWORD}
    store = tmp_path / "store"
    store.write_text(f"{server.url.replace('://', f'://{USER}:{PASSWORD}@')}\n")
    (tmp_path / "gitconfig").write_text(f'[credential]\nhelper = "store --file={store}"\n')
    async with opened(f"{server.url}/ops.git", lambda _: None, "gitea") as repository:
        assert await repository.branch("main")


@pytest.mark.parametrize("kind", ["github", "gitlab", "azure", "gitea", "bitbucket"])
async def test_a_token_of_the_environment_logs_git_in(
    kind: str, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.accepted = {"the-token"}
    monkeypatch.setenv("LOOP_FORGE_TOKEN", "me@example.com:the-token" if kind == "bitbucket" else "the-token")
    async with opened(f"{server.url}/ops.git", lambda _: None, kind) as repository:  # type: ignore[arg-type]
        assert await repository.branch("main")


async def test_the_token_is_in_no_file_of_the_copy(server: GitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.accepted = {"the-token"}
    monkeypatch.setenv("LOOP_FORGE_TOKEN", "the-token")
    async with opened(f"{server.url}/ops.git", lambda _: None, "gitea") as repository:
        await tip(repository)
    written = b"".join(file.read_bytes() for file in repository._folder.rglob("*") if file.is_file())
    [header] = set(server.authorizations)
    assert header.split()[1].encode() not in written


async def test_a_password_in_the_address_is_in_no_message(server: GitServer) -> None:
    server.accepted = {"another"}
    address = f"{server.url.replace('://', f'://{USER}:{PASSWORD}@')}/ops.git"
    async with opened(address, lambda _: None, "git") as repository:
        with pytest.raises(AccessDenied) as told:
            await repository.branch("main")
    assert PASSWORD not in f"{told.value}{told.value.detail}{told.value.hint}"


async def test_names_that_differ_by_case_only_are_two_on_every_disk(
    repository: Repository, remote: Remote, tmp_path: Path
) -> None:
    (tmp_path / "gitconfig").write_text("[core]\nignoreCase = true\n")
    remote.commit({"stage/vote/Web.yaml": "theirs\n"})
    commit = await repository.commit(await tip(repository), [], {"stage/vote/web.yaml": b"ours\n"}, "x\n", ME)
    found = await repository.read(commit, ["stage/vote"])
    assert (found["stage/vote/Web.yaml"], found["stage/vote/web.yaml"]) == (b"theirs\n", b"ours\n")


async def test_settings_of_the_user_do_not_change_what_is_read(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "gitconfig").write_text(
        "[log]\nshowSignature = true\n[i18n]\ncommitEncoding = latin1\nlogOutputEncoding = latin1\n"
    )
    commit = await repository.commit(await tip(repository), [], {"a": b"b"}, "Größe\n", ME)
    assert (await repository.details(commit)).message == "Größe"


async def test_an_expired_token_is_told_without_it(server: GitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.accepted = {"another"}
    monkeypatch.setenv("LOOP_FORGE_TOKEN", "the-token")
    async with opened(f"{server.url}/ops.git", lambda _: None, "gitea") as repository:
        with pytest.raises(AccessDenied, match="no access to read") as told:
            await repository.branch("main")
    assert "the-token" not in f"{told.value}{told.value.detail}"


async def test_a_cache_that_cannot_be_written_is_told(remote: Remote, events: list[Event]) -> None:
    cache_dir().parent.mkdir(parents=True)
    cache_dir().write_text("in the way")
    with pytest.raises(LoopError, match=r"cannot write .*: Not a directory"):
        async with opened(remote.url, events.append):
            pass
