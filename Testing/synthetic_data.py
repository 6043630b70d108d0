"""Small annotated data sets in every layout, made on the spot: bright balls in noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from PIL import Image

from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import to_sitk

SHAPE = (8, 48, 48)


def ball_case(
    seed: int, shape: tuple[int, int, int] = SHAPE
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Return an image in which a body of 40 HU holds a ball of 140 HU, and the ball as label 1."""
    random = np.random.default_rng(seed)
    z, y, x = np.indices(shape)
    size = shape[1]
    body = np.hypot(y - size / 2, x - size / 2) < 0.46 * size
    centre = random.uniform(0.35, 0.65, 3) * shape
    radius = random.uniform(0.14, 0.22) * size
    distance = np.sqrt(
        ((z - centre[0]) * size / shape[0] / 1.5) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2
    )
    ball = distance < radius
    image = np.where(ball, 140.0, np.where(body, 40.0, -1000.0)) + random.normal(0, 12, shape)
    return image.astype(np.int16), ball.astype(np.uint8)


def write_nnunet(
    folder: Path, count: int, *, ending: str = ".nii.gz", shape: tuple[int, int, int] = SHAPE
) -> Path:
    """Write cases in the raw layout of nnU-Net v2."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    grid = Grid(shape, (1.5, 1.5, 3.0), (-10.0, 20.0, 5.0))
    for index in range(count):
        image, label = ball_case(index, shape)
        name = f"BALL_{index:03d}"
        sitk.WriteImage(to_sitk(image, grid), str(folder / "imagesTr" / f"{name}_0000{ending}"))
        sitk.WriteImage(to_sitk(label, grid), str(folder / "labelsTr" / f"{name}{ending}"))
    content = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "ball": 1},
        "numTraining": count,
        "file_ending": ending,
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def write_kaggle(folder: Path, count: int) -> Path:
    """Write patients in the layout of the LGG set."""
    for index in range(count):
        patient = folder / f"TCGA_XX_{index:04d}_19990101"
        patient.mkdir(parents=True, exist_ok=True)
        image, label = ball_case(index)
        grey = np.clip((image + 60) / 1.2, 0, 255).astype(np.uint8)
        for z in range(len(grey)):
            colours = np.stack([grey[z] // 2, grey[z], grey[z] // 3], axis=-1)
            Image.fromarray(colours).save(patient / f"{patient.name}_{z + 1}.tif")
            Image.fromarray(label[z] * 255).save(patient / f"{patient.name}_{z + 1}_mask.tif")
    return folder


def write_lits(folder: Path, count: int) -> Path:
    """Write volumes as LiTS does, in two sub-folders."""
    (folder / "batch1").mkdir(parents=True)
    grid = Grid(SHAPE, (1.5, 1.5, 3.0))
    for index in range(count):
        image, label = ball_case(index)
        sitk.WriteImage(to_sitk(image, grid), str(folder / "batch1" / f"volume-{index}.nii"))
        sitk.WriteImage(to_sitk(label, grid), str(folder / "batch1" / f"segmentation-{index}.nii"))
    return folder


def write_png(folder: Path, count: int) -> Path:
    """Write slices as pictures of the window from -40 to 160 HU, two cases of one patient."""
    groups = {}
    for index in range(count):
        case = folder / f"volume-{index}"
        case.mkdir(parents=True)
        image, label = ball_case(index)
        grey = np.clip((image + 40.0) / 200 * 255, 0, 255).astype(np.uint8)
        for z in range(len(grey)):
            Image.fromarray(grey[z]).save(case / f"{2 * z}.png")
            Image.fromarray(label[z]).save(case / f"{2 * z}_mask.png")
        groups[str(index)] = {"group": "0-1" if index < 2 else str(index), "fold": index % 2}
    if count > 1:
        groups["1"]["fold"] = 0
    (folder / "volumes.json").write_text(json.dumps(groups))
    return folder


def write_ircad(folder: Path, patients: dict[str, list[str]]) -> Path:
    """Write patients with the named structures in the layout of 3D-IRCADb-01.

    Structures called livertumor... are small boxes inside the box `liver`, each elsewhere.
    """
    for index, (patient, structures) in enumerate(patients.items()):
        image, _ = ball_case(index)
        write_series(image, folder / patient / "PATIENT_DICOM")
        for place, structure in enumerate(structures):
            mask = np.zeros(SHAPE, np.uint8)
            if structure == "liver":
                mask[1:7, 8:40, 8:40] = 255
            else:
                mask[2:4, 10 + 5 * place : 13 + 5 * place, 20:24] = 255
            write_series(mask, folder / patient / "MASKS_DICOM" / structure)
    return folder


def write_series(voxels: NDArray[np.generic], folder: Path) -> None:
    """Write a DICOM series, one file a slice, as image_<k>."""
    folder.mkdir(parents=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    series = f"1.2.826.0.1.3680043.2.1125.{abs(hash(str(folder))) % 10**12}"
    for z in range(len(voxels)):
        image = sitk.GetImageFromArray(voxels[z][None])
        image.SetSpacing((0.8, 0.8, 2.5))
        tags = {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"{series}.{z + 1}",
            "0008|0060": "CT",
            "0020|000d": f"{series}.0",
            "0020|000e": series,
            "0020|0013": str(z),
            "0020|0032": f"0\\0\\{2.5 * z}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0018|0050": "2.5",
            "0028|1052": "0",
            "0028|1053": "1",
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        target = folder / f"image_{z}"
        writer.SetFileName(str(target.with_suffix(".dcm")))
        writer.Execute(image)
        target.with_suffix(".dcm").rename(target)


CONFIG = """
[model]
id = "ball"
title = "Ball"
version = "1.0.0"
description = "A ball in a phantom."
modality = "CT"

[model.network]
name = "U-Net"
arguments = {{ in_channels = 1, out_channels = 1, width = 8, depth = 3 }}

[model.input]
channels = [{{ name = "ct", title = "CT" }}]
in_plane = {{ kind = "spacing", spacing_mm = 1.5 }}
normalisation = {{ kind = "window", low = -100.0, high = 250.0 }}

[[model.labels]]
value = 1
name = "Ball"
colour = [255, 196, 0]
category = {{ scheme = "SCT", value = "49755003", meaning = "Morphologically Altered Structure" }}
type = {{ scheme = "SCT", value = "4147007", meaning = "Mass" }}

[data]
folder = "{data}"
layout = "nnunet"
folds = 4
validate = "fold0"
foreground_share = 0.6
cache = "{cache}"

[augmentation]
rotate = 10.0
flip = true
gain = 0.1
noise = 0.02

[optimisation]
epochs = {epochs}
batch_size = 8
loss = "bce+dice"
learning_rate = 1e-2
average_decay = 0.9
precision = "32-true"
validate_every = 1
workers = 0
"""


def write_config(folder: Path, data: Path, *, epochs: int = 3) -> Path:
    """Write a config for the balls in nnU-Net's layout."""
    path = folder / "ball.toml"
    path.write_text(CONFIG.format(data=data, cache=folder / "cache", epochs=epochs))
    return path
