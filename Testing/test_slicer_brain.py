"""A real patient through the panel and through the command: the same segmentation."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from panel_bench import ROOT
from scenes import dice, segment_mask

MODEL = "brain-lgg-munet"
OBLIQUE = (0.98, -0.17, 0.1, 0.17, 0.985, 0.0, -0.0985, 0.017, 0.995)

pytestmark = pytest.mark.slow


@pytest.fixture
def patient(shared, tmp_path):
    """Three sequences of a patient of fold 0 as NIfTI on an oblique grid, and the true mask."""
    if not (ROOT / "Resources" / "Models" / MODEL / "model.json").is_file():
        pytest.skip(f"needs the shipped model {MODEL}")
    script = shared / "data" / "unpack.py"
    subprocess.run(
        [sys.executable, script, tmp_path, "--only", "lgg"], check=True, capture_output=True
    )
    folds = json.loads((shared / "data" / "lgg" / "folds.json").read_text())
    name = folds["fold0"][3]
    folder = next(path for path in tmp_path.rglob(f"{name}*") if path.is_dir())
    images = sorted(
        (path for path in folder.glob("*.tif") if "_mask" not in path.name),
        key=lambda path: int(path.stem.rsplit("_", 1)[1]),
    )
    voxels = np.stack([sitk.GetArrayFromImage(sitk.ReadImage(path)) for path in images])
    masks = [path.with_name(f"{path.stem}_mask.tif") for path in images]
    mask = np.stack([sitk.GetArrayFromImage(sitk.ReadImage(path)) for path in masks]) > 0
    q, _ = np.linalg.qr(np.array(OBLIQUE).reshape(3, 3))
    files = {}
    for channel, sequence in enumerate(("t1", "flair", "t1c")):
        image = sitk.GetImageFromArray(np.ascontiguousarray(voxels[..., channel]))
        image.SetSpacing((0.9, 0.9, 5.0))
        image.SetOrigin((-110.0, -100.0, -60.0))
        image.SetDirection((q * np.sign(np.diag(q))).ravel().tolist())
        files[sequence] = tmp_path / f"{sequence}.nii.gz"
        sitk.WriteImage(image, str(files[sequence]))
    return files, mask


def test_a_real_case_by_click_is_as_by_command(bench, patient, tmp_path):
    files, mask = patient
    bench.models.rmdir()
    bench.models.symlink_to(ROOT / "Resources" / "Models")
    bench.open()
    slicer = bench.slicer
    logic = slicer.modules.volumes.logic()
    nodes = {name: logic.AddArchetypeVolume(str(path), name) for name, path in files.items()}
    bench.parameters.volume = nodes["flair"]
    bench.turn()
    assert bench.panel.selection.chosen_sequences(bench.panel.selection.bundle) == {
        "t1": nodes["t1"],
        "t1c": nodes["t1c"],
    }
    status = bench.run()
    assert not status.failed, status.line
    clicked = segment_mask(slicer, bench.parameters.target, nodes["flair"])

    out = tmp_path / "out.nii.gz"
    channels = [f"--channel={name}={files[name]}" for name in ("t1", "t1c")]
    subprocess.run(
        [
            sys.executable,
            "-m",
            "TumorSegLib.cli",
            "segment",
            files["flair"],
            *channels,
            "-o",
            out,
            "--model",
            MODEL,
            "--quiet",
        ],
        check=True,
        cwd=ROOT,
    )
    commanded = sitk.GetArrayFromImage(sitk.ReadImage(str(out))) > 0
    figures = {
        "panel and command": round(dice(clicked, commanded), 4),
        "panel and truth": round(dice(clicked, mask), 4),
        "status": status.line,
    }
    print(figures)
    assert figures["panel and command"] > 0.999
