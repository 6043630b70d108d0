"""What users do that writes files, small enough to be done a thousand times with a failing disk."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from made_up_patient import write_patient

from TumorSegLib.errors import TumorSegError

MODEL = "models/tiny-ct"
SMALL = (4, 24, 24)


@dataclass(frozen=True)
class Scenario:
    """Something that a user does.

    Attributes:
        prepare: makes in a folder what is there before.
        act: does it in that folder, which is also home; returns the exit status.
        replaces: beginnings of paths that may become others, whole ones.
        removes: beginnings of paths that may go.
        finishes: beginning of paths that may be left, for the next run to finish.
        heavy: takes seconds.
        again: does it once more after a fault; `act` if not given.
    """

    prepare: Callable[[Path], None]
    act: Callable[[Path], int]
    replaces: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    finishes: str = ""
    heavy: bool = False
    again: Callable[[Path], int] | None = None


def command(*words: object) -> int:
    from TumorSegLib.cli import main

    return main([str(word) for word in words])


def library(action: Callable[[], object]) -> int:
    """Do what the panel does by the library; say and return what the command would."""
    try:
        action()
    except TumorSegError as error:
        print(f"tumorseg: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def write_volume(path: Path, seed: int = 0) -> None:
    voxels = np.random.default_rng(seed).integers(-200, 300, SMALL).astype(np.int16)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((1.5, 1.5, 3.0))
    sitk.WriteImage(image, str(path))


def a_model(folder: Path) -> None:
    from bright_models import write_ct_model

    write_ct_model(folder / "models", "tiny-ct")


def a_volume(folder: Path) -> None:
    a_model(folder)
    write_volume(folder / "ct.nii.gz")


def segmenting(ending: str, *, old: bool, volume: str = "ct.nii.gz") -> Scenario:
    def act(folder: Path) -> int:
        words = ("segment", volume, "--model", MODEL, "--device", "cpu", "-o", f"out{ending}")
        return command(*words, "--report", "report", "--json", "--overwrite")

    def prepare(folder: Path) -> None:
        a_volume(folder)
        if volume == "scan":
            write_patient(folder / volume)
        if old:
            assert act(folder) == 0
            write_volume(folder / "ct.nii.gz", 1)

    return Scenario(prepare, act, ("out", "report/"))


def a_segmentation(folder: Path) -> None:
    a_volume(folder)
    words = ("segment", "ct.nii.gz", "--model", MODEL, "--device", "cpu", "--quiet")
    for ending in (".seg.nrrd", ".mrb"):
        assert command(*words, "-o", folder / f"drawn{ending}") == 0


def exporting(source: str, *more: str) -> Callable[[Path], int]:
    def act(folder: Path) -> int:
        given = (
            (source, *more, "--channel", "ct=ct.nii.gz")
            if source.endswith("d")
            else (source, *more)
        )
        return command("export", *given, "--dataset", "Dataset501_l", "--model", MODEL, "--quiet")

    return act


def a_data_set(folder: Path) -> None:
    a_segmentation(folder)
    assert exporting("drawn.seg.nrrd")(folder) == 0


def another_case(folder: Path) -> None:
    a_data_set(folder)
    write_volume(folder / "ct.nii.gz", 1)


def a_model_elsewhere(folder: Path) -> None:
    a_model(folder)
    (folder / "models/tiny-ct").rename(folder / "tiny-ct")
    with zipfile.ZipFile(folder / "tiny.zip", "w") as archive:
        for path in (folder / "tiny-ct").iterdir():
            archive.write(path, f"tiny-ct/{path.name}")


def importing(source: str) -> Callable[[Path], int]:
    def act(folder: Path) -> int:
        from TumorSegLib.model.catalogue import Catalogue
        from TumorSegLib.model.default_models import make_default
        from TumorSegLib.model.model_import import add_models, unpacked_models

        def add() -> None:
            own = folder / "models"
            catalogue = Catalogue.of([own])
            present = [bundle for bundle in catalogue.bundles if bundle.id == "tiny-ct"]
            if not present:
                with unpacked_models(folder / source, own) as bundles:
                    present = add_models(bundles, catalogue, own)
            make_default(present[0].specification, own)

        return library(add)

    return act


def removing(folder: Path) -> int:
    from TumorSegLib.model.catalogue import Catalogue
    from TumorSegLib.model.model_import import remove_model

    def remove() -> None:
        own = folder / "models"
        catalogue = Catalogue.of([own])
        for bundle in catalogue.bundles:
            remove_model(bundle, catalogue, own)

    return library(remove)


def renewing(folder: Path) -> int:
    """Remove the model, if it is there, and import it."""
    return removing(folder) or importing("tiny.zip")(folder)


def an_own_default(folder: Path) -> None:
    a_model_elsewhere(folder)
    assert importing("tiny.zip")(folder) == 0


def balls(folder: Path) -> None:
    from synthetic_data import write_nnunet

    write_nnunet(folder / "data", 4, shape=SMALL)


def a_ball_model(folder: Path) -> None:
    from test_retraining import BALL
    from tiny_models import ct_specification, write_tiny_bundle

    from TumorSegLib.model.specification import Network

    balls(folder)
    network = Network("U-Net", {"in_channels": 1, "out_channels": 1, "width": 4, "depth": 2})
    changes = {"labels": (BALL,), "network": network, "activation": "sigmoid"}
    write_tiny_bundle(folder / "models", ct_specification(id="ball", version="1.0.0", **changes))


def a_model_to_retrain(folder: Path) -> None:
    """With the user's key, by which patients are dealt out: every run finds the same better."""
    from TumorSegLib.export.identity import export_key

    a_ball_model(folder)
    export_key()


def evaluating(folder: Path) -> int:
    without_drawing()
    words = ("evaluate", "data", "--layout", "nnunet", "--model", "models/ball", "--device", "cpu")
    return command(*words, "-o", "results.json", "--overwrite")


def evaluated(folder: Path) -> None:
    a_ball_model(folder)
    assert evaluating(folder) == 0


def a_config(folder: Path) -> None:
    from synthetic_data import CONFIG

    balls(folder)
    text = CONFIG.format(data="data", cache="home/.cache/tumorseg", epochs=1)
    text = text.replace("width = 8, depth = 3", "width = 4, depth = 2")
    (folder / "ball.toml").write_text(text)


PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def without_drawing() -> None:
    """Have figures be of one pixel: a third of a training's time goes into drawing, in memory."""
    from matplotlib.figure import Figure

    Figure.savefig = lambda _, file, **__: file.write(PICTURE)  # type: ignore[method-assign]


def training(folder: Path) -> int:
    without_drawing()
    resume = ("--resume",) if (folder / "run/last.ckpt").exists() else ()
    return command("train", "ball.toml", "-o", "run", "--accelerator", "cpu", *resume)


def trained(folder: Path) -> None:
    a_config(folder)
    assert training(folder) == 0


def retraining(folder: Path) -> int:
    from tumorseg_training import retraining_recipe
    from tumorseg_training.run_folder import is_finished

    without_drawing()
    retraining_recipe.SLICES_AN_EPOCH = (8, 8)
    resume = ("--resume",) if (folder / "run/last.ckpt").exists() else ()
    words = ("retrain", "data", "--base", "models/ball", "--epochs", "1", "--as-default")
    finished = is_finished(folder / "run")
    status = command(*words, "-o", "run", "--accelerator", "cpu", *resume)
    return 2 - status if finished else status  # another in its place is refused


def previewing(folder: Path) -> int:
    without_drawing()
    return command("train", "ball.toml", "-o", "run", "--preview")


def a_cache(folder: Path) -> None:
    a_config(folder)
    assert previewing(folder) == 0


def cohort(folder: Path, *more: str) -> int:
    """Segment a cohort by the worker's code in this process, whose disk may fail."""
    from TumorSegLib.cohort import ray_run
    from TumorSegLib.cohort.case_run import CaseRunner

    def in_turn(tasks, results, models, settings, work, deliver):
        runner = CaseRunner(results, models, settings, threads=1)
        for task in tasks:
            deliver(runner.run(task))

    ray_run.run_tasks = in_turn
    words = ("cohort", "in", "-o", "out", "--model", MODEL, "--device", "cpu", "--report", "--json")
    return command(*words, *more)


def a_cohort(folder: Path) -> None:
    a_model(folder)
    (folder / "in").mkdir()
    for seed, name in enumerate("ab"):
        write_volume(folder / "in" / f"{name}.nii.gz", seed)
    assert cohort(folder) == 0
    write_volume(folder / "in" / "a.nii.gz", 2)
    write_volume(folder / "in" / "c.nii.gz", 3)


def clearing(folder: Path) -> int:
    return command("cache", "--clear")


ENDINGS = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".mha", ".mrb")

STAGED = "Dataset501_l/.export/case"
"""A case that is decided to be in the data set, whatever happens."""

SCENARIOS: dict[str, Scenario] = {
    **{f"segment{ending}": segmenting(ending, old=True) for ending in ENDINGS},
    "segment.dcm": segmenting(".dcm", old=True, volume="scan"),
    "segment, nothing there": segmenting(".seg.nrrd", old=False),
    "export, first case": Scenario(
        a_segmentation, exporting("drawn.seg.nrrd", "--replace"), finishes=STAGED
    ),
    "export, another case": Scenario(
        another_case,
        exporting("drawn.seg.nrrd", "--replace"),
        ("Dataset501_l/dataset.json",),
        finishes=STAGED,
    ),
    "export, again": Scenario(
        a_data_set,
        exporting("drawn.seg.nrrd", "--replace", "--reviewed"),
        ("Dataset501_l/",),
        finishes=STAGED,
    ),
    "export, a scene": Scenario(
        a_segmentation, exporting("drawn.mrb", "--replace"), finishes=STAGED
    ),
    "import, archive": Scenario(
        a_model_elsewhere, importing("tiny.zip"), ("models/defaults",), again=renewing
    ),
    "import, folder": Scenario(
        a_model_elsewhere, importing("tiny-ct"), ("models/defaults",), again=renewing
    ),
    "remove a model": Scenario(
        an_own_default,
        removing,
        ("models/defaults",),
        ("models/tiny-ct",),
        again=lambda folder: renewing(folder) or removing(folder),
    ),
    "evaluate": Scenario(evaluated, evaluating, ("results.",), heavy=True),
    "train": Scenario(a_config, training, heavy=True),
    "train, preview": Scenario(a_config, previewing, heavy=True),
    "clear the cache": Scenario(a_cache, clearing, removes=("home/.cache/tumorseg/",)),
    "cohort": Scenario(
        a_cohort,
        cohort,
        ("out/cases/a/", "out/measurements.", "out/index.html", "out/sources.csv"),
        heavy=True,
        again=lambda folder: cohort(folder, "--retry-failed"),
    ),
    "retrain": Scenario(a_model_to_retrain, retraining, heavy=True),
}


def is_whole(path: Path) -> str | None:
    """Return what is wrong with a file that has its final name, None if nothing is."""
    try:
        _check_file(path)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _check_file(path: Path) -> None:
    from PIL import Image

    from TumorSegLib.model.bundle import check_files, read_bundle
    from TumorSegLib.reading import read_volume
    from TumorSegLib.slicer_io.segmentation_file import read_segments

    if path.name == "model.json":
        check_files(read_bundle(path.parent))
    elif path.suffix == ".json":
        json.loads(path.read_text("utf-8"))
    elif path.suffix == ".png":
        with Image.open(path) as picture:
            picture.load()
    elif path.name.endswith(".seg.nrrd"):
        read_segments(path)
    elif path.name.endswith((".nrrd", ".mha", ".nii", ".nii.gz")):
        read_volume(path)
        if path.suffix == ".gz":
            gzip.decompress(path.read_bytes())
    elif path.suffix == ".dcm":
        assert pydicom.dcmread(path).PixelData
    elif path.suffix in (".mrb", ".zip"):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
    elif path.suffix == ".npy":
        np.load(path)
    elif path.suffix == ".html":
        assert path.read_text("utf-8").rstrip().endswith("</html>")
    elif path.suffix == ".ckpt":
        import torch

        torch.load(path, map_location="cpu", weights_only=True)
    elif path.suffix == ".csv":
        assert path.read_text().endswith("\n")


def copy(template: Path, folder: Path) -> None:
    shutil.copytree(template, folder, symlinks=True)
    for name in ("home", "tmp", "models"):
        (folder / name).mkdir(exist_ok=True)


def enter(folder: Path) -> None:
    """Make this process a user's whose home is in `folder`."""
    import tempfile

    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA"):
        os.environ.pop(name, None)
    os.environ |= {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "TUMORSEG_MODELS": str(folder / "models"),
        "MPLCONFIGDIR": str(folder / "home" / "mpl"),
    }
    tempfile.tempdir = None
    os.chdir(folder)
