"""Where the frames of an enhanced (multi-frame) DICOM file lie, by its functional groups."""

from __future__ import annotations

from typing import Any

from TumorSegLib.errors import InputError
from TumorSegLib.reading.dicom_decoding import DicomSlice
from TumorSegLib.reading.dicom_files import DicomFile
from TumorSegLib.reading.dicom_geometry import slice_geometry
from TumorSegLib.reading.dicom_pixels import is_rescaling, rescaling_error

TRANSFORMATION = "PixelValueTransformationSequence"


def frame_slices(file: DicomFile) -> list[DicomSlice]:
    """Return the frames of `file` in their order.

    Raises:
        InputError: the file does not say where they lie, or what it says is garbled.
    """
    try:
        return _slices(file)
    except InputError:
        raise
    except Exception as error:  # pydicom decodes values late, and raises whatever its parts raise
        raise InputError(
            f"{file.path}: its functional groups are garbled ({type(error).__name__}), expected"
            " where each frame lies; export the series again"
        ) from None


def _slices(file: DicomFile) -> list[DicomSlice]:
    values = file.header.values
    shared = (values.get("SharedFunctionalGroupsSequence") or [{}])[0]
    frames = values.get("PerFrameFunctionalGroupsSequence") or []
    if len(frames) != file.frames:
        raise InputError(
            f"{file.path}: found positions of {len(frames)} frames, expected {file.frames};"
            " convert it to NRRD first"
        )
    rescalings = [
        (
            _rescaling(file, groups, shared, "RescaleSlope", 1.0),
            _rescaling(file, groups, shared, "RescaleIntercept", 0.0),
        )
        for groups in frames
    ]
    return [
        DicomSlice(
            file,
            frame,
            slice_geometry(
                file.path,
                file.shape,
                _attribute(groups, shared, "PlanePositionSequence", "ImagePositionPatient"),
                _attribute(groups, shared, "PlaneOrientationSequence", "ImageOrientationPatient"),
                _attribute(groups, shared, "PixelMeasuresSequence", "PixelSpacing"),
                _thickness(groups, shared),
            ),
            *rescaling,
        )
        for frame, (groups, rescaling) in enumerate(zip(frames, rescalings, strict=True))
    ]


def _thickness(frame: Any, shared: Any) -> float | None:
    """Return a frame's thickness, `None` if it is missing or several numbers."""
    found = _attribute(frame, shared, "PixelMeasuresSequence", "SliceThickness")
    return found if isinstance(found, float) else None


def _rescaling(file: DicomFile, frame: Any, shared: Any, name: str, otherwise: float) -> float:
    """Return a frame's slope or intercept: that of its groups, of the file, or `otherwise`.

    Raises:
        InputError: it is no number.
    """
    value = _attribute(frame, shared, TRANSFORMATION, name)
    if value is None:
        return file.header.number(name) or otherwise
    if not is_rescaling(name, str(value)):
        raise rescaling_error(file.path, name, str(value))
    return float(value)


def _attribute(frame: Any, shared: Any, group: str, keyword: str) -> Any:
    """Return an attribute of a functional group: the frame's own, else that of all frames."""
    for groups in (frame, shared):
        for item in groups.get(group) or ():
            value = item.get(keyword)
            if value not in (None, ""):
                return (
                    [float(part) for part in value] if hasattr(value, "__len__") else float(value)
                )
    return None
