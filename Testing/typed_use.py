"""What a type checker must know of the library's names; mypy reads it with `make lint`.

Nothing here is run: `assert_type` fails in mypy where a name is `Any` or something else.
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import numpy as np
import SimpleITK as sitk

import TumorSegLib as tumorseg
from TumorSegLib import (
    Catalogue,
    Measurement,
    RunOptions,
    SegmentationResult,
    Segmenter,
    Volume,
    default_catalogue,
    read_volume,
)


def use(image: sitk.Image) -> None:
    """Use every way in."""
    result = tumorseg.segment("flair.nii.gz", t1=Path("t1.nii.gz"), device="cpu")
    assert_type(result, SegmentationResult)
    assert_type(result.measurements, tuple[Measurement, ...])
    assert_type(result.measurements[0].volume_ml, float)
    assert_type(result.save("tumour.seg.nrrd", overwrite=True), Path)
    array = np.zeros((3, 4, 5), np.int16)
    assert_type(tumorseg.segment((array, (5.0, 1.0, 1.0)), modality="CT"), SegmentationResult)
    spacing = np.array((5.0, 1.0, 1.0))
    assert_type(tumorseg.segment((array, spacing), t1=None, modality="CT"), SegmentationResult)
    assert_type(tumorseg.segment(image, "liver-ct-unet"), SegmentationResult)
    volume = read_volume("flair.nii.gz")
    assert_type(volume, Volume)
    segmenter = Segmenter("brain-lgg-linknet", RunOptions(precision="fp32"))
    assert_type(segmenter.segment(volume), SegmentationResult)
    assert_type(default_catalogue(), Catalogue)
