"""The cluster that runs the pod we are in."""

from __future__ import annotations

import os
from pathlib import Path

from innerloop.kube.access import Access, Impersonation, TokenFile
from innerloop.kube.errors import KubeConfigError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def inside() -> bool:
    """Whether this process runs in a pod that may talk to its cluster."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (SERVICE_ACCOUNT / "token").exists()


def access(impersonate: Impersonation | None = None) -> Access:
    """Access as the pod's service account. Raises KubeConfigError when its files cannot be read."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    try:
        authority = (SERVICE_ACCOUNT / "ca.crt").read_text("ascii")
        namespace = (SERVICE_ACCOUNT / "namespace").read_text().strip()
    except OSError as error:
        raise KubeConfigError(
            f"the service account in {SERVICE_ACCOUNT} cannot be read",
            detail=str(error),
            hint="let the pod mount its service account (automountServiceAccountToken)",
        ) from error
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        cluster="in-cluster",
        user="service account",
        namespace=namespace,
        ca=authority,
        credentials=TokenFile(SERVICE_ACCOUNT / "token"),
        impersonate=impersonate,
    )
