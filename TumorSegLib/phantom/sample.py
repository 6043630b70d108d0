"""The demonstration's public sample volume, downloaded with a checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from TumorSegLib.errors import OutputError
from TumorSegLib.support.atomic_write import atomic_write
from TumorSegLib.support.download import DownloadError, downloaded

SAMPLE_NAME = "brain1_image.nrrd of PyRadiomics (brain MRI with a tumour)"
SAMPLE_FILE = "brain1_image.nrrd"
SAMPLE_URL = "https://github.com/AIM-Harvard/pyradiomics/releases/download/v1.0/brain1_image.nrrd"
SAMPLE_SHA256 = "fffdb111ee8b428ede7256707393c927a7d5be912f0604cf3c6f1bd5fc9644cf"

MAXIMUM_BYTES = 16 << 20


def fetch_sample(
    folder: Path,
    *,
    timeout: float,
    explain: Callable[[str], None] = lambda reason: None,
    url: str = SAMPLE_URL,
    sha256: str = SAMPLE_SHA256,
) -> Path | None:
    """Return the sample's path in `folder`, downloaded if it is not there yet.

    Args:
        folder: where to keep it.
        timeout: seconds after which the download is given up.
        explain: gets one line that says why there is no sample.
        url: where it is.
        sha256: of its bytes.

    Returns:
        The path of a file with the expected checksum, or nothing.
    """
    path = folder / SAMPLE_FILE
    if path.is_file() and _checksum(path.read_bytes()) == sha256:
        return path
    try:
        parts = downloaded(url, largest=MAXIMUM_BYTES, silence=timeout, within=timeout)
        content = b"".join(parts)
    except DownloadError as error:
        explain(str(error))
        return None
    found = _checksum(content)
    if found != sha256:
        explain(
            f"{url}: SHA-256 is {found[:12]}..., expected {sha256[:12]}...;"
            " what came is not the sample and was not kept"
        )
        return None
    try:
        with atomic_write(path) as new:
            new.write_bytes(content)
    except OutputError as error:
        explain(str(error))
        return None
    return path


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
