"""Where the frames of an enhanced (multi-frame) DICOM file lie.

SimpleITK decodes the frames but assumes that they are an even, sorted stack, and reports a spacing
of 1 mm where they are not. Positions therefore come from the functional groups, through pydicom.
"""

from __future__ import annotations

from typing import Any

from TumorSegLib.errors import InputError
from TumorSegLib.reading.dicom_files import DicomFile
from TumorSegLib.reading.dicom_geometry import slice_geometry
from TumorSegLib.reading.dicom_pixels import is_rescaling, rescaling_error
from TumorSegLib.reading.slice_stack import SliceGeometry


def frame_geometries(file: DicomFile) -> list[SliceGeometry]:
    """Return where each frame of `file` lies, in the order of the frames.

    Raises:
        InputError: pydicom is not installed, the file does not say, or what it says is garbled.
    """
    try:
        import pydicom
    except ImportError:
        raise InputError(
            f"{file.path}: an enhanced file, which needs pydicom (pip install 'tumorseg[dicom]');"
            " or convert it to NRRD first"
        ) from None
    try:
        return _geometries(file, pydicom.dcmread(file.path, stop_before_pixels=True))
    except InputError:
        raise
    except Exception as error:  # pydicom decodes values late, and raises whatever its parts raise
        raise InputError(
            f"{file.path}: its functional groups are garbled ({type(error).__name__}), expected"
            " where each frame lies; export the series again"
        ) from None


def _geometries(file: DicomFile, header: Any) -> list[SliceGeometry]:
    """Return where each frame of `file` lies.

    Args:
        file: the file.
        header: the same as pydicom's data set.
    """
    import pydicom

    shared = (header.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    frames = header.get("PerFrameFunctionalGroupsSequence") or []
    if len(frames) != file.frames:
        raise InputError(
            f"{file.path}: found positions of {len(frames)} frames, expected {file.frames};"
            " convert it to NRRD first"
        )
    rescalings = {_rescaling(file, frame, shared) for frame in frames}
    if len(rescalings) > 1:
        raise InputError(
            f"{file.path}: found frames with different rescaling, expected one for all; convert it"
            " to NRRD first"
        )
    return [_geometry(file, frame, shared) for frame in frames]


def _rescaling(file: DicomFile, frame: Any, shared: Any) -> tuple[float | None, ...]:
    """Return a frame's slope and intercept.

    Raises:
        InputError: they are no numbers.
    """
    found = []
    for name in ("RescaleSlope", "RescaleIntercept"):
        value = _attribute(frame, shared, "PixelValueTransformationSequence", name)
        if value is not None and not is_rescaling(name, str(value)):
            raise rescaling_error(file.path, name, str(value))
        found.append(value)
    return tuple(found)


def _geometry(file: DicomFile, frame: Any, shared: Any) -> SliceGeometry:
    return slice_geometry(
        file.path,
        file.shape,
        _attribute(frame, shared, "PlanePositionSequence", "ImagePositionPatient"),
        _attribute(frame, shared, "PlaneOrientationSequence", "ImageOrientationPatient"),
        _attribute(frame, shared, "PixelMeasuresSequence", "PixelSpacing"),
        _attribute(frame, shared, "PixelMeasuresSequence", "SliceThickness"),
    )


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
