"""An image under another tag: what tools that insist on building do instead, so that all of them run the same image.

``python -m bench.tagging SOURCE TARGET``, both in one repository of a registry that speaks plain HTTP.
"""

from __future__ import annotations

import sys
import urllib.request

from innerloop import references

KINDS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
)


def main() -> None:
    source, target = (references.parse(one) for one in sys.argv[1:])
    if source is None or target is None:
        raise SystemExit("usage: python -m bench.tagging SOURCE TARGET")
    place = f"http://{source.domain}/v2/{source.path}/manifests"
    asked = urllib.request.Request(f"{place}/{source.digest or source.tag}", headers={"Accept": ", ".join(KINDS)})
    with urllib.request.urlopen(asked) as answer:
        manifest, kind = answer.read(), answer.headers["Content-Type"]
    put = urllib.request.Request(
        f"{place}/{target.tag}", data=manifest, method="PUT", headers={"Content-Type": str(kind)}
    )
    with urllib.request.urlopen(put):
        pass


if __name__ == "__main__":
    main()
