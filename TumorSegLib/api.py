"""The library's front door: a volume in, segments out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias, Union, get_args

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import default_catalogue

if TYPE_CHECKING:
    import SimpleITK as sitk

    from TumorSegLib.inference.result import SegmentationResult
    from TumorSegLib.inference.run_options import RunOptions
    from TumorSegLib.inference.slice_inference import ProgressCallback

Array: TypeAlias = NDArray[np.number]
Spacing: TypeAlias = Sequence[float] | Array
Image: TypeAlias = Union[str, os.PathLike[str], Volume, "sitk.Image", tuple[Array, Spacing]]
"""What can be segmented: a path, an image, or an array (z, y, x) with its spacing (z, y, x)."""

Modality = Literal["CT", "MR"]


def segment(
    image: Image,
    model: str | os.PathLike[str] | Bundle | None = None,
    *,
    modality: Modality | None = None,
    options: RunOptions | None = None,
    device: str | None = None,
    progress: ProgressCallback | None = None,
    **sequences: Image | None,
) -> SegmentationResult:
    """Segment a volume.

    The result lies on the very grid of `image`. For many volumes make one `Segmenter`, which keeps
    the model in memory.

    Examples:
        >>> import TumorSegLib as tumorseg
        >>> result = tumorseg.segment("flair.nii.gz", t1="t1.nii.gz", t1c="t1c.nii.gz")
        >>> result.save("brain.seg.nrrd").name
        'brain.seg.nrrd'

        A SimpleITK image, and one array without a header, which must say what it is:

        >>> import SimpleITK as sitk
        >>> ct = sitk.ReadImage("ct.nii.gz")
        >>> mask = tumorseg.segment(ct, "liver-ct-munet").to_sitk()
        >>> mask.GetSize() == ct.GetSize()
        True
        >>> array = sitk.GetArrayFromImage(ct)  # (z, y, x)
        >>> spacing = ct.GetSpacing()[::-1]  # mm along (z, y, x)
        >>> result = tumorseg.segment((array, spacing), modality="CT")
        >>> [label.name for label in result.specification.labels]
        ['Liver', 'Liver tumour']

    Args:
        image: one of
            - the path of a NIfTI, NRRD or MetaImage file, or of a folder with a DICOM series;
            - a SimpleITK image, or a volume of `read_volume`;
            - `(array, spacing)`: the array runs (z, y, x), slices from the feet to the head, rows
              from front to back, columns from the patient's right to left; `spacing` is mm between
              voxel centres along (z, y, x), the distance of slices first.
        model: id, folder or bundle; the default for the modality if not given.
        modality: "CT" (Hounsfield units) or "MR", where the image does not say it itself. Without
            it and without a model, an image is refused where neither header nor name, nor the air
            of CT tells what it is, and so is one that the default model is evidently not for. A
            model that is named segments whatever it is given, with warnings.
        options: how to run; the defaults of `RunOptions` if not given.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps", in place of that of the options.
        progress: called with slices done and slices in all.
        **sequences: further sequences by the model's channel names, such as `t1` and `t1c`; those
            that are missing or None are replaced as the model says, those on another grid
            resampled.

    Raises:
        InputError: an image or an option cannot be used.
        ModelError: the model cannot be found or used.
    """
    from TumorSegLib.inference.segmenter import Segmenter

    volume = _with_modality(volume_of(image), modality)
    catalogue = default_catalogue()
    if model is None and modality is not None:
        model = catalogue.default_for(modality, "segmentation")
    elif model is None:
        if isinstance(image, tuple):
            raise InputError(
                f'{volume.name}: says neither CT nor MRI; give modality="CT" (Hounsfield units),'
                ' modality="MR", or a model'
            )
        from TumorSegLib.inference.model_for import model_for

        model = model_for(volume, catalogue)
    bundle = model if isinstance(model, Bundle) else catalogue.find(model)
    channels = [channel.name for channel in bundle.specification.input.channels]
    volumes = {channels[0]: volume}
    for name, sequence in sequences.items():
        if name not in channels[1:]:
            expected = ", ".join(channels[1:]) or "none"
            raise InputError(f"{name}: {bundle.id} takes these further sequences: {expected}")
        if sequence is not None:
            volumes[name] = volume_of(sequence, name)
    return Segmenter(bundle, options, device=device).segment(volumes, progress=progress)


def volume_of(image: Image, name: str | None = None) -> Volume:
    """Return a volume of what `segment` takes.

    Args:
        image: see `segment`.
        name: what to call it in messages, where it has no name of its own.

    Raises:
        InputError: it cannot be read, or is nothing of that.
    """
    from SimpleITK import Image as SimpleITKImage

    from TumorSegLib.reading import read_volume
    from TumorSegLib.reading.in_memory import volume_of_array, volume_of_image

    if isinstance(image, Volume):
        return image
    if isinstance(image, str | os.PathLike):
        return read_volume(image)
    if isinstance(image, SimpleITKImage):
        return volume_of_image(image, name=name or "image")
    if isinstance(image, tuple) and len(image) == 2:
        return volume_of_array(image[0], image[1], name=name or "array")
    raise InputError(
        f"{name or 'image'}: found {type(image).__name__}, expected a path, a SimpleITK image, or"
        " (array, spacing) along (z, y, x)"
    )


def _with_modality(volume: Volume, modality: Modality | None) -> Volume:
    if modality is None:
        return volume
    if modality not in get_args(Modality):
        raise InputError(f'modality: found {modality!r}, expected "CT" or "MR"')
    if volume.modality not in (None, modality):
        raise InputError(f"{volume.name}: says that it is {volume.modality}, not {modality}")
    return replace(volume, modality=modality)
