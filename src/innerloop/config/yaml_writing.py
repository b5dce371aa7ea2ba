"""Writing YAML that Kubernetes' tools, and any other parser, read back to the same values.

Block style, keys in the given order, Unicode as it is, text of several lines as literal blocks. Text that some reader
could take for something else is quoted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from innerloop.config import scalars

# what needs no quotes whatever follows: no indicator first, no ": " or " #" inside
_PLAIN = re.compile(r"(?:--?(?=[A-Za-z])|[A-Za-z0-9_/.$(]|[^\x00-\x7f])(?:[^:#]|:(?! |$)|(?<! )#)*")
# no plain text for readers of YAML 1.1 that know base-60 numbers and dates
_OTHER_NUMBERS = re.compile(
    r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*|[-+]?[0-9.][0-9_.,eE+-]*"
)


def dump_all(documents: Iterable[Any]) -> str:
    """A stream of documents, each of dicts, lists and scalars, separated by ``---``."""
    return "---\n".join("".join(line + "\n" for line in _document(document)) for document in documents)


def _document(value: Any) -> Iterator[str]:
    if isinstance(value, (dict, list, tuple)) and value:
        return _block(value, "")
    return iter([_inline(value, "")])


def _block(value: Any, indent: str) -> Iterator[str]:
    """Lines of a non-empty mapping or list; list items of a mapping stand at its own indentation."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _entry(f"{indent}{_quoted(str(key))}:", item, indent)
        return
    for item in value:
        if isinstance(item, (dict, list, tuple)) and item:
            first, *rest = _block(item, indent + "  ")
            yield f"{indent}- {first[len(indent) + 2 :]}"
            yield from rest
        else:
            yield f"{indent}- {_inline(item, indent)}"


def _entry(head: str, item: Any, indent: str) -> Iterator[str]:
    if isinstance(item, dict) and item:
        yield head
        yield from _block(item, indent + "  ")
    elif isinstance(item, (list, tuple)) and item:
        yield head
        yield from _block(item, indent)
    else:
        yield f"{head} {_inline(item, indent)}"


def _inline(value: Any, indent: str) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    text = str(value)
    fits_block = "\n" in text and text.replace("\n", "").replace("\t", "").isprintable()
    return _literal(text, indent) if fits_block else _quoted(text)


def _literal(text: str, indent: str) -> str:
    """A literal block; the indentation is told where the first line would hide it, the end kept exactly."""
    body = text.rstrip("\n")
    if not body:
        return _quoted(text)
    newlines = len(text) - len(body)
    hint = "2" if body[0] in " \n\t" else ""
    chomp = "-" if newlines == 0 else "" if newlines == 1 else "+"
    lines = text.split("\n") if newlines == 0 else text[:-1].split("\n")
    return "\n".join([f"|{hint}{chomp}", *(f"{indent}  {line}" if line else "" for line in lines)])


def _quoted(text: str) -> str:
    printable = text.isprintable()
    if printable and _PLAIN.fullmatch(text) and not text.endswith(" ") and not _ambiguous(text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if printable else "".join(map(_escaped, quoted))


def _ambiguous(text: str) -> bool:
    # "..." alone would end the document
    return (
        not isinstance(scalars.resolve(text), str)
        or text.startswith("...")
        or _OTHER_NUMBERS.fullmatch(text) is not None
    )


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
