"""Chart repositories that helm knows while it fetches dependencies: the user's own, and those that a chart names.

``helm dependency build`` wants each address to have been added by ``helm repo add``. Instead of changing the user's
configuration, helm gets a temporary one.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from innerloop import processes
from innerloop.config import yaml
from innerloop.config.files import read


@asynccontextmanager
async def known(addresses: Iterable[str], helm: str) -> AsyncIterator[dict[str, str]]:
    """Environment for helm in which these repositories are known."""
    wanted = list(dict.fromkeys(address.rstrip("/") for address in addresses if address.startswith("http")))
    if not wanted:
        yield {}
        return
    own = Path((await processes.run([helm, "env", "HELM_REPOSITORY_CONFIG"])).text.strip())
    entries = _entries(own) if own.is_file() else []
    present = {str(entry.get("url", "")).rstrip("/") for entry in entries}
    added = [
        {"name": f"innerloop-{number}", "url": address}
        for number, address in enumerate(wanted)
        if address not in present
    ]
    with tempfile.TemporaryDirectory(prefix="innerloop-") as folder:
        file = Path(folder) / "repositories.yaml"
        file.write_text(yaml.dump_all([{"apiVersion": "", "repositories": [*entries, *added]}]))
        # indexes of temporary names are of no use to later calls
        yield {"HELM_REPOSITORY_CONFIG": str(file), "HELM_REPOSITORY_CACHE": folder}


def _entries(file: Path) -> list[dict[str, Any]]:
    documents = yaml.load_all(read(file), str(file), last_wins=True)
    found: list[dict[str, Any]] = (documents[0] if documents else {}).get("repositories") or []
    return found
