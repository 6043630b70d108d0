"""Writes segmentations; the file's ending chooses the format."""

from __future__ import annotations

import os
from pathlib import Path

from TumorSegLib.errors import OutputError
from TumorSegLib.model.labelled_volume import LabelledVolume
from TumorSegLib.support.atomic_write import atomic_write, ensure_writable
from TumorSegLib.writing.replacing import check_replacing

SEGMENTATION_ENDING = ".seg.nrrd"
SCENE_ENDING = ".mrb"
DICOM_ENDING = ".dcm"
LABELMAP_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
ENDINGS = (SEGMENTATION_ENDING, *LABELMAP_ENDINGS, SCENE_ENDING, DICOM_ENDING)


def check_output(path: Path) -> str:
    """Refuse what cannot be written, before any work is done; return the ending of `path`.

    Raises:
        OutputError: the ending is unknown, the folder is missing or cannot be written to, or the
            format needs what is not installed.
    """
    ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)
    if ending is None or path.name.lower() == ending:
        raise OutputError(f"{path}: expected a file name that ends in {', '.join(ENDINGS)}")
    ensure_writable(path)
    return ending


def write_segmentation(
    labelled: LabelledVolume, path: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Write a segmentation on the exact grid of its volume; `path` is whole or absent.

    `.seg.nrrd` opens in 3D Slicer with names, colours and terminology; `.nii.gz`, `.nii`, `.nrrd`
    and `.mha` are uint8 label maps with the model's label values; `.mrb` is a 3D Slicer scene with
    the volume and its segmentation; `.dcm` is a DICOM Segmentation of a volume that was read from
    DICOM, whose images it refers to.

    Args:
        labelled: volume and label map, of a run for instance.
        path: where to write.
        overwrite: whether a file that is there may be replaced.

    Raises:
        OutputError: the ending is unknown, there is a file that must stay, or the file cannot be
            written.
    """
    from TumorSegLib.support.silence import silenced_stderr

    path = Path(path)
    ending = check_output(path)
    advice = "name another file, or pass overwrite=True"
    check_replacing([path], overwrite=overwrite, advice=advice)
    if ending == DICOM_ENDING:
        from TumorSegLib.writing.dicom_output import source_images, write_dicom

        write_dicom(labelled, source_images(labelled.volume), path)
        return
    with atomic_write(path, ending=ending) as new:
        with silenced_stderr():
            if ending == SCENE_ENDING:
                from TumorSegLib.writing.scene import write_scene

                whole = write_scene(labelled, new)
            else:
                whole = _write_image(labelled, new, named=ending == SEGMENTATION_ENDING)
        if not whole:
            raise OutputError(f"{path}: cannot be written completely; is the disk full?")


def _write_image(labelled: LabelledVolume, path: Path, *, named: bool) -> bool:
    """Write the label map, with names, colours and codes if `named`; tell whether it is whole."""
    from TumorSegLib.image.itk import to_sitk
    from TumorSegLib.slicer_io.segments import segmentation_header
    from TumorSegLib.writing.image_writing import write_image_atomically

    image = to_sitk(labelled.labelmap, labelled.volume.grid)
    if named:
        for key, value in segmentation_header(labelled).items():
            image.SetMetaData(key, value)
    return write_image_atomically(image, path)
