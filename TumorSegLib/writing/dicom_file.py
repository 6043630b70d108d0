"""Writes a DICOM file, whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom

from TumorSegLib.reading.dicom_header import quiet_pydicom
from TumorSegLib.support.atomic_write import atomic_write


def write_dicom_file(dataset: pydicom.Dataset, path: Path) -> None:
    """Write `dataset`; `path` is whole or absent.

    It is encoded in memory: pydicom puts a traceback into the message of a disk's error.

    Raises:
        OutputError: the file cannot be written.
    """
    encoded = io.BytesIO()
    with quiet_pydicom():
        dataset.save_as(encoded)
    with atomic_write(path) as new:
        new.write_bytes(encoded.getbuffer())
