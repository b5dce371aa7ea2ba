"""TLS contexts, no larger than they need to be.

A context with one cluster's authority takes 0.7 ms; one with the system's authorities takes 40, so that is only
made for clusters that have no authority of their own.
"""

from __future__ import annotations

import ssl
import tempfile
from datetime import UTC, datetime

from innerloop.kube import certificates
from innerloop.kube.access import Access, Certificate
from innerloop.kube.errors import KubeConfigError


def context(access: Access, certificate: Certificate | None) -> ssl.SSLContext:
    """The TLS context for ``access``, showing ``certificate`` to the server.

    Raises KubeConfigError when a certificate or key is unusable or expired.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.set_alpn_protocols(["http/1.1"])
    if access.insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    elif access.ca is None:
        made.load_default_certs()
    else:
        _trust(made, access)
    if certificate is not None:
        _show(made, certificate)
    return made


def _trust(made: ssl.SSLContext, access: Access) -> None:
    try:
        made.load_verify_locations(cadata=access.ca)
    except (ssl.SSLError, ValueError) as error:
        raise KubeConfigError(
            f"the certificate authority of cluster {access.cluster!r} in {access.source} is not a PEM certificate",
            detail=str(error),
            hint="fetch the cluster's kubeconfig again",
        ) from error


def _show(made: ssl.SSLContext, certificate: Certificate) -> None:
    _check_expiry(certificate)
    # OpenSSL takes certificate and key only from files; this one is readable by its owner alone, and gone at once
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{certificate.chain}\n{certificate.key.reveal()}\n")
        file.flush()
        try:
            # an empty password: for an encrypted key OpenSSL would ask on the terminal otherwise
            made.load_cert_chain(file.name, password="")
        except ssl.SSLError as error:
            raise KubeConfigError(
                f"client certificate and key of {certificate.source} cannot be used",
                detail=f"{error.reason or error}: not PEM, or they do not belong together",
                hint="fetch the kubeconfig again",
            ) from error


def _check_expiry(certificate: Certificate) -> None:
    try:
        end = certificates.expiry(certificate.chain)
    except ValueError as error:
        raise KubeConfigError(
            f"the client certificate of {certificate.source} cannot be read",
            detail=str(error),
            hint="fetch the kubeconfig again",
        ) from error
    if end <= datetime.now(UTC):
        raise KubeConfigError(
            f"the client certificate of {certificate.source} expired on {end:%Y-%m-%d %H:%M} UTC",
            hint="log in to the cluster again, or fetch its kubeconfig again",
        )
