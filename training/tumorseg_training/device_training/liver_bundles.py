"""From what a training on a device has left to bundles, forests and figures of the real pipeline.

    python -m tumorseg_training.device_training.liver_bundles OUT RUNS --set KEY=VALUE ...

Every fold's weights become a bundle in RUNS/<model>/cross-validation/<fold>/<model>, as
`tumorseg train --cross-validate` leaves them. They segment the patients kept aside, on the images'
own grid, and each fold's candidates are judged by a forest grown on the other folds'.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file

from tumorseg_training.candidates import Fold
from tumorseg_training.config import TrainingConfig, read_config
from tumorseg_training.cross_validation import pooled
from tumorseg_training.datasets import cases_aside
from tumorseg_training.device_training.liver import CONFIGS
from tumorseg_training.device_training.liver_runs import EVERYBODY
from tumorseg_training.publishing import CROSS_VALIDATION
from TumorSegLib.errors import InputError
from TumorSegLib.model.bundle import Bundle, write_bundle
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.networks import build_network

Report = Callable[[str], None]


def bundle_of(weights: Path, model: ModelSpecification, folder: Path) -> Bundle:
    """Write weights of a device training as a bundle; the network's width is as they say.

    Raises:
        InputError: the weights do not fit the model's network.
    """
    assert model.network is not None
    state = load_file(weights)
    width = state["head.weight"].shape[1]
    network = replace(model.network, arguments={**model.network.arguments, "width": width})
    built = build_network(network.name, network.arguments)
    try:
        built.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise InputError(f"{weights}: not weights of {network.name}: {error}") from None
    return write_bundle(folder, replace(model, network=network), built, card="")


def folds_of(source: Path, config: TrainingConfig, runs: Path) -> list[Fold]:
    """Return every fold that the training in `source` kept aside from a run.

    Raises:
        InputError: there is none.
    """
    prefix = config.model.id.removeprefix("liver-ct-")
    found = []
    for weights in sorted(source.glob(f"{prefix}-*.safetensors")):
        name = weights.stem.removeprefix(f"{prefix}-")
        if name == EVERYBODY:
            continue
        data = replace(config.data, validate=name)
        folder = runs / config.model.id / CROSS_VALIDATION / name / config.model.id
        cases = cases_aside(data, config.reading, seed=config.optimisation.seed)
        found.append(Fold(bundle_of(weights, config.model, folder), cases))
    if not found:
        raise InputError(f"{source}: no weights {prefix}-<fold>.safetensors")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the bundles and measure them; see the module's text."""
    parser = argparse.ArgumentParser(prog="liver_bundles", description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--model", default="unet", choices=("unet", "munet"))
    parser.add_argument("--set", nargs="*", default=[], help="as for tumorseg train")
    options = parser.parse_args(arguments)
    config = read_config(CONFIGS / f"liver-ct-{options.model}.toml", options.set)
    folds = folds_of(options.source, config, options.runs)
    folder = options.runs / config.model.id
    for path in pooled(folds, config.model.candidates, folder, print):
        print(path)  # noqa: T201
    everybody = options.source / f"{options.model}-{EVERYBODY}.safetensors"
    if everybody.is_file():
        bundle_of(everybody, config.model, folder / EVERYBODY / config.model.id)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
