"""Frozen dataclasses from JSON or TOML and back, strictly.

Unknown keys, missing keys and values of the wrong type are errors that name the key. Dataclasses
that are alternatives to each other (`Window | Foreground`) tell themselves apart by `kind`, a class
variable that stands as a key `kind` in the file.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from TumorSegLib.errors import TumorSegError

Record = TypeVar("Record")


class SchemaError(TumorSegError):
    """A key of a JSON or TOML file cannot be used."""


DEEPEST = 50
"""Levels of lists and mappings in a file; what has more would overflow Python's stack."""

SHOWN = 200
"""Characters of a value in a message."""


def parsed(text: str | bytes) -> Any:
    """Return JSON as Python values.

    Raises:
        ValueError: it is none, or has impossible numbers or levels.
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    level = [content]
    for _ in range(DEEPEST):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return content
    raise ValueError("nested too deeply")


def from_dict(cls: type[Record], data: object, where: str = "") -> Record:
    """Build the dataclass `cls` from the mapping `data`.

    Args:
        cls: a dataclass whose annotations say what each key holds.
        data: the mapping, as JSON or TOML parsers give it.
        where: path of keys down to `data`, for messages.

    Raises:
        SchemaError: a key is unknown, missing, or holds an impossible value.
    """
    mapping = _mapping(data, where)
    hints, fields = _described(cast("Any", cls))
    kind = getattr(cls, "kind", None)
    known = {*fields, "kind"} if kind else set(fields)
    if unknown := sorted(set(mapping) - known):
        raise SchemaError(
            f"{_join(where, unknown[0])}: unknown key; expected one of {', '.join(sorted(known))}"
        )
    values = {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = _value(hints[name], mapping[name], _join(where, name))
        elif field.default is field.default_factory is dataclasses.MISSING:
            raise SchemaError(f"{_join(where, name)}: missing")
    try:
        return cls(**values)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise SchemaError(f"{where}: {error}" if where else str(error)) from None


@cache
def _described(cls: Any) -> tuple[dict[str, Any], dict[str, dataclasses.Field[Any]]]:
    """Return a dataclass's types and fields by name; working them out takes a while."""
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    return get_type_hints(cls), fields


def to_dict(value: object) -> Any:
    """Return a dataclass as nested dicts, lists and scalars; `None` fields are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = getattr(value, "kind", None)
        named = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return ({"kind": kind} if kind else {}) | {
            name: to_dict(item) for name, item in named.items() if item is not None
        }
    if isinstance(value, Mapping):
        return {name: to_dict(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_dict(item) for item in value]
    return value


def _value(hint: Any, value: object, where: str) -> Any:
    """Return `value` as the annotation `hint` wants it."""
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin in (types.UnionType, Union):
        return _alternative(get_args(hint), value, where)
    if origin is Literal:
        if value not in get_args(hint):
            expected = ", ".join(str(choice) for choice in get_args(hint))
            raise SchemaError(f"{where}: found {_shown(value)}, expected one of {expected}")
        return value
    if origin is tuple:
        return _tuple(get_args(hint), value, where)
    if origin in (dict, Mapping) or origin is cast("Any", Mapping):
        inner = get_args(hint)[1]
        return {k: _value(inner, v, _join(where, k)) for k, v in _mapping(value, where).items()}
    if dataclasses.is_dataclass(hint):
        return from_dict(cast("type[Any]", hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return _as_float(value, where)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise SchemaError(f"{where}: found {_shown(value)}, expected {_called(hint)}")
    return value


def _as_float(value: int, where: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise SchemaError(f"{where}: found a number that is too large") from None


def _alternative(choices: tuple[Any, ...], value: object, where: str) -> Any:
    if value is None and type(None) in choices:
        return None
    choices = tuple(choice for choice in choices if choice is not type(None))
    records = {choice.kind: choice for choice in choices if hasattr(choice, "kind")}
    if records:
        kind = _mapping(value, where).get("kind")
        if not isinstance(kind, str) or kind not in records:
            expected = ", ".join(records)
            raise SchemaError(
                f"{_join(where, 'kind')}: found {_shown(kind)}, expected one of {expected}"
            )
        return from_dict(records[kind], value, where)
    for choice in choices:
        try:
            return _value(choice, value, where)
        except SchemaError:
            if choice is choices[-1]:
                raise
    raise AssertionError(choices)


def _tuple(hints: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise SchemaError(f"{where}: found {_shown(value)}, expected a list")
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(hints) != len(value):
        raise SchemaError(f"{where}: found {len(value)} items, expected {len(hints)}")
    pairs = enumerate(zip(hints, value, strict=True))
    return tuple(_value(hint, item, f"{where}[{index}]") for index, (hint, item) in pairs)


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SchemaError(f"{where or 'file'}: found {_shown(value)}, expected keys and values")
    return value


def _shown(value: object) -> str:
    """Return a value as a message shows it; of a long one the beginning."""
    try:
        text = repr(value)
    except ValueError:  # a number with more digits than Python writes
        return "a number that is too large"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _called(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return names.get(hint, str(hint))
