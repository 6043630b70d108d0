"""One number for a model: equal where two computers, or two runs, have the very same one."""

from __future__ import annotations

import hashlib
import json

from TumorSegLib.errors import ModelError
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.bundle_folder import SPECIFICATION_FILE
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.support.schema import parsed


def model_checksum(bundle: Bundle, catalogue: Catalogue) -> str:
    """Return SHA-256, in hexadecimal, over what decides on a model's results.

    That is `model.json`, which has the checksums of weights and forest, and those of members. That
    the files have them is checked where they are loaded. What stands in the file counts, not what
    this version makes of it: another one may know further fields, and takes the model for the same.

    Raises:
        ModelError: a member is missing or does not fit, or a file cannot be read.
    """
    members = catalogue.members(bundle) if bundle.specification.members else []
    return digest([_content(one) for one in (bundle, *members)])


def _content(bundle: Bundle) -> object:
    path = bundle.folder / SPECIFICATION_FILE
    try:
        return parsed(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from None


def digest(content: object) -> str:
    """Return the SHA-256 of plain values."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
