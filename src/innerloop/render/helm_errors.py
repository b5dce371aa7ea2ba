"""From what helm says to the place in the user's chart."""

from __future__ import annotations

import re

from innerloop.config.files import shown
from innerloop.errors import Location, LoopError
from innerloop.render.charts import Chart

# helm 3: template: shop/templates/web.yaml:5:14: executing "shop/templates/web.yaml" at <.x>: …
# helm 4: shop/templates/web.yaml:5:14⏎ executing "shop/templates/web.yaml" at <.x>:⏎ …
# both: parse error at (shop/templates/web.yaml:3): … · YAML parse error on shop/templates/web.yaml: …
_PLACE = re.compile(r"(?<![\w\"/])([^\s():\"<>]+/(?:templates|crds)/[^\s():\"<>]+)(?::(\d+))?(?::(\d+))?")
_ADVICE = "Use --debug flag to render out invalid YAML"


def explained(output: str, chart: Chart, where: Location) -> LoopError:
    """The error of a failed ``helm template``, at the innermost place of the chart that helm names."""
    places = [place for match in _PLACE.finditer(output) if (place := _place(match, chart))]
    # helm goes from the outermost template to the one that failed
    candidates = [place for place in places if place.line] or places or [where]
    return LoopError(f"chart {chart.name} cannot be rendered", where=candidates[-1], detail=reason(output))


def reason(output: str) -> str:
    """What helm says, without what its own command line adds."""
    lines = [line for line in output.splitlines() if line != _ADVICE]
    return "\n".join(lines).strip().removeprefix("Error: ")


def _place(match: re.Match[str], chart: Chart) -> Location | None:
    file = chart.file_of(match[1])
    if file is None or not file.is_file():
        return None
    # columns of Go's templates count from 0
    return Location(shown(file), int(match[2] or 0), int(match[3]) + 1 if match[3] else 0)
