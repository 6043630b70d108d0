"""`tumorseg train`: from a config to a model bundle."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg_training.commands.extra import require_train_extra
from tumorseg_training.commands.options import add_accelerator_option
from tumorseg_training.places import config_file
from TumorSegLib.commands.terminal import say as said
from TumorSegLib.commands.work_options import add_work_options, shared_work_of
from TumorSegLib.errors import InputError

if TYPE_CHECKING:
    from tumorseg_training.config import EnsembleConfig, Recipe, TrainingConfig
    from tumorseg_training.whole_run import Running
    from TumorSegLib.cohort.settings import WorkSharing
    from TumorSegLib.model.evaluation import Evaluation
    from TumorSegLib.model.forest import Forest


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg train`."""
    parser.add_argument(
        "config",
        metavar="CONFIG",
        type=config_file,
        help="what to train, on what: a .toml file, or the id of a model that comes with TumorSeg",
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="change keys of the config, such as data.validate=fold0",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        help="of the run's files (default: runs/MODEL ID)",
    )
    parser.add_argument(
        "--devices", metavar="N", type=int, default=1, help="processes or GPUs a machine"
    )
    parser.add_argument("--nodes", metavar="N", type=int, default=1, help="machines")
    add_accelerator_option(parser)
    parser.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint, if there is one"
    )
    parser.add_argument(
        "--cross-validate",
        metavar="FOLD",
        nargs="*",
        help="keep every fold, or those named, aside in turn (fold0+fold1: both in one run), and"
        " measure over all their patients",
    )
    parser.add_argument(
        "--measured",
        metavar="FILE",
        type=Path,
        help="evaluation.json of a run of the same recipe that kept patients aside: where this one"
        " keeps nobody aside, its figures stand in the model card; a forest beside them judges"
        " candidates",
    )
    parser.add_argument(
        "--stage",
        dest="stages",
        metavar="NAME",
        nargs="+",
        action="extend",
        default=[],
        help="train these stages of the config alone; those they start from must be done",
    )
    add_work_options(parser.add_argument_group("with --cross-validate: folds at the same time"))
    parser.add_argument(
        "--preview",
        action="store_true",
        help="only write a picture of slices as the network will see them",
    )


def run(arguments: Namespace) -> int:
    """Train and publish, or what the options ask for instead."""
    require_train_extra("train")
    work = shared_work(arguments)
    from tumorseg_training.config import read_config, read_ensemble, read_recipe
    from tumorseg_training.run_folder import check_run_folder
    from TumorSegLib.support.allocator import keep_large_blocks

    ensemble = read_ensemble(arguments.config, arguments.overrides)
    if ensemble is not None:
        folder = arguments.output or Path("runs") / ensemble.model.id
        check_run_folder(folder)
        averaged(ensemble, folder, arguments)
        return 0
    config = read_config(arguments.config, arguments.overrides)
    recipe = read_recipe(arguments.config, arguments.overrides)
    check_stages(recipe, arguments)
    folder = arguments.output or Path("runs") / config.model.id
    check_run_folder(folder, [config.data.folder])
    keep_large_blocks()
    if arguments.preview:
        from tumorseg_training.preview import write_preview

        say(f"wrote {write_preview(shown(config, recipe, arguments), folder / 'preview.png', say)}")
    elif recipe is not None:
        from tumorseg_training.stages import run_recipe

        for path in run_recipe(recipe, folder, running(arguments), names=arguments.stages):
            say(f"wrote {path}")
    elif arguments.cross_validate is not None:
        cross_validated(config, folder, arguments, work)
    else:
        trained(config, folder, arguments)
    return 0


def check_stages(recipe: Recipe | None, arguments: Namespace) -> None:
    """Refuse options that do not go with a config's stages, or with one that has none.

    Raises:
        InputError: there is such an option.
    """
    if recipe is None and arguments.stages:
        raise InputError(f"--stage {arguments.stages[0]}: {arguments.config} has no stages")
    if recipe is not None and not arguments.preview:
        for option, value in (
            ("--cross-validate", arguments.cross_validate),
            ("--measured", arguments.measured),
        ):
            if value is not None:
                raise InputError(
                    f"{option}: the stages of {arguments.config} say that; train without them by"
                    " --set stages=[]"
                )


def shown(config: TrainingConfig, recipe: Recipe | None, arguments: Namespace) -> TrainingConfig:
    """Return what a preview is of: the first stage that is named, or else the config.

    Raises:
        InputError: there is no such stage.
    """
    if recipe is None or not arguments.stages:
        return config
    from tumorseg_training.stages import chosen_parts

    return chosen_parts(recipe, arguments.stages)[0].config


def running(arguments: Namespace) -> Running:
    """Return how runs are carried out."""
    from tumorseg_training.train import Devices
    from tumorseg_training.whole_run import Running

    return Running(
        Devices(arguments.devices, arguments.nodes, arguments.accelerator),
        say,
        resume=arguments.resume,
        progress=sys.stderr.isatty(),
    )


def averaged(config: EnsembleConfig, folder: Path, arguments: Namespace) -> None:
    """Measure an ensemble, and publish it unless it is only measured on folds."""
    if arguments.cross_validate is not None:
        from tumorseg_training.cross_validation import cross_validate_ensemble

        folds = arguments.cross_validate
        for path in cross_validate_ensemble(config, folder, folds=folds, report=say):
            say(f"wrote {path}")
        return
    from tumorseg_training.publishing import publish_ensemble
    from TumorSegLib.model.bundle_folder import check_place_of_bundle

    check_place_of_bundle(folder / config.model.id)
    figures, forest = measured(config, arguments)
    found = publish_ensemble(config, folder, say, measured=figures, forest=forest)
    say(f"wrote {found.bundle.folder}")


def trained(config: TrainingConfig, folder: Path, arguments: Namespace) -> None:
    """Train once and publish."""
    from tumorseg_training.whole_run import train_and_publish

    figures, forest = measured(config, arguments)
    found = train_and_publish(config, folder, running(arguments), measured=figures, forest=forest)
    if found is not None:
        say(f"wrote {found.bundle.folder}")


def shared_work(arguments: Namespace) -> WorkSharing | None:
    """Return how folds are shared out, None if they are not.

    Raises:
        InputError: nothing is to be shared out.
        TumorSegError: Ray is not installed.
    """
    work = shared_work_of(arguments)
    if work is not None and arguments.cross_validate is None:
        raise InputError("--workers, --threads, --gpu-share, --address: need --cross-validate")
    return work


def measured(
    config: TrainingConfig | EnsembleConfig, arguments: Namespace
) -> tuple[Evaluation | None, Forest | None]:
    """Return what --measured names, before hours of training: the figures, and a forest if any.

    Raises:
        InputError: they cannot be read, or are of another recipe.
    """
    if arguments.measured is None:
        return None, None
    from tumorseg_training.candidates import read_forest
    from tumorseg_training.publishing import figures_of

    figures = figures_of(arguments.measured, config=config, report=say)
    return figures, read_forest(arguments.measured.parent)


def cross_validated(
    config: TrainingConfig, folder: Path, arguments: Namespace, work: WorkSharing | None
) -> None:
    """Train once a fold and measure over all patients."""
    from tumorseg_training.cross_validation import cross_validate

    written = cross_validate(
        config, folder, running(arguments), folds=arguments.cross_validate, work=work
    )
    for path in written or ():
        say(f"wrote {path}")


def say(line: str) -> None:
    """Print a line for the user, from the main process only."""
    from lightning.pytorch.utilities import rank_zero_only

    if getattr(rank_zero_only, "rank", 0) == 0:
        said(line)
