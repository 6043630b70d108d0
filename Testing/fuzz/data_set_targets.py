"""Target: data sets for training in all layouts, whose cases are decoded."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fuzz.binary_changes import nifti_changed, within_gzip
from fuzz.changes import BYTES, Files, exchanged, in_one_file
from fuzz.target import Arrays, Target
from fuzz.tree_changes import tree_changed

SHAPE = (3, 12, 12)


def data_set_seeds() -> list[Files]:
    """Return a small data set in each layout; its folder says which."""
    import json

    import synthetic_data

    synthetic_data.SHAPE = SHAPE
    writers = {
        "nnunet": lambda folder: synthetic_data.write_nnunet(folder, 2, shape=SHAPE),
        "kaggle_3m": lambda folder: synthetic_data.write_kaggle(folder, 1),
        "lits": lambda folder: synthetic_data.write_lits(folder, 1),
        "png_pairs": lambda folder: synthetic_data.write_png(folder, 1),
    }
    seeds = []
    for layout, write in writers.items():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            written = write(folder) or folder
            files = {
                f"{layout}/{path.relative_to(written).as_posix()}": path.read_bytes()
                for path in sorted(written.rglob("*"))
                if path.is_file()
            }
        seeds.append(files)
    listed = json.loads(seeds[0]["nnunet/dataset.json"])
    listed["dataset"] = {
        name: {"images": [f"imagesTr/{name}_0000.nii.gz"], "label": f"labelsTr/{name}.nii.gz"}
        for name in ("BALL_000", "BALL_001")
    }
    seeds.append({**seeds[0], "nnunet/dataset.json": json.dumps(listed).encode()})
    side = {"png_pairs/volumes.json": b'{"0": {"group": 3, "spacing": [1, 1, 2]}}'}
    return [*seeds, {**seeds[3], **side}]


def read_data_set(folder: Path) -> Arrays:
    """List the cases of a data set and decode them as filling the cache of slices does."""
    from tumorseg_training.case import ReaderOptions
    from tumorseg_training.readers import read_cases
    from TumorSegLib.errors import InputError
    from TumorSegLib.model.specification import Channel

    layout = next((path.name for path in folder.iterdir()), "nnunet")
    reading = ReaderOptions((Channel("ct", "CT"),), (1,), modality="CT", spacing=(1.5, 1.5, 3.0))
    if layout == "kaggle_3m":
        channels = (
            Channel("flair", "FLAIR"),
            Channel("t1", "T1", "flair"),
            Channel("t1c", "T1c", "flair"),
        )
        reading = ReaderOptions(channels, (1,), modality="MR")
    if layout == "png_pairs":
        reading = ReaderOptions(
            reading.channels, (1,), {"255": 1}, "CT", (1.5, 1.5, 3.0), (-100.0, 200.0)
        )
    listed = read_cases(folder / layout, layout, reading)
    assert all(item.reason for item in listed.unusable)
    found: list[object] = [listed.unusable]
    refused: InputError | None = None
    for case in listed.cases:
        try:
            annotated = case.decode()
        except InputError as error:
            refused = error
            continue
        shapes = {volume.voxels.shape for volume in annotated.volumes.values()}
        assert shapes == {annotated.labelmap.shape}
        found += [case.name, case.patient, annotated.labelmap]
        found += [volume.voxels for volume in annotated.volumes.values()]
    if refused is not None:
        raise refused
    return found


def import_readers() -> None:
    import tumorseg_training.readers  # noqa: F401


TARGETS = (
    Target(
        "data set",
        data_set_seeds,
        read_data_set,
        (
            in_one_file(tree_changed, ".json"),
            in_one_file(within_gzip(nifti_changed), ".gz"),
            in_one_file(nifti_changed, ".nii"),
            *(in_one_file(change, ".png", ".tif") for change in BYTES),
            exchanged,
        ),
        import_readers,
    ),
)
