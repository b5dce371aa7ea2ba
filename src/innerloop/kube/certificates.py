"""The little of X.509 that error messages need: until when a certificate is valid.

A certificate is DER (ITU-T X.690): nested tag, length, value. The way to ``notAfter`` by RFC 5280 section 4.1:
Certificate → tbsCertificate → [0] version, serial number, signature, issuer, **validity** → notBefore, notAfter.
"""

from __future__ import annotations

import re
import ssl
from datetime import datetime
from typing import NamedTuple

SEQUENCE = 0x30
VERSION = 0xA0
UTC_TIME = 0x17


def expiry(pem: str) -> datetime:
    """When the first certificate of ``pem`` expires. Raises ValueError when there is none, or it is malformed."""
    start, end = pem.find("-----BEGIN CERTIFICATE-----"), pem.find("-----END CERTIFICATE-----")
    if start < 0 or end < 0:
        raise ValueError("no PEM certificate in it")
    der = ssl.PEM_cert_to_DER_cert(pem[start:end] + "-----END CERTIFICATE-----")
    try:
        return _not_after(der)
    except IndexError as error:
        raise ValueError("malformed certificate") from error


class _Element(NamedTuple):
    tag: int
    value: bytes


def _not_after(der: bytes) -> datetime:
    certificate = _elements(der)[0]
    to_be_signed = _elements(_elements(certificate.value)[0].value)
    fields = to_be_signed[1:] if to_be_signed[0].tag == VERSION else to_be_signed
    tag, value = _elements(fields[3].value)[1]
    text = value.decode("ascii")
    if tag == UTC_TIME:
        # RFC 5280 4.1.2.5.1: two-digit years from 50 on are of the last century
        text = ("19" if text[:2] >= "50" else "20") + text
    if not re.fullmatch(r"\d{14}Z", text):
        raise ValueError(f"malformed time {text!r}")
    return datetime.fromisoformat(f"{text[:8]}T{text[8:]}")


def _elements(data: bytes) -> list[_Element]:
    found = []
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        found.append(_Element(tag, data[at : at + length]))
        at += length
    return found
