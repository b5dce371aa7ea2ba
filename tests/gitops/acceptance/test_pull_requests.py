"""What the GitOps repository, its pull requests and the commits' statuses are after each command."""

from __future__ import annotations

from tests.gitops.acceptance.poll import Clone, Poll
from tests.gitops.forge.server import TOKEN


async def test_step_2_what_the_laptop_renders_with_dev_values_is_what_ci_promotes_byte_for_byte(
    poll: Poll, laptop: Clone
) -> None:
    laptop.write(".env", (laptop.folder / "env/dev.env").read_text())
    ci = await poll.clone("ci", "--depth=1", "--no-single-branch")
    here = await laptop.loop("render", "--namespace", poll.namespace("dev"))
    assert here == await ci.loop("render", "--env", "dev")
    await laptop.loop("render", "--env", "dev", "--output", "rendered")
    await ci.loop("promote", "dev")
    rendered = {file.name: below_header(file.read_text()) for file in (laptop.folder / "rendered").iterdir()}
    assert rendered == {name: below_header(text) for name, text in poll.texts("dev", "loop/dev/poll").items()}


def below_header(text: str) -> str:
    """A file without its first line, which tells a folder from another."""
    return text.partition("\n")[2].rstrip("\n")


async def test_step_3_one_command_opens_one_pull_request_the_next_updates_it_and_no_change_opens_none(
    poll: Poll, laptop: Clone
) -> None:
    await laptop.loop("promote", "dev")
    (pull,) = poll.ops.pulls
    assert (pull.head, pull.base, pull.title) == ("loop/dev/poll", "main", "Promote poll to dev: Ask a question")
    proposed = poll.ops.remote.files(pull.head)
    assert "kind: Deployment" in proposed[f"{poll.manifests('dev')}/deployment-web.yaml"]
    assert "{{ .Values.title | quote }}" in proposed[f"{poll.templates('dev')}/deploy/chart/templates/web.yaml"]
    assert 'title: "Cats or dogs? (dev)"' in proposed[f"{poll.templates('dev')}/deploy/values.yaml"]

    await laptop.retitle("Tea or coffee?")
    await laptop.loop("promote", "dev")
    assert poll.ops.pulls == [pull]
    assert pull.title == "Promote poll to dev: Ask for Tea or coffee?"
    assert poll.title("dev", pull.head) == "Tea or coffee?"

    tip = poll.ops.remote.tip(pull.head)
    assert "is open already, unchanged" in await laptop.loop("promote", "dev")
    assert (poll.ops.pulls, poll.ops.remote.tip(pull.head)) == ([pull], tip)
    poll.ops.merge()
    assert "poll in dev is up to date" in await laptop.loop("promote", "dev")
    assert (poll.ops.pulls, poll.ops.remote.branches()) == ([pull], ["main"])


async def test_step_6_a_commit_that_is_overtaken_before_it_is_applied_gets_a_final_status(
    poll: Poll, laptop: Clone
) -> None:
    overtaken = await laptop.retitle("Tea or coffee?")
    await laptop.loop("promote", "dev")
    await laptop.tried("status", "--env", "dev", "--report")
    assert poll.source.status(overtaken, "innerloop/dev")[0] == "pending"
    poll.ops.merge()
    newer = await laptop.retitle("Milk or sugar?")
    await laptop.loop("promote", "dev")
    merged = poll.ops.merge()
    await laptop.loop("status", "--env", "dev", "--commit", overtaken, "--report")
    state, words = poll.source.status(overtaken, "innerloop/dev")
    assert (state, words.partition(",")[0]) == ("success", f"overtaken: dev has {newer[:7]}")
    assert poll.ops.status(merged, "innerloop/dev") == ("", "")


async def test_step_7_a_failed_test_in_stage_is_rolled_back_and_the_next_promotion_does_not_undo_that_silently(
    poll: Poll, laptop: Clone
) -> None:
    await laptop.loop("promote", "stage")
    poll.ops.merge()
    laptop.write("env/stage.env", "TITLE=Broken\n")
    broken = await laptop.push("Break it")
    await laptop.loop("promote", "stage")
    poll.ops.merge()

    # the test of the stage has failed
    await laptop.loop("rollback", "stage")
    pull = poll.ops.pulls[-1]
    assert pull.title == "Roll back poll in stage to: Ask a question"
    poll.ops.merge()
    assert poll.title("stage") == "Cats or dogs? (stage)"

    refused = await laptop.tried("promote", "stage")
    assert refused.code == 1
    assert f"{broken[:12]} was rolled back in stage" in refused.stdout + refused.stderr
    assert poll.ops.pulls[-1] == pull
    laptop.write("env/stage.env", "TITLE=Mended\n")
    await laptop.push("Mend it")
    assert "goes over a rollback of stage" in await laptop.loop("promote", "stage")
    assert broken[:12] in poll.ops.pulls[-1].body


async def test_step_9_a_plaintext_secret_stops_the_pull_request(poll: Poll, laptop: Clone) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: box}\nstringData: {password: do-not-tell}\n"
    laptop.write("deploy/chart/templates/secret.yaml", secret)
    await laptop.push("Keep the box shut")
    stopped = await laptop.tried("promote", "dev")
    told = stopped.stdout + stopped.stderr
    assert stopped.code == 1
    assert "plain-secret" in told and "Secret/box" in told
    assert "do-not-tell" not in told and TOKEN not in told
    assert (poll.ops.pulls, poll.ops.remote.branches()) == ([], ["main"])
