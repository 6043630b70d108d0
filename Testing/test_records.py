from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import pytest

from TumorSegLib.support.schema import SchemaError, from_dict, to_dict


@dataclass(frozen=True)
class Circle:
    kind: ClassVar[str] = "circle"
    radius: float


@dataclass(frozen=True)
class Square:
    kind: ClassVar[str] = "square"
    side: int

    def __post_init__(self) -> None:
        if self.side < 0:
            raise ValueError(f"side {self.side} is negative")


@dataclass(frozen=True)
class Drawing:
    title: str
    shape: Circle | Square
    sizes: tuple[int, ...] = ()
    point: tuple[float, float] = (0.0, 0.0)
    style: Literal["thin", "thick"] = "thin"
    note: str | None = None
    named: dict[str, Circle] = field(default_factory=dict)


VALID = {
    "title": "t",
    "shape": {"kind": "square", "side": 3},
    "sizes": [1, 2],
    "point": [1, 2.5],
    "named": {"a": {"kind": "circle", "radius": 1}},
}


def test_round_trip():
    drawing = from_dict(Drawing, VALID)
    assert drawing == Drawing("t", Square(3), (1, 2), (1.0, 2.5), named={"a": Circle(1.0)})
    assert from_dict(Drawing, to_dict(drawing)) == drawing


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "^colour: unknown key; expected one of named, note, point"),
        ({"shape": {"kind": "star"}}, "^shape.kind: found 'star', expected one of circle, square"),
        ({"shape": {"kind": "square", "side": -1}}, "^shape: side -1 is negative"),
        ({"shape": {"kind": "square", "side": "3"}}, "^shape.side: found '3', expected a whole"),
        ({"shape": {"kind": "square"}}, "^shape.side: missing"),
        ({"shape": 3}, "^shape: found 3, expected keys and values"),
        ({"sizes": [1, 2.5]}, r"^sizes\[1\]: found 2.5, expected a whole number"),
        ({"sizes": 1}, "^sizes: found 1, expected a list"),
        ({"point": [1]}, "^point: found 1 items, expected 2"),
        ({"style": "dotted"}, "^style: found 'dotted', expected one of thin, thick"),
        ({"note": 5}, "^note: found 5, expected a text"),
        ({"title": True}, "^title: found True, expected a text"),
        ({"named": {"a": {"kind": "circle"}}}, "^named.a.radius: missing"),
    ],
)
def test_messages_name_the_key(change, message):
    with pytest.raises(SchemaError, match=message):
        from_dict(Drawing, VALID | change)
