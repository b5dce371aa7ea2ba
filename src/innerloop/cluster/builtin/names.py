"""What a built-in cluster calls its things on the machine.

All names are made from the cluster's folder, so that ``down`` recognises them even when every record is lost, and
clusters of several users never meet.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple


class Names(NamedTuple):
    link: str
    """The machine's end of the link; the kernel allows 15 characters."""
    table: str
    """nft table on the machine."""
    cgroup: str
    """Relative to the root of each hierarchy."""


def names_of(folder: Path) -> Names:
    mark = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    return Names(f"loop-{mark}", f"innerloop_{mark}", f"innerloop/{mark}")
