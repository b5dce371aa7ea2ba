"""Addresses of repositories, in all the ways in which git takes them, and which forge they lead to."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.gitops.forges import address, bitbucket, gitea, github, gitlab
from innerloop.gitops.forges.address import Address, parse, without_user
from innerloop.gitops.forges.azure_places import place
from innerloop.gitops.forges.choosing import Kind, forge_of, kind_of
from innerloop.gitops.forges.errors import UnknownForge
from innerloop.gitops.forges.forge import Proposal

_NAME = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,12}[A-Za-z0-9_]", fullmatch=True)
_HOST = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])(\.[a-z][a-z0-9]{1,6}){1,3}", fullmatch=True)
_PATH = st.lists(_NAME, min_size=1, max_size=5).map("/".join)


@given(host=_HOST, path=_PATH, user=st.sampled_from(["", "git@", "alice@"]), git=st.sampled_from(["", ".git"]))
def test_all_ways_to_say_one_repository_are_the_same_one(host: str, path: str, user: str, git: str) -> None:
    ways = [
        f"https://{user}{host}/{path}{git}",
        f"https://{user}{host}:443/{path}{git}/",
        f"ssh://{user}{host}/{path}{git}",
        f"ssh://{user}{host}:2222/{path}{git}",
        f"{user}{host}:{path}{git}",
        f"HTTPS://{user}{host.upper()}/{path}{git}",
    ]
    expected = Address("https", host, None, path, user.rstrip("@"))
    assert [parse(way) for way in ways] == [expected] * len(ways)


@given(path=_PATH, port=st.integers(1, 65535), scheme=st.sampled_from(["http", "https"]))
def test_a_port_of_http_is_kept(path: str, port: int, scheme: str) -> None:
    parsed = parse(f"{scheme}://127.0.0.1:{port}/{path}")
    assert parsed is not None
    default = {"http": 80, "https": 443}[scheme]
    assert parsed.server == f"{scheme}://127.0.0.1" + ("" if port == default else f":{port}")


@given(path=st.text(min_size=1).filter(lambda text: text.strip("/") and not text.endswith((".git", "/"))))
def test_a_quoted_path_is_read_as_what_it_means(path: str) -> None:
    parsed = parse(f"https://example.com/{quote(path.lstrip('/'), safe='')}.git")
    assert parsed is not None and parsed.path == path.strip("/")


@given(st.text())
def test_no_text_makes_it_fail(text: str) -> None:
    parse(text)
    parse(f"https://{text}")


@pytest.mark.parametrize(
    "path", ["/srv/git/vote.git", "../vote-gitops", "vote.git", "file:///srv/git/vote", "C:\\git\\vote", "./a:b", ""]
)
def test_a_path_of_this_machine_is_no_address(path: str) -> None:
    assert parse(path) is None


def test_a_password_in_an_address_is_not_kept() -> None:
    parsed = parse("https://alice:secret@example.com/acme/vote.git")
    assert parsed is not None and "secret" not in repr(parsed)


def test_an_ipv6_address_keeps_its_brackets() -> None:
    parsed = parse("http://[::1]:3000/acme/vote.git")
    assert parsed is not None and parsed.server == "http://[::1]:3000"


def of(text: str) -> Address:
    parsed = address.parse(text)
    assert parsed is not None
    return parsed


@pytest.mark.parametrize(
    ("repository", "kind"),
    [
        ("git@github.com:acme/vote.git", "github"),
        ("ssh://git@ssh.github.com:443/acme/vote.git", "github"),
        ("https://acme.ghe.com/acme/vote", "github"),
        ("https://gitlab.com/acme/shop/vote.git", "gitlab"),
        ("https://alice@dev.azure.com/acme/shop/_git/vote", "azure"),
        ("git@ssh.dev.azure.com:v3/acme/shop/vote", "azure"),
        ("https://acme.visualstudio.com/shop/_git/vote", "azure"),
        ("https://codeberg.org/acme/vote.git", "gitea"),
        ("git@bitbucket.org:acme/vote.git", "bitbucket"),
    ],
)
def test_public_forges_are_known_by_their_host(repository: str, kind: str) -> None:
    assert kind_of(repository, None)[0] == kind


def test_another_host_has_to_be_told_what_it_is() -> None:
    with pytest.raises(UnknownForge, match=r"git\.example\.com") as caught:
        kind_of("git@git.example.com:acme/vote.git", None)
    assert caught.value.hint and "gitops.forge" in caught.value.hint


def test_a_host_that_only_looks_like_a_public_one_is_another() -> None:
    with pytest.raises(UnknownForge):
        kind_of("https://github.com.example.com/acme/vote.git", None)


def test_what_was_told_counts() -> None:
    assert kind_of("https://git.example.com/acme/vote.git", "gitea")[0] == "gitea"


def test_a_folder_is_on_no_forge() -> None:
    assert kind_of("/srv/git/vote.git", None) == ("git", None)


def test_a_folder_can_not_be_on_a_forge() -> None:
    with pytest.raises(UnknownForge, match="names no host"):
        kind_of("/srv/git/vote.git", "github")


@pytest.mark.parametrize(
    ("repository", "base"),
    [
        ("https://github.com/acme/vote.git", "https://api.github.com"),
        ("https://acme.ghe.com/acme/vote.git", "https://api.acme.ghe.com"),
        ("git@github.example.com:acme/vote.git", "https://github.example.com/api/v3"),
    ],
)
def test_where_github_answers(repository: str, base: str) -> None:
    assert github.base(of(repository)) == base


def test_where_a_gitlab_of_ones_own_answers() -> None:
    assert gitlab.base(of("http://gitlab.local:8080/a/b/c.git")) == "http://gitlab.local:8080/api/v4"


def test_where_a_gitea_below_a_path_answers() -> None:
    assert gitea.base(of("https://example.com/git/acme/vote.git")) == "https://example.com/git/api/v1"


def test_a_bitbucket_of_ones_own_is_told_to_be_none_that_we_know() -> None:
    with pytest.raises(UnknownForge, match="not Bitbucket Cloud") as caught:
        bitbucket.base(of("https://bitbucket.example.com/scm/acme/vote.git"))
    assert caught.value.hint and "forge: git" in caught.value.hint


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("https://dev.azure.com/acme/online%20shop/_git/vote", ("acme", "online shop", "vote")),
        ("https://acme@dev.azure.com/acme/_git/vote", ("acme", "vote", "vote")),
        ("git@ssh.dev.azure.com:v3/acme/online%20shop/vote", ("acme", "online%20shop", "vote")),
        ("ssh://git@ssh.dev.azure.com/v3/acme/online%20shop/vote", ("acme", "online shop", "vote")),
        ("https://acme.visualstudio.com/shop/_git/vote", ("acme", "shop", "vote")),
        ("https://acme.visualstudio.com/DefaultCollection/shop/_git/vote", ("acme", "shop", "vote")),
        ("https://acme.visualstudio.com/_git/vote", ("acme", "vote", "vote")),
        ("acme@vs-ssh.visualstudio.com:v3/acme/shop/vote", ("acme", "shop", "vote")),
        ("ssh://acme@vs-ssh.visualstudio.com:22/shop/_ssh/vote", ("acme", "shop", "vote")),
    ],
)
def test_where_a_repository_of_azure_devops_is(repository: str, expected: tuple[str, str, str]) -> None:
    organization, project, name = expected
    assert place(of(repository)) == (
        f"https://dev.azure.com/{organization}",
        f"https://vssps.dev.azure.com/{organization}",
        project.replace("%20", " "),
        name,
    )


def test_where_a_repository_of_an_azure_devops_server_is() -> None:
    found = place(of("https://tfs.example.com/tfs/Main/shop/_git/vote"))
    assert found == ("https://tfs.example.com/tfs/Main", "https://tfs.example.com/tfs/Main", "shop", "vote")


@pytest.mark.parametrize("repository", ["https://dev.azure.com/acme/shop", "https://tfs.example.com/_git/vote"])
def test_an_address_that_azure_devops_does_not_have_is_told(repository: str) -> None:
    with pytest.raises(UnknownForge) as caught:
        place(of(repository))
    assert caught.value.hint and "_git" in caught.value.hint


@pytest.mark.parametrize(
    ("repository", "kind", "url"),
    [
        ("git@github.com:acme/vote.git", "git", "https://github.com/acme/vote/compare/main...promote/vote?expand=1"),
        (
            "https://gitlab.com/a/b/vote.git",
            "git",
            "https://gitlab.com/a/b/vote/-/merge_requests/new?merge_request%5Bsource_branch%5D=promote%2Fvote"
            "&merge_request%5Btarget_branch%5D=main",
        ),
        (
            "https://dev.azure.com/acme/online%20shop/_git/vote",
            "git",
            "https://dev.azure.com/acme/online%20shop/_git/vote/pullrequestcreate?sourceRef=promote%2Fvote&targetRef=main",
        ),
        ("https://codeberg.org/acme/vote.git", "git", "https://codeberg.org/acme/vote/compare/main...promote/vote"),
        (
            "https://bitbucket.org/acme/vote.git",
            "git",
            "https://bitbucket.org/acme/vote/pull-requests/new?source=promote%2Fvote&dest=main",
        ),
        ("https://git.example.com/acme/vote.git", "git", ""),
        ("/srv/git/vote.git", None, ""),
    ],
)
async def test_without_a_forge_the_page_to_open_is_told(repository: str, kind: Kind | None, url: str) -> None:
    async with forge_of(repository, kind, {}) as forge:
        assert await forge.find("promote/vote", "main") is None
        made = await forge.create(Proposal("promote/vote", "main", "Promote", "…"))
    assert (made.number, made.url) == (0, url)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:secret@example.com/a.git", "https://example.com/a.git"),
        ("https://token@example.com/a.git", "https://example.com/a.git"),
        ("git@example.com:shop/a.git", "git@example.com:shop/a.git"),
        ("ssh://git@example.com/a.git", "ssh://git@example.com/a.git"),
    ],
)
def test_secrets_in_an_address_are_not_shown(address: str, shown: str) -> None:
    assert without_user(address) == shown
