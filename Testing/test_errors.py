"""Messages are one line that a terminal shows as it is, whatever names and values stand in them."""

from __future__ import annotations

import pytest

from TumorSegLib.errors import Cancelled, InputError, ModelError
from TumorSegLib.support.schema import SchemaError


@pytest.mark.parametrize("kind", [InputError, ModelError, SchemaError])
@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("a\r\tb", "a\\r\\tb"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("scan\u202egpj.exe", "scan\\u202egpj.exe"),
        ("\0", "\\x00"),
        ("name-\udcff", "name-\\udcff"),
        ("\u2028line", "\\u2028line"),
        ("Schädel 頭部 ½ mm²", "Schädel 頭部 ½ mm²"),
    ],
)
def test_what_would_not_show_is_written_as_an_escape(kind, said, shown):
    message = str(kind(f"{said}: not read"))
    assert message == f"{shown}: not read"
    message.encode()


def test_the_middle_of_a_long_value_is_left_out():
    message = str(InputError(f"found {'a' * 5000}b as unit, expected mm"))
    assert message.startswith("found aaa")
    assert message.endswith("aab as unit, expected mm")
    assert len(message) < 700


@pytest.mark.parametrize("length", [10, 255, 900])
def test_paths_are_shown_in_full(length):
    path = "/" + "d/" * (length // 2)
    assert str(InputError(f"{path}: is missing")) == f"{path}: is missing"


def test_messages_of_our_own_stay_as_they_are():
    assert str(Cancelled()) == "cancelled; nothing was written"
