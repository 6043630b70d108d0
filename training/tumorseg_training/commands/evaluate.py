"""`tumorseg evaluate`: models measured on annotated cases, and compared."""

from __future__ import annotations

import itertools
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg_training.commands.extra import require_train_extra
from tumorseg_training.commands.options import add_label_option, labels_of
from TumorSegLib.commands.common import add_overwrite_option
from TumorSegLib.commands.terminal import say
from TumorSegLib.commands.work_options import add_work_options, shared_work_of
from TumorSegLib.errors import InputError
from TumorSegLib.support.schema import parsed
from TumorSegLib.support.text_coding import decoded
from TumorSegLib.support.words import counted, some

if TYPE_CHECKING:
    from tumorseg_training.case import Case
    from TumorSegLib.model.bundle import Bundle
    from TumorSegLib.model.catalogue import Catalogue


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg evaluate`."""
    parser.add_argument("dataset", metavar="DATASET", type=Path, help="folder of annotated cases")
    parser.add_argument(
        "--layout",
        required=True,
        help="of the folder: kaggle_3m, 3Dircadb1, nnunet, lits or png_pairs",
    )
    parser.add_argument(
        "--model",
        dest="models",
        metavar="ID",
        action="append",
        required=True,
        help="a model's id or folder; several are compared",
    )
    parser.add_argument(
        "--patients",
        metavar="FILE",
        type=Path,
        help="measure on these only: one a line, or a JSON list, or a JSON file of folds",
    )
    parser.add_argument(
        "--patients-of",
        metavar="FILE",
        type=Path,
        help="whom each case shows, as data.patients of a training has it: JSON, {case: patient}",
    )
    parser.add_argument("--fold", metavar="NAME", help="fold to take from --patients")
    add_label_option(parser)
    parser.add_argument(
        "--annotated",
        metavar="VALUE",
        nargs="+",
        type=int,
        help="the model's values that the data set was annotated for; others are not measured",
    )
    parser.add_argument(
        "--spacing", metavar="MM", nargs=3, type=float, help="x y z, for pictures, which have none"
    )
    parser.add_argument(
        "--window", metavar="HU", nargs=2, type=float, help="what black and white stand for in CT"
    )
    parser.add_argument("--mask-suffix", default="_mask", help="of pictures' masks")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
    where = parser.add_argument_group("shared out among workers, if any of these is said")
    add_work_options(where)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        default=Path("results.json"),
        help="figures; a page with pictures is written beside it",
    )
    add_overwrite_option(parser)


def run(arguments: Namespace) -> int:
    """Evaluate every model and write the figures."""
    require_train_extra("evaluate")
    from tumorseg_training.evaluation import evaluate
    from tumorseg_training.evaluation_page import PAGE_ENDING
    from tumorseg_training.publishing import write_results
    from TumorSegLib.model.catalogue import default_catalogue
    from TumorSegLib.support.allocator import keep_large_blocks
    from TumorSegLib.writing.replacing import check_replacing

    work = shared_work_of(arguments)
    if work is not None:
        arguments.dataset = arguments.dataset.absolute()
    output: Path = arguments.output
    read = [path for path in (arguments.patients, arguments.patients_of) if path is not None]
    check_replacing(
        [output, output.with_suffix(PAGE_ENDING)],
        inputs=itertools.chain(read, arguments.dataset.rglob("*")),
        overwrite=arguments.overwrite,
    )
    catalogue = default_catalogue()
    bundles = [catalogue.find(name) for name in arguments.models]
    if arguments.annotated is not None:
        for bundle in bundles:
            check_annotated(bundle, arguments.annotated)
    chosen = [cases_for(bundle, arguments) for bundle in bundles]
    keep_large_blocks()
    alike = len({bundle.id for bundle in bundles}) < len(bundles)
    names = arguments.models if alike else [bundle.id for bundle in bundles]
    evaluations = []
    for name, bundle, cases in zip(names, bundles, chosen, strict=True):
        say(f"{name}: {counted(len(cases), 'case')}")
        if seen := patients_seen(bundle, cases, catalogue):
            say(
                f"warning: {name} was trained on {len(seen)} of these"
                f" {len({case.patient for case in cases})} patients ({some(seen)}): figures on"
                " them are too good; measure on patients that it never saw"
            )
        evaluation = evaluate(
            bundle,
            cases,
            device=arguments.device,
            precision=arguments.precision,
            report=say,
            work=work,
            first_channel_alone=True,
        )
        say(f"{name}: {len(evaluation.cases)} of {len(cases)} cases measured")
        evaluations.append(replace(evaluation, name=name))
    title = f"{', '.join(names)} on {arguments.dataset.name}"
    for path in write_results(evaluations, output, title):
        say(f"wrote {path}")
    return 0


def cases_for(bundle: Bundle, arguments: Namespace) -> list[Case]:
    """Return the cases to measure a model on.

    Raises:
        InputError: there are none, or the folder is not in that layout.
    """
    from tumorseg_training.case import noted, reader_options_for
    from tumorseg_training.datasets import with_patients
    from tumorseg_training.readers import read_cases

    reading = reader_options_for(
        bundle.specification,
        labels=labels_of(arguments.labels),
        spacing=tuple(arguments.spacing) if arguments.spacing else None,
        window=tuple(arguments.window) if arguments.window else None,
        mask_suffix=arguments.mask_suffix,
    )
    found = read_cases(arguments.dataset, arguments.layout, reading)
    if arguments.patients_of is not None:
        found = with_patients(found, arguments.patients_of, "--patients-of")
    for line in found.notes:
        say(line)
    for item in found.unusable:
        say(f"left out: {item.name}: {item.reason}")
    cases = list(found.cases)
    if arguments.patients is not None:
        wanted = read_patients(arguments.patients, arguments.fold)
        cases = [case for case in cases if case.patient in wanted]
        if absent := wanted - {case.patient for case in cases}:
            say(f"not in the data set: {', '.join(sorted(absent))}")
    if not cases:
        raise InputError(f"{arguments.dataset}: no cases to measure on")
    for line in noted(cases):
        say(line)
    if arguments.annotated is None:
        return cases
    return [replace(case, annotated=tuple(arguments.annotated)) for case in cases]


def check_annotated(bundle: Bundle, values: Sequence[int]) -> None:
    """Refuse values that a model does not segment.

    Raises:
        InputError: there are such values, or the model does not segment.
    """
    model = bundle.specification
    if model.task != "segmentation":
        raise InputError(f"--annotated: {model.id} is a detector, which has no structures")
    known = {label.value: label.name for label in model.labels}
    if others := sorted(set(values) - known.keys()):
        listed = ", ".join(f"{value} ({name})" for value, name in known.items())
        raise InputError(
            f"--annotated: {model.id} has no value {', '.join(map(str, others))}, but {listed}"
        )


def patients_seen(bundle: Bundle, cases: Sequence[Case], catalogue: Catalogue) -> list[str]:
    """Return the patients of cases that a model, or one of its members, says it was trained on.

    Raises:
        ModelError: a member is missing or does not fit.
        OutputError: the key of those hashes cannot be read.
    """
    from tumorseg_training.recorded_names import those_among

    models = [bundle, *(catalogue.members(bundle) if bundle.specification.members else ())]
    seen = frozenset[str]().union(*(model.specification.provenance.trained_on for model in models))
    return sorted(those_among((case.patient for case in cases), seen))


def read_patients(path: Path, fold: str | None) -> set[str]:
    """Read which patients to measure on.

    Raises:
        InputError: the file does not say.
    """
    try:
        text = decoded(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise InputError(f"{path}: is no text in UTF-8; save it as such") from None
    try:
        content = parsed(text)
    except ValueError:
        content = None
    if not isinstance(content, dict | list):  # one number is JSON, too
        content = [line.strip() for line in text.splitlines() if line.strip()]
    if isinstance(content, dict):
        if fold not in content:
            raise InputError(f"{path}: holds folds, choose by --fold: {', '.join(content)}")
        content = content[fold]
    if not isinstance(content, list):
        raise InputError(f"{path}: expected a list of patients")
    return {str(patient) for patient in content}
