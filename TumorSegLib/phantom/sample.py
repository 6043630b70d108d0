"""The demonstration's public sample volume, downloaded with a checksum."""

from __future__ import annotations

import hashlib
import http.client
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from TumorSegLib.errors import OutputError
from TumorSegLib.support.whole_file import whole_file

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
        content = _download(url, timeout)
    except (OSError, http.client.HTTPException) as error:
        reason = str(error.reason if isinstance(error, URLError) else error)
        explain(f"{url}: cannot be downloaded: {' '.join(reason.split())}")
        return None
    found = _checksum(content)
    if found != sha256:
        explain(
            f"{url}: SHA-256 is {found[:12]}..., expected {sha256[:12]}...;"
            " what came is not the sample and was not kept"
        )
        return None
    try:
        with whole_file(path) as new:
            new.write_bytes(content)
    except OutputError as error:
        explain(str(error))
        return None
    return path


def _download(url: str, timeout: float) -> bytes:
    """Return what is at `url`.

    Raises:
        OSError: it cannot be had, or not in time.
        http.client.HTTPException: the server speaks no HTTP or stops in the middle.
    """
    deadline = time.monotonic() + timeout
    parts = []
    with urlopen(url, timeout=timeout) as response:  # noqa: S310 - the checksum guards what comes
        while part := response.read1(MAXIMUM_BYTES):
            parts.append(part)
            if time.monotonic() > deadline or sum(map(len, parts)) > MAXIMUM_BYTES:
                raise TimeoutError(f"too large, or not done in {timeout:g} s")
    return b"".join(parts)


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
