"""``loop dev``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from innerloop.cli import completing
from innerloop.cli.options import ProjectOptions, force_option, output_option, project_options, take_over_option

if TYPE_CHECKING:
    from innerloop.events import Emit, Event

KEYS = "keys: r rebuild · o open in the browser · q quit · ? this help"


@click.command(short_help="develop until ^C")
@click.argument("services", nargs=-1, metavar="[SERVICE]…", shell_complete=completing.services)
@click.option("--purge", is_flag=True, help="at the end remove what was deployed")
@take_over_option
@force_option
@output_option
@project_options
def command(
    options: ProjectOptions, services: tuple[str, ...], purge: bool, take_over: bool, force: bool, output: str
) -> None:
    """Deploy, then keep the containers of each SERVICE (all of ``dev:`` by default) the same as the files.

    Everything stays running at the end, unless --purge. Keys while it runs: r rebuild, o open, q quit, ? help.
    """
    import asyncio

    from innerloop.cli.options import load_tree
    from innerloop.cli.running import run
    from innerloop.engine.developing import Request, develop
    from innerloop.events import Notice, SessionReady
    from innerloop.ui.keys import keys

    async def work(emit: Emit) -> None:
        requests: asyncio.Queue[Request] = asyncio.Queue()
        urls: list[str] = []

        def tell(event: Event) -> None:
            if isinstance(event, SessionReady):
                urls[:] = event.urls
            emit(event)

        def on_key(key: str) -> None:
            match key:
                case "r":
                    requests.put_nowait("rebuild")
                case "q":
                    requests.put_nowait("quit")
                case "o":
                    _open(urls, emit)
                case "?":
                    emit(Notice(level="info", message=KEYS))

        with keys(on_key) as interactive:
            if interactive:
                emit(Notice(level="info", message=KEYS))
            load = partial(load_tree, options)
            await develop(
                load,
                services,
                tell,
                requests=requests,
                patient=interactive,
                purge=purge,
                take_over=take_over,
                force=force,
            )

    run(work, output=output)


def _open(urls: list[str], emit: Emit) -> None:
    """Open the addresses in the user's browser, without waiting for it."""
    import threading
    import webbrowser

    from innerloop.events import Notice

    if not urls:
        emit(Notice(level="info", message="nothing to open: no dev target that is ready has open: in loop.yaml"))
        return
    try:
        # a browser for text would take the terminal, which is ours
        found = type(webbrowser.get()) is not webbrowser.GenericBrowser
    except webbrowser.Error:
        found = False
    if not found:
        emit(Notice(level="info", message=f"no browser is on this machine; open {' and '.join(urls)} yourself"))
        return
    for url in urls:
        threading.Thread(target=webbrowser.open, args=(url,), name=f"open {url}", daemon=True).start()
