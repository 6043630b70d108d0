"""TumorSegLib: segments tumours and organs in CT and MRI, slice by slice.

>>> import TumorSegLib as tumorseg
>>> result = tumorseg.segment("flair.nii.gz")
>>> result.save("tumour.seg.nrrd").name
'tumour.seg.nrrd'

Importing the package imports neither torch nor SimpleITK; the names below do when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from TumorSegLib.support.version import __version__

if TYPE_CHECKING:
    from TumorSegLib.api import segment
    from TumorSegLib.errors import InputError, ModelError, OutputError, TumorSegError
    from TumorSegLib.image.grid import AxialView, Grid
    from TumorSegLib.image.volume import Volume
    from TumorSegLib.inference.result import DetectionResult, SegmentationResult
    from TumorSegLib.inference.run_options import RunOptions
    from TumorSegLib.inference.segmenter import Segmenter
    from TumorSegLib.measurement.segment import Measurement
    from TumorSegLib.model.bundle import Bundle, read_bundle
    from TumorSegLib.model.catalogue import Catalogue, default_catalogue
    from TumorSegLib.model.specification import ModelSpecification
    from TumorSegLib.reading import read_volume
    from TumorSegLib.writing import write_segmentation

_HOMES = {
    "AxialView": "image.grid",
    "Bundle": "model.bundle",
    "Catalogue": "model.catalogue",
    "DetectionResult": "inference.result",
    "Grid": "image.grid",
    "InputError": "errors",
    "Measurement": "measurement.segment",
    "ModelError": "errors",
    "ModelSpecification": "model.specification",
    "OutputError": "errors",
    "RunOptions": "inference.run_options",
    "SegmentationResult": "inference.result",
    "Segmenter": "inference.segmenter",
    "TumorSegError": "errors",
    "Volume": "image.volume",
    "default_catalogue": "model.catalogue",
    "read_bundle": "model.bundle",
    "read_volume": "reading",
    "segment": "api",
    "write_segmentation": "writing",
}
"""Modules of the names above, for the run time."""

__all__ = [
    "AxialView",
    "Bundle",
    "Catalogue",
    "DetectionResult",
    "Grid",
    "InputError",
    "Measurement",
    "ModelError",
    "ModelSpecification",
    "OutputError",
    "RunOptions",
    "SegmentationResult",
    "Segmenter",
    "TumorSegError",
    "Volume",
    "__version__",
    "default_catalogue",
    "read_bundle",
    "read_volume",
    "segment",
    "write_segmentation",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
