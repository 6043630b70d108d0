"""Trains the classifier that tells what an image is (sequence of a head's MRI, or CT).

    python -m tumorseg_training.image_kinds kaggle_3m --ct lits --patients folds.json -o OUT

writes OUT/kinds.json and OUT/weights.safetensors, fitted to all, and prints how classifiers do on
patients kept aside: the folds of `--patients`, then each hospital (the second part of a patient's
name). Thresholds are chosen without whoever is kept aside. The examples are kept in
OUT/examples.npz and used again where that file is there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tumorseg_training.image_kinds.examples import Example, ct_examples, head_examples
from tumorseg_training.image_kinds.fitting import (
    KINDS,
    GroupOf,
    Measured,
    blank,
    choose_threshold,
    fit,
    measure,
    stacked,
    unstacked,
    without_ct,
)
from tumorseg_training.patient_folds import folds_of
from TumorSegLib.commands.terminal import say
from TumorSegLib.model.image_kinds import SPECIFICATION_FILE, WEIGHTS_FILE
from TumorSegLib.support.atomic_write import write_whole
from TumorSegLib.support.schema import to_dict

VERSION = "1.0.0"
DATA = (
    "LGG segmentation data set (Buda, Saha & Mazurowski 2019), 78 patients, and T2 made up from"
    " its T1 and FLAIR; 30 CT volumes of LiTS 2017 (Bilic et al. 2023), which the Medical"
    " Segmentation Decathlon publishes as CC BY-SA 4.0"
)
LICENCE = "CC BY-NC-SA 4.0"


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    options = _parser().parse_args(words)
    options.output.mkdir(parents=True, exist_ok=True)
    examples = _examples(options)
    say(f"{len(examples)} examples of {len({one.patient for one in examples})} patients")
    patients = sorted({one.patient for one in examples})
    folds = folds_of(options.patients, [one for one in patients if _hospital(one) != "CT"])
    fold_of = {patient: name for name, members in folds.items() for patient in members}
    ct = [one for one in patients if one not in fold_of]
    names = sorted(folds)
    fold_of |= {patient: names[index * len(names) // len(ct)] for index, patient in enumerate(ct)}
    for title, group_of in (("folds", fold_of.__getitem__), ("hospitals", _hospital)):
        _print(title, measure(examples, group_of, _hospital))
    _write(examples, _hospital, options.output)
    return 0


def _examples(options: argparse.Namespace) -> list[Example]:
    kept = options.output / "examples.npz"
    if not kept.is_file():
        found = [*_told(head_examples(options.heads)), *_told(ct_examples(options.ct))]
        words, features = stacked(found)
        np.savez_compressed(kept, words=words, features=features)
    with np.load(kept) as arrays:
        return unstacked(arrays["words"], arrays["features"])


def _told(examples: Iterable[Example]) -> Iterable[Example]:
    patient = ""
    for one in examples:
        if one.patient != patient:
            patient = one.patient
            say(patient)
        yield one


def _hospital(patient: str) -> str:
    parts = patient.split("_")
    return parts[1] if len(parts) > 2 else "CT"


def _print(title: str, measured: Sequence[Measured]) -> None:
    thresholds = sorted({(one.group, one.threshold) for one in measured})
    say(f"{title}: thresholds " + ", ".join(f"{group} {chosen:g}" for group, chosen in thresholds))
    for known, told in (("MRI for certain", without_ct), ("CT or MRI", dict)):
        for how in ("whole", "coarse", "stripped", "changed"):
            parts = []
            for kind in KINDS:
                those = [
                    one for one in measured if (one.example.kind, one.example.how) == (kind, how)
                ]
                if not those or (kind == "ct" and known != "CT or MRI"):
                    continue
                found = sum(told(one.probabilities)["flair"] < one.threshold for one in those)
                least = min(told(one.probabilities)["flair"] for one in those)
                parts.append(
                    f"{kind} {found} of {len(those)}"
                    + (f" ({least:.3f})" if kind == "flair" else "")
                )
            say(f"  {known}, {how}, not FLAIR: " + ", ".join(parts))


def _write(examples: Sequence[Example], hospital_of: GroupOf, folder: Path) -> None:
    threshold = choose_threshold(examples, hospital_of)
    model = fit(examples, blank(threshold))
    content = model.to_bytes()
    specification = replace(
        model.specification,
        version=VERSION,
        sha256=hashlib.sha256(content).hexdigest(),
        data=DATA,
        licence=LICENCE,
    )
    write_whole(folder / WEIGHTS_FILE, content)
    text = json.dumps(to_dict(specification), indent=2, ensure_ascii=False)
    write_whole(folder / SPECIFICATION_FILE, text + "\n")
    say(f"{folder}: threshold {threshold:g}, {len(content)} bytes")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("heads", type=Path, help="folder in the layout kaggle_3m")
    parser.add_argument("--ct", type=Path, required=True, help="CT slices (png_pairs) of trunks")
    parser.add_argument("--patients", required=True, help="folds of the heads' patients")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    return parser


if __name__ == "__main__":
    sys.exit(main())
