"""What corrections of a few cases are worth: Dice on another institution after retraining.

    python benchmarks/retraining_curve.py data/kaggle_3m -o runs/curve

A LinkNet at half the resolution is trained on the patients of one institution of the LGG set. Cases
of another are segmented with it, their true outlines take the place of the result, and 3, 6 and 12
of them go through `tumorseg export` and `tumorseg retrain`, with and without old cases mixed in.
`tumorseg evaluate` measures every model on the same patients, whom none was trained on: those of
the other institution that were not exported, and those of the first that were kept aside.

Writes curve.json and curve.png. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from tumorseg_training.case import reader_options_for
from tumorseg_training.heldout_split import by_hash
from tumorseg_training.readers import read_cases
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.bundle import read_bundle
from TumorSegLib.writing import write_segmentation

ROOT = Path(__file__).resolve().parent.parent
OLD, NEW = "HT", "DU"
"""Institutions, as in the patients' names: the two with most patients."""

KEPT_ASIDE = 6
CORRECTED = (3, 6, 12)
BASE = "brain-lgg-ht"


def main() -> None:
    """Train, correct, export, retrain, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", metavar="DATA", type=Path, help="the LGG set, layout kaggle_3m")
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, default=Path("runs/curve"))
    arguments = parser.parse_args()
    run = Curve(arguments.data.resolve(), arguments.output.resolve())
    run.train_base()
    results = {"0": run.measured(run.base)}
    for old in (True, False):
        for count in CORRECTED:
            run.export(count)
            name = f"{count}{' and old' if old else ''}"
            results[name] = run.measured(run.retrained(count, old=old))
    (run.folder / "curve.json").write_text(json.dumps(results, indent=2) + "\n")
    draw(results, run.folder / "curve.png")


class Curve:
    """The experiment's folder, patients and steps."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.data, self.folder = data, folder
        self.base = folder / "base" / BASE
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted(path.name for path in data.iterdir() if path.is_dir())
        old, new = ([n for n in names if n.startswith(f"TCGA_{i}_")] for i in (OLD, NEW))
        self.old = folder / OLD
        self.old.mkdir(exist_ok=True)
        for name in old:
            if not (self.old / name).exists():
                (self.old / name).symlink_to(data / name)
        self.old_aside = by_hash(old)[:KEPT_ASIDE]
        self.corrected = by_hash(new)[: max(CORRECTED)]
        self.new_aside = [name for name in new if name not in self.corrected]
        # ids of exported cases, and with them who is held out by `retrain`, follow from this key
        home = folder / "home"
        key = home / "TumorSeg" / "export-key"
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_text(hashlib.sha256(b"retraining curve").hexdigest() + "\n")
        self.environment = {
            **os.environ,
            "XDG_DATA_HOME": str(home),
            "TUMORSEG_MODELS": str(folder / "models"),
            "PYTHONPATH": str(ROOT),
        }

    def tumorseg(self, *words: str | Path) -> None:
        """Run the command."""
        command = [sys.executable, "-m", "TumorSegLib.cli", *map(str, words)]
        subprocess.run(command, check=True, env=self.environment)

    def train_base(self) -> None:
        """Train on the old institution alone."""
        if self.base.is_dir():
            return
        folds = self.folder / "folds.json"
        rest = [path.name for path in self.old.iterdir() if path.name not in self.old_aside]
        folds.write_text(json.dumps({"aside": self.old_aside, "rest": rest}))
        settings = {
            "model.id": BASE,
            "model.title": "Brain tumour, one institution",
            "model.default": "false",
            "model.input.in_plane.size": 128,
            "data.folder": self.old,
            "data.folds": folds,
            "data.validate": "aside",
            "data.cache": self.folder / "cache",
            "optimisation.batch_size": 16,
            "optimisation.epochs": 8,
            "optimisation.slices_per_epoch": 1536,
            "optimisation.learning_rate": 3e-3,
            "optimisation.average_decay": 0.99,
            "optimisation.workers": 1,
        }
        changes = [f"{key}={value}" for key, value in settings.items()]
        config = ROOT / "training" / "configs" / "brain-lgg-linknet.toml"
        self.tumorseg("train", config, "-o", self.folder / "base", "--set", *changes)

    def export(self, count: int) -> None:
        """Export the first `count` corrected cases."""
        dataset = self.dataset(count)
        if dataset.is_dir():
            return
        for patient in self.corrected[:count]:
            channels = [f"{name}={path}" for name, path in self.corrected_case(patient).items()]
            options = [word for channel in channels for word in ("--channel", channel)]
            segmentation = self.folder / "corrected" / f"{patient}.seg.nrrd"
            self.tumorseg(
                "export", segmentation, "--dataset", dataset, "--model", self.base, "--reviewed",
                "--patient", patient, "--quiet", *options,
            )  # fmt: skip

    def corrected_case(self, patient: str) -> dict[str, Path]:
        """Segment a case, put its true outlines into the result, return the channels' files."""
        folder = self.folder / "corrected"
        folder.mkdir(exist_ok=True)
        model = read_bundle(self.base).specification
        names = [channel.name for channel in model.input.channels]
        files = {name: folder / f"{patient}_{name}.nii.gz" for name in names}
        target = folder / f"{patient}.seg.nrrd"
        if target.exists():
            return files
        cases = read_cases(self.data, "kaggle_3m", reader_options_for(model)).cases
        annotated = next(case for case in cases if case.name == patient).decode()
        for name, path in files.items():
            volume = annotated.volumes[name]
            sitk.WriteImage(to_sitk(volume.voxels, volume.grid), str(path))
        result = Segmenter(read_bundle(self.base), device="cpu").segment(annotated.volumes)
        write_segmentation(replace(result, labelmap=annotated.labelmap), target)
        return files

    def dataset(self, count: int) -> Path:
        """Return the folder of the first `count` corrected cases."""
        return self.folder / f"Dataset5{count:02d}_Corrected"

    def retrained(self, count: int, *, old: bool) -> Path:
        """Retrain on the first `count` cases; return the new model's folder."""
        kept = self.folder / f"retrained-{count}{'-old' if old else ''}"
        if not kept.is_dir():
            mixed = ["--old-cases", self.old, "--old-layout", "kaggle_3m"] if old else []
            run = self.folder / f"run-{kept.name}"
            resumed = ["--resume"] if (run / "last.ckpt").exists() else []
            self.tumorseg(
                "retrain", self.dataset(count), "--base", self.base, "-o", run, *mixed,
                "--accelerator", "cpu", *resumed,
            )  # fmt: skip
            written = json.loads((run / "plan.json").read_text())["id"]
            (self.folder / "models" / written).rename(kept)
        return kept

    def measured(self, model: Path) -> dict[str, dict[str, Any]]:
        """Return a model's mean Dice and every patient's, by institution."""
        results = {}
        for institution, patients in ((NEW, self.new_aside), (OLD, self.old_aside)):
            output = self.folder / f"measured-{model.name}-{institution}.json"
            listed = self.folder / f"patients-{institution}.txt"
            listed.write_text("\n".join(patients) + "\n")
            if not output.exists():
                self.tumorseg(
                    "evaluate", self.data, "--layout", "kaggle_3m", "--patients", listed,
                    "-o", output, "--device", "cpu", "--model", model,
                )  # fmt: skip
            (figures,) = json.loads(output.read_text())["models"]
            dice = figures["summary"]["structures"]["Tumour"]["dice"]
            cases = {c["patient"]: c["structures"]["Tumour"]["dice"] for c in figures["cases"]}
            results[institution] = {**dice, "by_patient": cases}
        return results


def draw(results: dict[str, dict[str, dict[str, Any]]], path: Path) -> None:
    """Plot mean Dice over corrected cases."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(7, 3.8), layout="constrained")
    FigureCanvasAgg(drawing)
    axes = drawing.subplots()
    counts = [0, *CORRECTED]
    for institution, colour, called in ((NEW, "#2f6fb3", "new"), (OLD, "#c46a1b", "old")):
        for suffix, line, told in ((" and old", "-", "old cases mixed in"), ("", ":", "without")):
            names = ["0", *(f"{count}{suffix}" for count in CORRECTED)]
            there = [
                (n, results[name]) for n, name in zip(counts, names, strict=True) if name in results
            ]
            means = [(n, figures[institution]["mean"]) for n, figures in there]
            label = f"{called} institution, {told}"
            axes.plot(*zip(*means, strict=True), line, marker="o", color=colour, label=label)
    axes.set_xticks(counts)
    axes.set_xlabel("corrected cases")
    axes.set_ylabel("mean Dice, patients never trained on")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    drawing.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
