"""The GitOps repository of ``examples/vote``: a bare one beside it, with what is there before the first promotion.

Its README tells people what an agent applies; ``practice/manifests/namespaces.yaml`` has the namespaces, which no
project owns. ``loop promote`` adds the rest, in the layout that ``gitops.layout`` says.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLUSTER = "practice"
NAMESPACES = {"dev": "vote-dev", "stage": "vote-stage", "prod": "vote"}
"""Those of the environments, as loop.yaml has them."""
README = f"""\
# vote-gitops

What runs in the environments of vote. An agent (Argo CD, Flux) applies it; nobody edits it by hand. `loop promote`
opens the pull requests.

With `layout: cluster` (vote's loop.yaml):

    {CLUSTER}/manifests/namespaces.yaml          the namespaces
    {CLUSTER}/manifests/NAMESPACE/vote/          what the agent applies there
    {CLUSTER}/templates/NAMESPACE/vote/          the templates with the variables put in, for readers

With `layout: folder` it is `ENVIRONMENT/vote/`, with `layout: branch` the folder `vote/` on `environments/ENVIRONMENT`.
"""
NAMESPACE = "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {}\n"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("place", nargs="?", type=Path, default=HERE / "vote-gitops.git", help="folder to be made")
    place = arguments.parse_args().place
    if place.exists():
        print(f"{place} is there already", file=sys.stderr)
        return 1
    make(place)
    print(f"made {place}")
    return 0


def make(place: Path) -> None:
    """Make the bare repository with its first commit on ``main``."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        git(work, "init", "--quiet", "--initial-branch=main")
        manifests = work / CLUSTER / "manifests"
        manifests.mkdir(parents=True)
        (work / "README.md").write_text(README)
        (manifests / "namespaces.yaml").write_text("".join(map(NAMESPACE.format, NAMESPACES.values())))
        git(work, "add", "--all")
        commit(work, "Begin with the namespaces")
        git(work, "clone", "--quiet", "--bare", str(work), str(place))
        git(place, "remote", "remove", "origin")


def commit(work: Path, message: str) -> str:
    """Commit what is staged, by somebody who need not be known to git; returns the commit."""
    git(work, "-c", "user.name=Ann", "-c", "user.email=ann@example.com", "commit", "--quiet", "--message", message)
    return git(work, "rev-parse", "HEAD").strip()


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
