"""One number for a model: equal where two computers have the very same one."""

from __future__ import annotations

import hashlib
import json

from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.support.schema import to_dict


def checksum(bundle: Bundle, catalogue: Catalogue) -> str:
    """Return SHA-256, in hexadecimal, over what decides on a model's results.

    That is `model.json`, which has the checksums of weights and forest, and those of members. That
    the files have them is checked where they are loaded.

    Raises:
        ModelError: a member is missing or does not fit.
    """
    parts = {member.id: member for member in (bundle, *catalogue.members(bundle))}
    specifications = [to_dict(parts[name].specification) for name in sorted(parts)]
    text = json.dumps([bundle.id, specifications], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
