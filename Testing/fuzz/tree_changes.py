"""Changes of JSON by what it holds: other values, types, keys and depths."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from fuzz.changes import NUMBERS, WORDS, word

DIGITS = '"digits"'


def tree_changed(rng: Random, content: bytes) -> bytes:
    """Change one value somewhere in a JSON file."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return content + word(rng)
    holder = {"": tree}
    parent, key = rng.choice(_places(holder))
    match rng.randrange(6):
        case 0 | 1 | 2:
            parent[key] = value(rng)
        case 3 if parent is not holder:
            del parent[key]
        case 4 if isinstance(parent, dict) and parent is not holder:
            parent[rng.choice(WORDS)] = parent.pop(key)
        case _:
            parent[key] = rng.choice(([parent[key]], {"": parent[key]}, [parent[key]] * 3))
    text = json.dumps(holder[""], ensure_ascii=rng.random() < 0.5)
    text = text.replace(DIGITS, "9" * 5000, 1)
    return text.encode("utf-8", "surrogatepass")


def value(rng: Random) -> Any:
    """Return a value that a reader may not expect."""
    kinds = (None, True, False, [], {}, float("nan"), float("inf"), -1.5, 1e308, "digits", "\ud800")
    deep: Any = 0
    if rng.random() < 0.05:
        for _ in range(rng.choice((49, 50, 51, 900))):
            deep = [deep]
        return deep
    return rng.choice(
        (rng.choice(kinds), rng.choice(NUMBERS), -rng.choice(NUMBERS), rng.choice(WORDS))
    )


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Return all containers and keys in a tree."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        keys = range(len(node)) if isinstance(node, list) else list(node)
        for key in keys:
            found.append((node, key))
            if isinstance(node[key], dict | list):
                waiting.append(node[key])
    return found
