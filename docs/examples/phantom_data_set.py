"""Writes made-up heads as a data set in nnU-Net's layout, to try a training or a network on.

    python docs/examples/phantom_data_set.py data/Dataset500_phantom --patients 6

A few seconds a patient. Nothing learnt on it is of use for images of patients.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import SimpleITK as sitk

from TumorSegLib.image.itk import to_sitk
from TumorSegLib.phantom import brain_phantom

SHAPE, SPACING = (24, 128, 128), (1.8, 1.8, 5.0)


def write_data_set(folder: Path, patients: int, shape: tuple[int, int, int] = SHAPE) -> None:
    """Write heads with a tumour: FLAIR, T1 and T1 after contrast, and what is to be found.

    Args:
        folder: must not be there yet.
        patients: how many.
        shape: voxels along (z, y, x) of the same head.
    """
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    spacing = [SPACING[axis] * SHAPE[2 - axis] / shape[2 - axis] for axis in range(3)]
    for seed in range(patients):
        x, y, z = spacing
        volumes, tumour = brain_phantom(seed, shape=shape, spacing=(x, y, z))
        for number, volume in enumerate(volumes.values()):
            image = to_sitk(volume.voxels, volume.grid)
            sitk.WriteImage(image, str(folder / "imagesTr" / f"head{seed}_{number:04}.nii.gz"))
        label = to_sitk(tumour, volumes["flair"].grid)
        sitk.WriteImage(label, str(folder / "labelsTr" / f"head{seed}.nii.gz"))
        print(f"head {seed + 1} of {patients}")
    content = {
        "channel_names": {str(number): name for number, name in enumerate(volumes)},
        "labels": {"background": 0, "Tumour": 1},
        "numTraining": patients,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content), "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write made-up heads as a data set.")
    parser.add_argument("folder", metavar="DATASET", type=Path)
    parser.add_argument("--patients", type=int, default=6)
    arguments = parser.parse_args()
    write_data_set(arguments.folder, arguments.patients)
