"""TumorSegLib: segments tumours and organs in CT and MRI, slice by slice.

    from TumorSegLib import Segmenter, default_catalogue, read_volume

    segmenter = Segmenter(default_catalogue().default_for("MR"))
    result = segmenter.segment({"flair": read_volume(Path("flair.nii.gz"))})

Importing the package imports neither torch nor SimpleITK; the names below do when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "AxialView": "image.grid",
    "Bundle": "model.bundle",
    "Catalogue": "model.catalogue",
    "Grid": "image.grid",
    "ModelSpecification": "model.specification",
    "SegmentationResult": "inference.result",
    "Segmenter": "inference.segmenter",
    "TumorSegError": "errors",
    "Volume": "image.volume",
    "default_catalogue": "model.catalogue",
    "read_bundle": "model.bundle",
    "read_volume": "reading",
    "write_segmentation": "writing",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
