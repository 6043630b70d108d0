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
import json
import math
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from tumorseg_training.config import read_config
from tumorseg_training.device_training.liver_draws import Draws, Stage
from tumorseg_training.device_training.liver_pack import PackedVolume, read_packs
from tumorseg_training.device_training.liver_prediction import (
    Figures,
    measure,
    predict,
    write_probabilities,
)
from tumorseg_training.device_training.liver_store import SliceStore
from tumorseg_training.device_training.liver_training import Optimisation, Trained, train
from tumorseg_training.places import configs
from TumorSegLib.errors import InputError
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.networks import build_network

CONFIGS = configs()
EVERYBODY = "all"
EVERYBODY_WEIGHT = 1.3
"""How much longer the run to publish takes than one without a fold."""
PREDICTING = 0.06
"""Part of a run's time that is left for looking at the patients kept aside."""
WRITING_SECONDS = 8.0
MOST_BYTES = 15 << 20
TINY_SLICES = 6
TINY_STAGES = (Stage(0.3, 32, True, 4), Stage(0.7, 32, False, 4), Stage(1.0, 48, False, 2))


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        model: to train.
        name: of the run: the folds kept aside, or `EVERYBODY`.
        weight: of its time among the runs.
    """

    model: ModelSpecification
    name: str
    weight: float

    @property
    def aside(self) -> frozenset[str]:
        """Folds whose patients it does not learn from."""
        return frozenset() if self.name == EVERYBODY else frozenset(self.name.split("+"))


@dataclass(frozen=True)
class Data:
    """The volumes, on the device.

    Attributes:
        store: of those with images.
        labels: of label volumes; none if there are none.
    """

    store: SliceStore
    labels: SliceStore | None

    @classmethod
    def of(cls, volumes: Sequence[PackedVolume], device: torch.device) -> Data:
        """Bring volumes onto the device."""
        painted = [volume for volume in volumes if volume.kind == "labels"]
        real = [volume for volume in volumes if volume.kind != "labels"]
        return cls(SliceStore(real, device), SliceStore(painted, device) if painted else None)

    def draws(self, run: Run) -> Draws:
        """Return what a run may learn from.

        Patients that are kept aside are nowhere in it, painted from their labels neither; the
        further volumes are learnt by the run on everybody alone, so that others measure them.
        """
        aside = self.patients(run)
        everybody = run.name == EVERYBODY
        real = [
            number
            for number, volume in enumerate(self.store.volumes)
            if volume.patient not in aside and (everybody or volume.kind != "further")
        ]
        volumes = self.labels.volumes if self.labels is not None else ()
        painted = [number for number, volume in enumerate(volumes) if volume.patient not in aside]
        return Draws(self.store, self.labels, run.model, real, painted)

    def patients(self, run: Run) -> frozenset[str]:
        """Return the patients that a run keeps aside."""
        volumes = self.store.volumes
        return frozenset(volume.patient for volume in volumes if volume.fold in run.aside)

    def kept_aside(self, run: Run, *, further: bool) -> list[PackedVolume]:
        """Return the volumes that a run is to look at; `further`: those in no fold as well."""
        kinds = ("further", "negative") if further else ()
        aside = self.patients(run)
        return [
            volume
            for volume in self.store.volumes
            if volume.patient in aside or volume.kind in kinds
        ]


class Session:
    """Runs one after the other, within a time that is given."""

    def __init__(self, data: Data, folder: Path, stop: float, optimisation: Optimisation) -> None:
        """Prepare.

        Args:
            data: to learn from.
            folder: for what comes out.
            stop: `time.perf_counter()` at which all is to be over.
            optimisation: of every run.
        """
        self.data, self.folder, self.stop = data, folder, stop
        self.optimisation = optimisation
        self.results: dict[str, dict[str, object]] = {}
        self.table: list[tuple[str, str, Figures]] = []
        self._writer = ThreadPoolExecutor(1)
        self._pending: list[Future[None]] = []

    def run_all(self, runs: Sequence[Run]) -> None:
        """Train every run; one that fails is reported, and the next goes on."""
        looked_further = set[str]()
        for number, run in enumerate(runs):
            left = self.stop - WRITING_SECONDS - time.perf_counter()
            weights = sum(other.weight for other in runs[number:])
            seconds = left * run.weight / weights
            if seconds <= 0:
                say(f"{run.model.id} {run.name}: left out, no time is left")
                continue
            try:
                further = run.name != EVERYBODY and run.model.id not in looked_further
                self._run(run, seconds, further=further)
                if further:
                    looked_further.add(run.model.id)
            except Exception:
                say(f"{run.model.id} {run.name}: failed\n{traceback.format_exc()}")
        for pending in self._pending:
            try:
                pending.result(timeout=max(1.0, self.stop - time.perf_counter()))
            except Exception:
                say(f"writing failed\n{traceback.format_exc()}")
        self._writer.shutdown(wait=False, cancel_futures=True)

    def _run(self, run: Run, seconds: float, *, further: bool) -> None:
        started = time.perf_counter()
        name = f"{run.model.id.removeprefix('liver-ct-')}-{run.name}"
        device = self.data.store.masks.device
        aside = self.data.kept_aside(run, further=further)
        draws = self.data.draws(run)
        learnt = {self.data.store.volumes[number].patient for number in draws.learn_from}
        say(f"{name}: {seconds:.0f} s, {len(learnt)} patients, {len(aside)} volumes kept aside")
        assert run.model.network is not None
        torch.manual_seed(0)
        network = build_network(run.model.network.name, run.model.network.arguments).to(device)
        training = seconds * (1 - PREDICTING) if aside else seconds
        trained = train(
            network, draws, training, self.optimisation, lambda line: say(f"{name}: {line}")
        )
        save_weights(trained.network, self.folder / f"{name}.safetensors")
        say(
            f"{name}: {trained.steps} steps, {trained.slices} slices in {trained.seconds:.0f} s,"
            f" {trained.skipped} steps left out"
        )
        self._look(run, name, trained, aside, started + seconds)
        self._write_results()

    def _look(
        self, run: Run, name: str, trained: Trained, aside: Sequence[PackedVolume], until: float
    ) -> None:
        """Predict what was kept aside; what there is no time for is left out, and said so."""
        latest = min(self.stop - WRITING_SECONDS / 2, until + 0.1 * (self.stop - until) + 2)
        found, figures, left_out = [], {}, []
        device = self.data.store.masks.device
        for volume in aside:
            if time.perf_counter() > latest:
                left_out.append(volume.name)
                continue
            probabilities = predict(trained.network, volume, run.model, device)
            found.append((volume, probabilities))
            figures[volume.name] = measure(probabilities, volume, run.model)
            self.table.append((name, volume.name, figures[volume.name]))
        if left_out:
            say(f"{name}: no time to look at {', '.join(left_out)}")
        if found:
            file = f"{name}-probabilities"
            self._pending.append(self._writer.submit(self._write, file, found))
        self.results[name] = {
            "model": run.model.id,
            "network": asdict(run.model)["network"],
            "patients_aside": sorted(self.data.patients(run)),
            "steps": trained.steps,
            "skipped": trained.skipped,
            "slices": trained.slices,
            "seconds": trained.seconds,
            "figures": {key: asdict(value) for key, value in figures.items()},
            "left_out": left_out,
        }

    def _write(self, file: str, found: Sequence[tuple[PackedVolume, object]]) -> None:
        write_probabilities(self.folder, file, found, MOST_BYTES)  # type: ignore[arg-type]

    def _write_results(self) -> None:
        path = self.folder / "results.json"
        path.write_text(json.dumps(self.results, indent=1), encoding="utf-8")

    def print_table(self) -> None:
        """Say how well every volume was found, and the means of each model's folds."""
        say(f"{'run':24} {'volume':16} {'liver':>6} {'tumour':>6} lesions found false")
        for name, volume, figures in self.table:
            say(
                f"{name:24} {volume:16} {figures.organ:6.3f} {figures.lesion:6.3f}"
                f" {figures.lesions:7} {figures.found:5} {figures.false:5}"
            )
        in_folds = {volume.name for volume in self.data.store.volumes if volume.fold}
        for model in sorted({name.split("-")[0] for name, _, _ in self.table}):
            rows = [
                figures
                for name, volume, figures in self.table
                if name.startswith(f"{model}-") and volume in in_folds
            ]
            organ, lesion = (mean([getattr(row, key) for row in rows]) for key in LABELS)
            false = mean([float(row.false) for row in rows])
            say(f"{model}: liver {organ:.3f}, tumour {lesion:.3f}, {false:.1f} false a volume")


LABELS = ("organ", "lesion")


def mean(values: Sequence[float]) -> float:
    """Return the mean of what is defined; nan if nothing is."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def save_weights(network: nn.Module, path: Path) -> None:
    """Write a network's state in half precision; counters stay integers."""
    state = {
        key: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for key, value in network.state_dict().items()
    }
    save_file(state, path)


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
    optimisation = Optimisation(stages=TINY_STAGES) if options.tiny else Optimisation()
    session = Session(data, options.out, stop, optimisation)
    runs = planned(options.models, options.aside, tiny=options.tiny, weights=options.model_weights)
    session.run_all(runs)
    session.print_table()
    say("done")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
