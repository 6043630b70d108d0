"""Liver and liver tumours on one accelerator: held-out runs and the one to publish, in set time.

    python -m tumorseg_training.device_training.liver --packs PACKS --out OUT --seconds 470

Every network is trained once on all patients and once for each fold (or several joined by "+")
without its patients, whom it then looks at. Patients kept aside choose nothing: the schedule is
fixed, and the weights are the average at its end. What OUT holds in the end:

- `<model>-<run>.safetensors`: weights in half precision, named as `TumorSegLib.networks` does;
- `<model>-<run>-probabilities-<k>.npz`: of the volumes kept aside, uint8 (n, K, H, W) by name;
- `results.json`: who was kept aside from which run, and figures without post-processing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from tumorseg_training.config import read_config
from tumorseg_training.device_training.liver_draws import LiverStage
from tumorseg_training.device_training.liver_pack import read_packs
from tumorseg_training.device_training.liver_runs import EVERYBODY, STAGES, Data, Run, Session
from tumorseg_training.places import configs
from TumorSegLib.errors import InputError

CONFIGS = configs()
EVERYBODY_WEIGHT = 1.3
"""How much longer the run to publish takes than one without a fold."""
TINY_SLICES = 6
TINY_STAGES = (
    LiverStage(0.3, 32, True, 4),
    LiverStage(0.7, 32, False, 4),
    LiverStage(1.0, 48, False, 2),
)


def say(line: str) -> None:
    """Print a line with the time since the start, at once."""
    print(f"{time.perf_counter() - STARTED:6.1f} s  {line}", flush=True)  # noqa: T201


STARTED = time.perf_counter()


def planned(
    models: Sequence[str], asides: Sequence[str], *, tiny: bool, weights: Sequence[float] = ()
) -> list[Run]:
    """Return the runs in order: of each model that on everybody, then those without folds.

    Args:
        models: "unet:24" is the config `liver-ct-unet` with a width of 24.
        asides: folds to keep aside, joined by "+" where they share a run.
        tiny: networks of width 4.
        weights: of the models' times; alike if not given.
    """
    runs = []
    for place, wanted in enumerate(models):
        name, _, width = wanted.partition(":")
        model = read_config(CONFIGS / f"liver-ct-{name}.toml").model
        assert model.network is not None
        arguments = dict(model.network.arguments)
        if width or tiny:
            arguments["width"] = 4 if tiny else int(width)
        model = replace(model, network=replace(model.network, arguments=arguments))
        weight = weights[place] if weights else 1.0
        runs.append(Run(model, EVERYBODY, weight * EVERYBODY_WEIGHT))
        runs += [Run(model, aside, weight) for aside in asides]
    return runs


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="liver", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--packs", type=Path, required=True, help="folder of *.pack")
    parser.add_argument("--out", type=Path, required=True, help="folder for what comes out")
    parser.add_argument("--seconds", type=float, required=True, help="of all, from the start on")
    parser.add_argument("--models", nargs="+", default=["unet:24"], help="config[:width]")
    parser.add_argument("--model-weights", nargs="+", type=float, default=[], help="of their times")
    parser.add_argument(
        "--aside",
        nargs="*",
        default=["fold0", "fold1", "fold2", "fold3", "fold4"],
        help='folds to keep aside; "+" joins those that share a run',
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tiny", action="store_true", help="a few slices and small networks")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, look and write within the time that is given."""
    options = parsed(arguments)
    stop = time.perf_counter() + options.seconds
    device = torch.device(options.device)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    options.out.mkdir(parents=True, exist_ok=True)
    packs = sorted(options.packs.glob("*.pack"))
    if not packs:
        raise InputError(f"{options.packs}: no packs (*.pack)")
    volumes = read_packs(packs, limit=TINY_SLICES if options.tiny else None)
    data = Data.of(volumes, device)
    say(f"{len(volumes)} volumes, {len(data.store.masks)} slices of {data.store.canvas}² pixels")
    stages = TINY_STAGES if options.tiny else STAGES
    session = Session(data, options.out, stop, stages, say)
    runs = planned(options.models, options.aside, tiny=options.tiny, weights=options.model_weights)
    session.run_all(runs)
    session.print_table()
    say("done")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
