"""A loaded model that segments volumes: normalise, slices, network, labels, post-processing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from TumorSegLib.errors import ModelError
from TumorSegLib.image.grid import runs_within
from TumorSegLib.image.in_plane import downsampling_factor
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.candidates import SegmentedVolume, Unlikely, remove_false_positives
from TumorSegLib.inference.engine import Engine
from TumorSegLib.inference.given_up import GivenUp, runs_of
from TumorSegLib.inference.postprocessing import postprocess
from TumorSegLib.inference.preparation import admitted
from TumorSegLib.inference.probabilities import activation_of, smoothed
from TumorSegLib.inference.result import DetectionResult, SegmentationResult
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.inference.sensitivity import clear_below
from TumorSegLib.inference.slice_inference import CancelCallback, ProgressCallback, SliceInference
from TumorSegLib.inference.slice_metrics import SliceMetricsAccumulator
from TumorSegLib.inference.slice_plan import EverySlice, SlicePlan, plan_of
from TumorSegLib.inference.written import Written, output
from TumorSegLib.model.bundle import Bundle, load_forest, load_network
from TumorSegLib.model.catalogue import Catalogue, catalogue_around, default_catalogue
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.support.device import choose_device, choose_precision

SlicesCallback = Callable[[int, int], None]
"""Called after the slices start..stop of the axial view have been written to the label map."""

WarningsCallback = Callable[[Sequence[str]], None]
"""Called with what is odd about the volumes before anything is computed."""


class Segmenter:
    """A model on a device, ready for one volume after the other.

    It stays in its process: processes that share work make one each.

    Examples:
        >>> from TumorSegLib import Segmenter, read_volume
        >>> segmenter = Segmenter("brain-lgg-linknet", device="cpu")
        >>> segmenter.segment(read_volume("flair.nii.gz")).device
        'cpu'

    Attributes:
        options: how it runs.
        specification: of the model.
        device_note: why the network runs where it does.
        loading_seconds: time that loading the model took.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Bundle,
        options: RunOptions | None = None,
        *,
        catalogue: Catalogue | None = None,
        device: str | None = None,
        precision: str | None = None,
        body_box: bool | None = None,
    ) -> None:
        """Load the weights of a model, or of its members.

        Args:
            model: its id, its folder or its bundle.
            options: how to run it; the defaults of `RunOptions` if not given.
            catalogue: where models are found by id, those of an ensemble, too; the user's and the
                shipped ones if not given.
            device: in place of that of the options.
            precision: in place of that of the options.
            body_box: run on the body's bounding box only; as the model says if not given.

        Raises:
            ModelError: the model or the detector cannot be found or used.
            InputError: the device or the precision cannot be used.
        """
        started = time.perf_counter()
        options = options or RunOptions()
        options = replace(
            options,
            device=options.device if device is None else device,
            precision=options.precision if precision is None else precision,
        )
        bundle = _bundle(model, catalogue)
        detector = None
        if options.slice_detector is not None:
            detector = _bundle(options.slice_detector, catalogue)
            check_slice_detector(detector.specification, bundle.specification)
        torch_device, self.device_note = choose_device(options.device)
        dtype = choose_precision(options.precision, torch_device)
        self.options = options
        self.specification = bundle.specification
        self._crop = bundle.specification.input.body_box if body_box is None else body_box
        members = [bundle]
        if bundle.specification.members:
            members = (catalogue or catalogue_around(bundle)).members(bundle)
        networks = [load_network(member) for member in members]
        self._forest = load_forest(bundle)
        self._engine = Engine(
            networks,
            activation_of(bundle.specification),
            device=torch_device,
            dtype=dtype,
            mirror=(
                bundle.specification.flips if options.mirror_tta is None else options.mirror_tta
            ),
            whole_slice=bundle.specification.task == "detection",
            scales=[
                downsampling_factor(
                    member.specification.input.in_plane, bundle.specification.input.in_plane
                )
                or 1.0
                for member in members
            ],
            weights=bundle.specification.member_weights,
            sequences=len(bundle.specification.input.channels),
            first_alone=bundle.specification.first_alone,
            clear_below=clear_below(bundle.specification),
        )
        self._detector = None
        if detector is not None:
            plain = replace(options, slice_detector=None, slices=None)
            self._detector = Segmenter(detector, plain, catalogue=catalogue)
        self.loading_seconds = time.perf_counter() - started

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Segmenter cannot be pickled or copied; make one in each process")

    def segment(
        self,
        volumes: Volume | Mapping[str, Volume],
        *,
        slices: range | None = None,
        labelmap: NDArray[np.uint8] | None = None,
        probabilities: NDArray[np.uint8] | None = None,
        progress: ProgressCallback | None = None,
        cancelled: CancelCallback | None = None,
        on_slices: SlicesCallback | None = None,
        on_warnings: WarningsCallback | None = None,
    ) -> SegmentationResult:
        """Segment the first of `volumes`, whose others are further sequences by channel name.

        Args:
            volumes: by channel name, or the first alone; sequences on another grid are resampled.
            slices: consecutive axial slices to segment, the most inferior is 0; those of the
                options if not given. Other slices keep what they hold, and the post-processing,
                which looks at whole structures, is left out.
            labelmap: array to write to, uint8 in the shape of the volume; new if not given.
            probabilities: array to write to, uint8 (labels, *shape of the volume).
            progress: called with slices done and slices in all.
            cancelled: asked before every batch.
            on_slices: called as slices appear in the label map, which is not always from the most
                inferior to the most superior one; post-processing may still change them.
            on_warnings: called once, before the first slice; the result has these lines, too.

        Raises:
            InputError: the volumes cannot be used with this model.
            ModelError: the model does not segment.
            Cancelled: the caller asked to stop.
        """
        if self.specification.task != "segmentation":
            raise ModelError(f"model {self.specification.id}: detects, it does not segment")
        slices = self.options.axial_slices if slices is None else slices
        run = self._run(volumes, slices)
        if on_warnings is not None:
            on_warnings(run.warnings)
        labels = self.specification.labels
        volume = run.volume
        labelmap = output(labelmap, volume.grid.shape, "labelmap")
        probabilities = output(probabilities, (len(labels), *volume.grid.shape), "probabilities")
        written = Written(run.prepared.view, labelmap, probabilities, labels)
        label_view, probability_views = written.labelmap, written.probabilities
        accumulator = SliceMetricsAccumulator(run.prepared, labels)

        plan: SlicePlan = EverySlice(run.slices)
        if slices is None:
            plan = plan_of(self.specification, label_view, run.prepared.view.spacing_zyx[0])
        for batch, found in run.batches(plan, progress, cancelled):
            with run.timed("labels"):
                written.write(batch, accumulator.quantised(batch, found))
            if on_slices is not None:
                for start, stop in runs_within(batch):
                    on_slices(start, stop)
        if slices is None:
            written.clear_others()

        if slices is None and self.specification.postprocessing:
            with run.timed("postprocessing"):
                steps = self.specification.postprocessing
                postprocess(label_view, steps, voxel_ml=volume.grid.voxel_ml, labels=labels)
        candidate_filter = self.specification.candidates
        unlikely: list[Unlikely] = []
        if slices is None and candidate_filter is not None and self._forest is not None:
            with run.timed("candidates"):
                image, intensity = run.prepared.first_channel
                spacing = run.prepared.view.spacing_zyx
                segmented = SegmentedVolume(
                    image, intensity, probability_views, label_view, spacing
                )
                unlikely = remove_false_positives(segmented, labels, candidate_filter, self._forest)
        with run.timed("labels"):
            metrics = accumulator.metrics(run.slices, label_view)
        return SegmentationResult(
            volume=volume,
            specification=self.specification,
            labelmap=labelmap,
            probabilities=probabilities,
            slices=metrics,
            device=str(self._engine.device),
            precision=self.precision,
            seconds={"loading": self.loading_seconds} | run.seconds,
            warnings=(*run.warnings, *self._retreats(), *run.afterwards(labelmap)),
            settings=self._settings(slices, plan.total, run.prepared.count),
            given_up=tuple(
                GivenUp(
                    item.label,
                    item.likelihood,
                    runs_of(run.prepared.view.array_indices(item.indices, volume.grid.shape)),
                )
                for item in unlikely
            ),
            names=run.names,
        )

    def detect(
        self,
        volumes: Volume | Mapping[str, Volume],
        *,
        progress: ProgressCallback | None = None,
        cancelled: CancelCallback | None = None,
        on_warnings: WarningsCallback | None = None,
    ) -> DetectionResult:
        """Return for every axial slice the probability that it holds what the model looks for.

        A segmentation model answers, too: with its highest probability on the slice, of its
        findings alone (a liver's tumours, not the liver). Arguments are those of `segment`.

        Raises:
            InputError: the volumes cannot be used with this model.
            Cancelled: the caller asked to stop.
        """
        run = self._run(volumes, None)
        if on_warnings is not None:
            on_warnings(run.warnings)
        probabilities: list[float] = []
        labels = self.specification.labels
        findings = self.specification.findings
        places = [labels.index(label) for label in findings]
        for batch, found in run.batches(EverySlice(run.slices), progress, cancelled):
            if self.specification.task == "segmentation":
                found = admitted(found, run.prepared.beyond(batch, labels))
            probabilities += found[:, places].flatten(1).amax(dim=1).tolist()
        probabilities = smoothed(probabilities, self.specification.smoothing)
        return DetectionResult(
            volume=run.volume,
            specification=self.specification,
            probabilities=tuple(probabilities),
            structures=tuple(label.name for label in findings),
            device=str(self._engine.device),
            precision=self.precision,
            seconds={"loading": self.loading_seconds} | run.seconds,
            warnings=(*run.warnings, *self._retreats()),
        )

    def restart(self) -> None:
        """Go back to the device that was asked for, where an earlier run had to leave it.

        Every run begins with this.
        """
        self._engine.restart()
        if self._detector is not None:
            self._detector.restart()

    @property
    def device(self) -> str:
        """Where the network runs, "cpu" or "cuda:0"."""
        return str(self._engine.device)

    @property
    def precision(self) -> str:
        """Precision of the network's arithmetic, "fp32" or "bf16"."""
        return "bf16" if self._engine.dtype == torch.bfloat16 else "fp32"

    def _settings(self, slices: range | None, ran: int, count: int) -> dict[str, str]:
        """Return what the run was told beside device and precision."""
        settings = {"flips": "on" if self._engine.mirror else "off"}
        if self._detector is not None:
            detector = self._detector.specification
            settings["detector"] = f"{detector.id} {detector.version}"
            settings["threshold"] = f"{self.options.detector_threshold:g}"
        if slices is not None:
            settings["slices"] = f"{slices.start + 1} to {slices.stop}"
        elif ran < count:
            settings["slices"] = f"{ran} of {count}, those that the organ may reach"
        return settings

    def _retreats(self) -> list[str]:
        """Return a line for each time that the run had to do with less than was asked for."""
        detector = [] if self._detector is None else self._detector._retreats()
        return [*self._engine.warnings, *(f"detector: {line}" for line in detector)]

    def _run(self, volumes: Volume | Mapping[str, Volume], slices: range | None) -> SliceInference:
        self.restart()
        if isinstance(volumes, Volume):
            volumes = {self.specification.input.channels[0].name: volumes}
        run = SliceInference(
            self._engine, self.specification, volumes, slices=slices, crop=self._crop
        )
        if self._detector is not None:
            detector_channels = {
                channel.name for channel in self._detector.specification.input.channels
            }
            shared = {
                name: volume for name, volume in run.aligned.items() if name in detector_channels
            }
            run.detector = self._detector._run(shared, slices)
            run.detector_threshold = self.options.detector_threshold
        return run


def _bundle(model: str | os.PathLike[str] | Bundle, catalogue: Catalogue | None) -> Bundle:
    if isinstance(model, Bundle):
        return model
    return (catalogue or default_catalogue()).find(model)


def check_slice_detector(detector: ModelSpecification, model: ModelSpecification) -> None:
    """Refuse a detector that cannot choose slices for `model`.

    Raises:
        ModelError: it does not detect, or it looks at other images.
    """
    if detector.task != "detection":
        raise ModelError(f"model {detector.id}: segments, a detector is needed to choose slices")
    first, expected = detector.input.channels[0].name, model.input.channels[0].name
    if detector.modality != model.modality or first != expected:
        raise ModelError(
            f"detector {detector.id}: looks at {detector.modality} ({first}), {model.id} at"
            f" {model.modality} ({expected})"
        )
