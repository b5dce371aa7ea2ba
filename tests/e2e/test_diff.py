"""``loop diff`` against the cluster: what ``loop deploy`` would change, without building or changing anything."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Sample
from tests.e2e.loop_command import Ended, loop

pytestmark = pytest.mark.cluster


async def diff(sample: Sample, *arguments: str) -> Ended:
    return await loop("diff", "--exit-code", *arguments, cwd=sample.folder)


async def test_a_project_before_and_after_its_deployment(sample: Sample) -> None:
    before = await diff(sample)
    assert (before.code, before.stdout.splitlines()[1]) == (1, f"+ Deployment/web in {sample.namespace}")
    assert (await loop("deploy", cwd=sample.folder)).code == 0
    after = await diff(sample)
    assert after.code == 0, after.stdout
    assert after.stdout.startswith(f"sample  no differences  (namespace {sample.namespace} on ")

    sample.replace("loop.yaml", "first title", "second title")
    retitled = await diff(sample, "-o", "json")
    [comparison] = json.loads(retitled.stdout)["comparisons"]
    [difference] = comparison["differences"]
    changed = [line.strip() for line in difference["diff"].splitlines() if line[0] in "+-"]
    assert (retitled.code, changed) == (1, ["-          value: first title", "+          value: second title"])

    sample.replace("loop.yaml", "second title", "first title")
    sample.write("web/page.txt", f"no image has {sample.namespace} yet")
    rebuilt = await diff(sample)
    assert "image web would be built" in rebuilt.stderr
    changed = [line.strip() for line in rebuilt.stdout.splitlines() if line.startswith(("    + ", "    - "))]
    assert [line.partition("image: ")[0] for line in changed] == ["-        ", "+        "]
    assert "@sha256:" in changed[0] and "@" not in changed[1]


async def test_dependencies_are_compared_too(sample: Sample) -> None:
    sample.write("loop.yaml", "name: sample\nmanifests: [{files: web.yaml}]\ndependencies: {db: {files: db.yaml}}\n")
    sample.write("web.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n")
    sample.write("db.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: hunter2}\n")
    assert (await loop("deploy", cwd=sample.folder)).code == 0
    sample.replace("db.yaml", "hunter2", "sesame")
    found = await diff(sample)
    changed = [line for line in found.stdout.splitlines() if not line.startswith(" ")]
    assert [line.partition("  (")[0] for line in changed] == [
        "sample.db  1 changed",
        f"~ Secret/db in {sample.namespace}",
        "sample  no differences",
    ]
