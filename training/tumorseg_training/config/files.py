"""TOML files of configs as mappings: what a family shares is taken in, and `--set` changes keys."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from TumorSegLib.errors import InputError
from TumorSegLib.support.text_coding import decoded

FAMILY = "family"


def read_content(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a config says, over what the file says that it names as its `family`.

    Args:
        path: of the config; `family` is a path from its folder.
        overrides: "section.key=value", the value in TOML's own syntax; an empty one takes the key
            out. `stages.NAME.section.key=value` changes what a stage says.

    Raises:
        InputError: a file cannot be read, or an override names no key of a section.
    """
    content = _parsed(path)
    family = content.pop(FAMILY, None)
    if family is not None:
        if not isinstance(family, str):
            raise InputError(f"{path}: family: found {family!r}, expected the path of a file")
        shared = _parsed(path.parent / family)
        if FAMILY in shared:
            raise InputError(f"{path.parent / family}: family: a family has none itself")
        content = merged(shared, content)
    for override in overrides:
        _override(content, override)
    return content


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with what `over` says in its place.

    Tables are merged key by key, unless `over` names another `kind`. Lists are replaced, except
    those of labels, whose items are merged by `value`.
    """
    result = dict(base)
    for key, value in over.items():
        old = base.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            another = "kind" in value and value["kind"] != old.get("kind")
            result[key] = dict(value) if another else merged(old, value)
        elif (items := _by_value(old)) and (changes := _by_value(value)):
            result[key] = list(merged(items, changes).values())
        else:
            result[key] = value
    return result


def _by_value(items: object) -> dict[Any, Mapping[str, Any]]:
    """Return tables by their key `value`; nothing if these are no tables that have one."""
    if not isinstance(items, list) or not all(
        isinstance(item, Mapping) and isinstance(item.get("value"), int) for item in items
    ):
        return {}
    return {item["value"]: item for item in items}


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(decoded(path.read_bytes()))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # numbers without end, levels without end
        raise InputError(f"{path}: not TOML: {error}") from None


def _override(content: dict[str, Any], override: str) -> None:
    keys, separator, text = override.partition("=")
    if not separator:
        raise InputError(f"--set {override}: expected section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text
    *sections, key = keys.strip().split(".")
    inner: Any = content
    for section in sections:
        inner = _section(inner, section)
    if not isinstance(inner, dict):
        raise InputError(f"--set {override}: {keys} is not a key of a section")
    if not text.strip():
        inner.pop(key, None)
        return
    inner[key] = value


def _section(content: object, name: str) -> Any:
    """Return a section of a table, or the table so named of a list; none if there is none."""
    if isinstance(content, list):
        named = (item for item in content if isinstance(item, dict) and item.get("name") == name)
        return next(named, None)
    return content.setdefault(name, {}) if isinstance(content, dict) else None
