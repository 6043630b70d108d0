"""One number for a model: equal where two computers, or two runs, have the very same one."""

from __future__ import annotations

import hashlib
import json

from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.support.schema import to_dict


def model_checksum(bundle: Bundle, catalogue: Catalogue) -> str:
    """Return SHA-256, in hexadecimal, over what decides on a model's results.

    That is `model.json`, which has the checksums of weights and forest, and those of members. That
    the files have them is checked where they are loaded.

    Raises:
        ModelError: a member is missing or does not fit.
    """
    members = catalogue.members(bundle) if bundle.specification.members else []
    return digest([to_dict(one.specification) for one in (bundle, *members)])


def digest(content: object) -> str:
    """Return the SHA-256 of plain values."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
