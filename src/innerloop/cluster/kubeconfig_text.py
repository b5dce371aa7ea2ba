"""Changing the text of a kubeconfig by cutting and inserting lines, so that the rest stays as its owner wrote it.

Only block style, which everybody writes, and JSON are changed, other text comes back as it was: the caller compares
the outcome with what was meant.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

LISTS = ("clusters", "users", "contexts")


def with_entry(text: str, list_name: str, entry: dict[str, Any]) -> str:
    """``text`` with an entry at the end of one of its lists."""
    if _is_json(text):
        content = json.loads(text)
        content[list_name] = [*(content.get(list_name) or []), entry]
        return _json_text(content)
    lines = _lines(text)
    line = f"- {json.dumps(entry)}"
    node = _value_node(text, list_name)
    if node is None:
        lines += [f"{list_name}:", line]
    elif not node.value:
        # "clusters: []", "clusters: null" or "clusters:"
        lines[node.start_mark.line : node.end_mark.line + 1] = [f"{list_name}:", line]
    elif not node.flow_style:
        indent = lines[_dash_index(lines, node.value[0])].find("-")
        lines.insert(_last_line(node) + 1, " " * indent + line)
    return _text(lines)


def without_entry(text: str, list_name: str, index: int) -> str:
    """``text`` without an entry that is in it."""
    if _is_json(text):
        content = json.loads(text)
        del content[list_name][index]
        return _json_text(content)
    lines = _lines(text)
    node = _value_node(text, list_name)
    if node.flow_style:
        return text
    item = node.value[index]
    if len(node.value) == 1:
        key_line = next(i for i, line in enumerate(lines) if line.startswith(f"{list_name}:"))
        lines[key_line] = lines[key_line].replace(":", ": []", 1)
    first = _dash_index(lines, item)
    del lines[first : _last_line(item) + 1]
    return _text(lines)


def with_current(text: str, context: str) -> str:
    """``text`` with another current context; empty for none."""
    if _is_json(text):
        return _json_text({**json.loads(text), "current-context": context})
    lines = _lines(text)
    line = f"current-context: {json.dumps(context)}"
    node = _value_node(text, "current-context")
    if node is None:
        lines.append(line)
    else:
        lines[node.start_mark.line] = line
    return _text(lines)


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("{")


def _json_text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text.strip() else []


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _value_node(text: str, key: str) -> Any:
    """The node of a top-level value, None when the key is missing."""
    root = yaml.compose(text, yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _dash_index(lines: list[str], item: yaml.Node) -> int:
    """The line on which a list's item begins; its content may begin on a later one."""
    index: int = item.start_mark.line
    while not lines[index].lstrip().startswith("-"):
        index -= 1
    return index


def _last_line(node: yaml.Node) -> int:
    """The last line of a node's content; the end mark of a block is where the next token begins."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        return max(_last_line(part) for pair in node.value for part in pair)
    if isinstance(node, yaml.SequenceNode) and not node.flow_style:
        return max(_last_line(part) for part in node.value)
    line: int = node.end_mark.line
    # a literal block (|) ends at the beginning of the following line
    return line - 1 if node.end_mark.column == 0 and line > node.start_mark.line else line
