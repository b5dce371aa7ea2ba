"""aiohttp, without the 60 ms that its import spends on reading the system's authorities, twice.

Clusters mostly have an authority of their own, so our TLS contexts are made by ``kube.tls``. Whoever does use
aiohttp's own one (a plugin of the user's, say) gets the system's authorities at that moment.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from typing import Any

__all__ = ["aiohttp"]


class _LateContext(ssl.SSLContext):
    """Verifies by the system's authorities, which it loads when it is first used."""

    _loaded = False

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        if not self._loaded:
            self._loaded = True
            self.load_default_certs()
        return super().wrap_bio(*args, **options)


@contextlib.contextmanager
def _without_authorities() -> Iterator[None]:
    # aiohttp 3.12–3.14 makes one context by the first, and by the second one that verifies nothing anyway
    with (
        _replaced(ssl, "create_default_context", lambda: _LateContext(ssl.PROTOCOL_TLS_CLIENT)),
        _replaced(ssl.SSLContext, "set_default_verify_paths", lambda self: None),
    ):
        yield


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


with _without_authorities():
    import aiohttp
