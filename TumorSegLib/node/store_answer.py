"""What a DICOMweb service answers when it is sent an object (PS3.18, 10.5.3)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JSON = ("application/dicom+json", "application/json")
XML = ("application/dicom+xml", "application/xml", "text/xml")
FAILED, STORED = "00081198", "00081199"
"""Tags of FailedSOPSequence and ReferencedSOPSequence."""
REASON, INSTANCE = "00081197", "00081155"
"""Tags of FailureReason and ReferencedSOPInstanceUID."""


@dataclass(frozen=True)
class StoreAnswer:
    """What the body of an answer says.

    Attributes:
        stored: SOPInstanceUIDs that it says it has.
        failures: FailureReason of each object that it does not take.
    """

    stored: frozenset[str] = frozenset()
    failures: tuple[int, ...] = ()


def store_answer(kind: str, body: bytes) -> StoreAnswer | None:
    """Return what an answer says; None: it is none of DICOMweb, such as a page to log in at.

    Args:
        kind: media type, with or without parameters (`; charset=utf-8`).
        body: may be empty, which says nothing.
    """
    if not body.strip():
        return StoreAnswer()
    kind = kind.partition(";")[0].strip().lower()
    try:
        if kind in JSON:
            return _of_json(json.loads(body))
        if kind in XML:
            return _of_xml(body.decode("utf-8"))
    except (ValueError, TypeError, AttributeError, KeyError, IndexError):
        return None
    return None


def _of_json(content: Any) -> StoreAnswer:
    stored = (_value(item, INSTANCE, "") for item in _items(content, STORED))
    failures = (int(_value(item, REASON, 0)) for item in _items(content, FAILED))
    return StoreAnswer(frozenset(map(str, stored)), tuple(failures))


def _items(content: Mapping[str, Any], tag: str) -> list[Mapping[str, Any]]:
    return content.get(tag, {}).get("Value") or []


def _value(item: Mapping[str, Any], tag: str, otherwise: Any) -> Any:
    return (item.get(tag, {}).get("Value") or [otherwise])[0]


def _of_xml(text: str) -> StoreAnswer | None:
    """Return what the native model of DICOM says (PS3.19, A.1), of which few words are wanted."""
    if "<NativeDicomModel" not in text:
        return None
    kept = r'tag="{}"[^>]*>(?:(?!</DicomAttribute).)*?<Value[^>]*>\s*([0-9.]+)\s*</Value>'
    failed, stored = (f'tag="{tag}"' in text for tag in (FAILED, STORED))
    reasons = tuple(int(one) for one in re.findall(kept.format(REASON), text, re.DOTALL))
    uids = re.findall(kept.format(INSTANCE), text, re.DOTALL) if stored and not failed else ()
    return StoreAnswer(frozenset(uids), (reasons or (0,)) if failed else ())
