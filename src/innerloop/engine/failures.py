"""From the exception groups of concurrent work to the one error that is told."""

from __future__ import annotations

from innerloop.errors import single_failure

__all__ = ["single_failure"]
