"""Runs of the liver's training, one after the other within the time that is given."""

from __future__ import annotations

import json
import math
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from tumorseg_training.device_training.average import over_part
from tumorseg_training.device_training.later import Later
from tumorseg_training.device_training.liver_draws import Draws, LiverStage
from tumorseg_training.device_training.liver_loss import partial_loss
from tumorseg_training.device_training.liver_pack import PackedVolume
from tumorseg_training.device_training.liver_prediction import (
    Figures,
    measure,
    predict,
    write_probabilities,
)
from tumorseg_training.device_training.liver_store import SliceStore
from tumorseg_training.device_training.loop import Example, Fitting, Learned, train
from tumorseg_training.device_training.saving import save_weights
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.networks import build_network

EVERYBODY = "all"
PREDICTING = 0.06
"""Part of a run's time that is left for looking at the patients kept aside."""
WRITING_SECONDS = 8.0
MOST_BYTES = 15 << 20
AT_ONCE = 4
"""Batches drawn together on a GPU."""
STAGES = (
    LiverStage(until=0.12, crop=112, coarse=True, batch=32),
    LiverStage(until=0.8, crop=160, coarse=False, batch=32),
    LiverStage(until=1.0, crop=224, coarse=False, batch=16),
)
FITTING = Fitting(
    learning_rate=3e-3,
    weight_decay=2e-2,
    clip=2.0,
    warm_up=0.06,
    final_rate=0.0,
    average=over_part(0.04),
)


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

    def __init__(
        self,
        data: Data,
        folder: Path,
        stop: float,
        stages: Sequence[LiverStage],
        log: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            data: to learn from.
            folder: for what comes out.
            stop: `time.perf_counter()` at which all is to be over.
            stages: of every run.
            log: takes lines for the user.
        """
        self.data, self.folder, self.stop = data, folder, stop
        self.stages, self.log = stages, log
        self.results: dict[str, dict[str, object]] = {}
        self.table: list[tuple[str, str, Figures]] = []
        self._later = Later(log)

    def run_all(self, runs: Sequence[Run]) -> None:
        """Train every run; one that fails is reported, and the next goes on."""
        looked_further = set[str]()
        for number, run in enumerate(runs):
            left = self.stop - WRITING_SECONDS - time.perf_counter()
            weights = sum(other.weight for other in runs[number:])
            seconds = left * run.weight / weights
            if seconds <= 0:
                self.log(f"{run.model.id} {run.name}: left out, no time is left")
                continue
            try:
                further = run.name != EVERYBODY and run.model.id not in looked_further
                self._run(run, seconds, further=further)
                if further:
                    looked_further.add(run.model.id)
            except Exception:
                self.log(f"{run.model.id} {run.name}: failed\n{traceback.format_exc()}")
        self._later.finish(lambda: max(1.0, self.stop - time.perf_counter()))

    def _run(self, run: Run, seconds: float, *, further: bool) -> None:
        started = time.perf_counter()
        name = f"{run.model.id.removeprefix('liver-ct-')}-{run.name}"
        device = self.data.store.masks.device
        aside = self.data.kept_aside(run, further=further)
        draws = self.data.draws(run)
        learnt = {self.data.store.volumes[number].patient for number in draws.learn_from}
        self.log(
            f"{name}: {seconds:.0f} s, {len(learnt)} patients, {len(aside)} volumes kept aside"
        )
        assert run.model.network is not None
        torch.manual_seed(0)
        network = build_network(run.model.network.name, run.model.network.arguments)
        training = seconds * (1 - PREDICTING) if aside else seconds
        learned = train(
            network,
            self.stages,
            partial(examples, draws),
            FITTING,
            device=device,
            seconds=training,
            log=lambda line: self.log(f"{name}: {line}"),
        )
        save_weights(learned.network, self.folder / name, most_bytes=math.inf)
        self.log(
            f"{name}: {learned.steps} steps, {learned.images} slices in {learned.seconds:.0f} s,"
            f" {learned.skipped} steps left out"
        )
        self._look(run, name, learned, aside, started + seconds)
        self._write_results()

    def _look(
        self, run: Run, name: str, learned: Learned, aside: Sequence[PackedVolume], until: float
    ) -> None:
        """Predict what was kept aside; what there is no time for is left out, and said so."""
        latest = min(self.stop - WRITING_SECONDS / 2, until + 0.1 * (self.stop - until) + 2)
        found, figures, left_out = [], {}, []
        device = self.data.store.masks.device
        for volume in aside:
            if time.perf_counter() > latest:
                left_out.append(volume.name)
                continue
            probabilities = predict(learned.network, volume, run.model, device)
            found.append((volume, probabilities))
            figures[volume.name] = measure(probabilities, volume, run.model)
            self.table.append((name, volume.name, figures[volume.name]))
        if left_out:
            self.log(f"{name}: no time to look at {', '.join(left_out)}")
        if found:
            file = f"{name}-probabilities"
            self._later.write(write_probabilities, self.folder, file, found, MOST_BYTES)
        self.results[name] = {
            "model": run.model.id,
            "network": asdict(run.model)["network"],
            "patients_aside": sorted(self.data.patients(run)),
            "steps": learned.steps,
            "skipped": learned.skipped,
            "slices": learned.images,
            "seconds": learned.seconds,
            "figures": {key: asdict(value) for key, value in figures.items()},
            "left_out": left_out,
        }

    def _write_results(self) -> None:
        path = self.folder / "results.json"
        path.write_text(json.dumps(self.results, indent=1), encoding="utf-8")

    def print_table(self) -> None:
        """Say how well every volume was found, and the means of each model's folds."""
        self.log(f"{'run':24} {'volume':16} {'liver':>6} {'tumour':>6} lesions found false")
        for name, volume, figures in self.table:
            self.log(
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
            self.log(f"{model}: liver {organ:.3f}, tumour {lesion:.3f}, {false:.1f} false a volume")


def examples(draws: Draws, stage: LiverStage) -> Iterator[Example]:
    """Yield what a run learns from at a stage, without end."""
    at_once = AT_ONCE if draws.store.masks.device.type == "cuda" else 1
    while True:
        for batch in draws.batches(stage, at_once):
            loss = partial(partial_loss, targets=batch.targets, weights=batch.weights)
            yield Example(batch.image, loss)


LABELS = ("organ", "lesion")


def mean(values: Sequence[float]) -> float:
    """Return the mean of what is defined; nan if nothing is."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
