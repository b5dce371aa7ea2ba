"""What a plain (unquoted) YAML scalar means to Kubernetes' tools.

They read YAML by sigs.k8s.io/yaml (1.6): go.yaml.in/yaml/v2, then through JSON. That is YAML 1.1 without base-60
numbers and with timestamps left as text, plus ``0o644`` and ``1e3``. What JSON makes of a number counts too:
``1.0`` arrives as the integer 1.
"""

from __future__ import annotations

import math
import re

Value = str | int | float | bool | None

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_SPECIAL_FLOATS = {
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((f"{sign}{word}" for word in (".inf", ".Inf", ".INF") for sign in ("", "+")), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_FIRST = frozenset("yYnNtTfFoO~0123456789+-.")
_DIGITS = {"0x": 16, "0X": 16, "0b": 2, "0B": 2, "0o": 8, "0O": 8}
_DECIMAL = re.compile(r"0|[1-9][0-9]*")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DOT_FLOAT = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?")
_MAX_UINT64 = 2**64 - 1
_MIN_INT64 = -(2**63)


def resolve(text: str) -> Value:
    """The value of a plain scalar; text that is nothing else stays text. Infinite and NaN come as floats."""
    if not text:
        return None
    first = text[0]
    if first not in _FIRST:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if first == "." or first in "+-":
        special = _SPECIAL_FLOATS.get(text)
        if special is not None:
            return special
    if first == ".":
        # Go hands this text to its float parser as it stands, which wants digits around each underscore
        return _float(text) if _DOT_FLOAT.fullmatch(text) else text
    if first in "0123456789+-":
        return _number(text)
    return text


def key(value: Value) -> str:
    """The text that a scalar becomes as a key (keys of JSON are text).

    Raises ValueError for null, which is no key.
    """
    if value is None:
        raise ValueError("null is no key")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _number(text: str) -> Value:
    digits = text.replace("_", "")
    integer = _integer(digits)
    if integer is not None:
        return integer
    if _FLOAT.fullmatch(digits):
        number = _float(digits)
        return text if isinstance(number, str) else number
    return text


def _integer(digits: str) -> int | None:
    sign = -1 if digits.startswith("-") else 1
    body = digits[1:] if digits[:1] in ("-", "+") else digits
    base = _DIGITS.get(body[:2])
    try:
        if base:
            number = int(body[2:], base) if body[2:].isalnum() else None
        elif body.startswith("0") and len(body) > 1:
            number = int(body, 8) if body.isdecimal() else None
        else:
            number = int(body) if _DECIMAL.fullmatch(body) else None
    except ValueError:
        return None
    if number is None or not _MIN_INT64 <= sign * number <= _MAX_UINT64:
        return None
    # an unsigned number may carry no sign at all
    if number >= 2**63 and digits != body and sign > 0:
        return None
    return sign * number


def _float(text: str) -> Value:
    number = float(text)
    if math.isinf(number):
        return text
    # JSON knows one kind of number, and Kubernetes reads what looks like an integer as one
    if number.is_integer() and abs(number) <= 2**53:
        return int(number)
    return number
