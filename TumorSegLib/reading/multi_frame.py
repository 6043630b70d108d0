"""Where the frames of an enhanced (multi-frame) DICOM file lie, by its functional groups."""

from __future__ import annotations

from TumorSegLib.errors import InputError
from TumorSegLib.reading.dicom_decoding import DicomSlice
from TumorSegLib.reading.dicom_files import DicomFile
from TumorSegLib.reading.dicom_pixels import is_rescaling, rescaling_error
from TumorSegLib.reading.functional_groups import FunctionalGroups, functional_groups


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
    frames = functional_groups(file.header.values)
    if len(frames) != file.frames:
        raise InputError(
            f"{file.path}: found positions of {len(frames)} frames, expected {file.frames};"
            " convert it to NRRD first"
        )
    rescalings = [
        (
            _rescaling(file, groups, "RescaleSlope", 1.0),
            _rescaling(file, groups, "RescaleIntercept", 0.0),
        )
        for groups in frames
    ]
    return [
        DicomSlice(file, frame, groups.geometry(file.path, file.shape), *rescaling)
        for frame, (groups, rescaling) in enumerate(zip(frames, rescalings, strict=True))
    ]


def _rescaling(file: DicomFile, groups: FunctionalGroups, name: str, otherwise: float) -> float:
    """Return a frame's slope or intercept: that of its groups, of the file, or `otherwise`.

    Raises:
        InputError: it is no number.
    """
    value = groups.attribute("PixelValueTransformationSequence", name)
    if value is None:
        return file.header.number(name) or otherwise
    if not is_rescaling(name, str(value)):
        raise rescaling_error(file.path, name, str(value))
    return float(value)
