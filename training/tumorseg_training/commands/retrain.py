"""`tumorseg retrain`: a model trained further on corrected cases."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tumorseg_training.commands.extra import require_train_extra
from tumorseg_training.commands.options import (
    add_accelerator_option,
    add_label_option,
    labels_of,
)
from TumorSegLib.commands.terminal import say


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg retrain`."""
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        type=Path,
        help="corrected cases as `tumorseg export` writes them (nnU-Net's raw layout)",
    )
    parser.add_argument(
        "--base", metavar="ID", required=True, help="id or folder of the model to start from"
    )
    duration = parser.add_mutually_exclusive_group()
    duration.add_argument("--epochs", metavar="N", type=int, help="how many (default: 10)")
    duration.add_argument(
        "--hours", metavar="H", type=float, help="train no longer, whatever the number of epochs"
    )
    parser.add_argument(
        "--old-cases",
        metavar="FOLDER",
        type=Path,
        help="a data set to mix a few cases from, so that what the base knows is not forgotten",
    )
    parser.add_argument(
        "--old-count",
        metavar="N",
        type=int,
        help="patients to mix in (default: as many as there are new ones)",
    )
    parser.add_argument(
        "--old-layout", default="nnunet", help="of that data set: nnunet, kaggle_3m"
    )
    add_label_option(parser)
    parser.add_argument(
        "--learning-rate",
        metavar="RATE",
        type=float,
        default=2e-4,
        help="the largest (default: %(default)g)",
    )
    parser.add_argument(
        "--as-default", action="store_true", help="use the new model by default if it is better"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run that was stopped, as it was begun",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        help="of the run's files (default: runs/ID OF THE NEW MODEL)",
    )
    add_accelerator_option(parser)


def run(arguments: Namespace) -> int:
    """Retrain, and show both models side by side."""
    require_train_extra("retrain")
    from tumorseg_training.comparison import table
    from tumorseg_training.retraining import retrain
    from tumorseg_training.retraining_plan import RetrainRequest
    from tumorseg_training.train import Devices
    from TumorSegLib.commands.terminal import terminal
    from TumorSegLib.support.allocator import keep_large_blocks

    keep_large_blocks()
    request = RetrainRequest(
        arguments.dataset,
        arguments.base,
        epochs=arguments.epochs,
        hours=arguments.hours,
        old_cases=arguments.old_cases,
        old_layout=arguments.old_layout,
        old_count=arguments.old_count,
        labels=labels_of(arguments.labels),
        learning_rate=arguments.learning_rate,
        as_default=arguments.as_default,
    )
    found = retrain(
        request,
        arguments.output,
        resume=arguments.resume,
        devices=Devices(accelerator=arguments.accelerator),
        report=say,
        progress=sys.stderr.isatty(),
    )
    terminal().print(table(found.comparison))
    say(f"{found.bundle.id} is {found.comparison['reason']}")
    say(f"wrote {found.bundle.folder}")
    if not found.comparison["better"]:
        install = f"tumorseg models --install {found.bundle.folder}"
        say(f"not installed; to use it all the same: {install}")
    say(f"wrote {found.page}")
    return 0
