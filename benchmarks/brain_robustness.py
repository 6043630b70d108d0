"""What other scanners and other people's preparation cost a brain model: Dice by change of image.

    python benchmarks/brain_robustness.py data/kaggle_3m --model brain-lgg-munet \
        --patients some.txt -o robustness.json

measures patients (whom the model should not have seen) as they are and changed in ways that leave
the tumour where it is, through the pipeline that users run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from tumorseg_training.case import LabelledCase, reader_options_for
from tumorseg_training.commands.evaluate import read_patients
from tumorseg_training.device_training.brain_mask import brain_mask
from tumorseg_training.readers import read_cases
from TumorSegLib.image.grid import Grid
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.catalogue import default_catalogue

Images = Mapping[str, np.ndarray]


def zscored(images: Images, _inside: np.ndarray) -> Images:
    """Return images with mean 0 and deviation 1 within the head; all air is 0."""
    result = {}
    for name, voxels in images.items():
        bright = voxels > 0.1 * np.percentile(voxels, 98)
        head = np.stack([ndimage.binary_fill_holes(plane) for plane in bright])
        result[name] = _standardised(voxels, head)
    return result


def zscored_noise(images: Images, _inside: np.ndarray) -> Images:
    """Return images with mean 0 and deviation 1 where they are not 0, in noisy air, too."""
    return {name: _standardised(voxels, voxels > 0) for name, voxels in images.items()}


def _standardised(voxels: np.ndarray, where: np.ndarray) -> np.ndarray:
    scaled = (voxels - voxels[where].mean()) / voxels[where].std()
    return np.where(where, scaled, 0).astype(np.float32)


def stripped(images: Images, inside: np.ndarray) -> Images:
    """Return images of the brain alone."""
    return {name: voxels * inside for name, voxels in images.items()}


def twelve_bits(images: Images, _inside: np.ndarray) -> Images:
    """Return images from 0 to 4080."""
    return {name: voxels.astype(np.int16) * 16 for name, voxels in images.items()}


def bright_fat(images: Images, inside: np.ndarray) -> Images:
    """Return images twice as bright outside the brain."""
    return {
        name: np.where(inside, voxels, voxels.astype(np.int16) * 2).astype(np.int16)
        for name, voxels in images.items()
    }


INTENSITIES: Mapping[str, Callable[[Images, np.ndarray], Images]] = {
    "z-scored, air 0": zscored,
    "z-scored but for zeros": zscored_noise,
    "skull-stripped": stripped,
    "12 bits": twelve_bits,
    "fat twice as bright": bright_fat,
}


def changed(content: LabelledCase) -> dict[str, LabelledCase]:
    """Return a case as it is, and changed."""
    images = {name: volume.voxels for name, volume in content.volumes.items()}
    inside = brain_of(content)
    cases = {"as it is": content}
    for name, change in INTENSITIES.items():
        new = change(images, inside)
        cases[name] = LabelledCase(
            {key: replace(content.volumes[key], voxels=new[key]) for key in new}, content.labelmap
        )
    cases["pixels half as large"] = on_grid(
        content, lambda voxels: voxels.repeat(2, axis=1).repeat(2, axis=2), (0.5, 0.5, 1.0)
    )
    cases["every second slice"] = on_grid(content, lambda voxels: voxels[::2], (1.0, 1.0, 2.0))
    return cases


def on_grid(
    content: LabelledCase,
    change: Callable[[np.ndarray], np.ndarray],
    factors: tuple[float, float, float],
) -> LabelledCase:
    """Return a case whose arrays are changed, and whose spacing (x, y, z) is multiplied."""
    labelmap = np.ascontiguousarray(change(content.labelmap))
    old = content.volumes["flair"].grid.spacing
    spacing = tuple(mm * factor for mm, factor in zip(old, factors, strict=True))
    grid = Grid(labelmap.shape, spacing)
    volumes = {
        name: replace(volume, voxels=np.ascontiguousarray(change(volume.voxels)), grid=grid)
        for name, volume in content.volumes.items()
    }
    return LabelledCase(volumes, labelmap)


def brain_of(content: LabelledCase) -> np.ndarray:
    """Return where brain or tumour is (z, y, x), from FLAIR."""
    flair = content.volumes["flair"].voxels
    slices, rows, columns = flair.shape
    half = flair.reshape(slices, rows // 2, 2, columns // 2, 2).mean(axis=(2, 4))
    brain = brain_mask(half.astype(np.float32)).repeat(2, axis=1).repeat(2, axis=2)
    return brain | (content.labelmap > 0)


def dice(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the Dice of two masks."""
    return float(2 * (found & wanted).sum() / max(1, found.sum() + wanted.sum()))


def main() -> None:
    """Measure, and write Dice by patient and change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path, help="folder in the layout kaggle_3m")
    parser.add_argument("--model", required=True, help="id or folder")
    parser.add_argument("--patients", type=Path, required=True, help="one a line")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    bundle = default_catalogue().find(arguments.model)
    segmenter = Segmenter(bundle, device="cpu")
    wanted = read_patients(arguments.patients, None)
    figures: dict[str, dict[str, float]] = {}
    for case in read_cases(
        arguments.dataset, "kaggle_3m", reader_options_for(bundle.specification)
    ).cases:
        if case.patient not in wanted:
            continue
        figures[case.patient] = {}
        for name, content in changed(case.decode()).items():
            found = segmenter.segment(content.volumes).labelmap > 0
            figures[case.patient][name] = dice(found, content.labelmap > 0)
            if name == "as it is":
                alike = dice(found[::2], content.labelmap[::2] > 0)
                figures[case.patient]["as it is, of every second slice"] = alike
            arguments.output.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
