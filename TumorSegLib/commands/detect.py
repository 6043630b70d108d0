"""`tumorseg detect`: the probability of a finding, slice by slice."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from TumorSegLib.commands.common import (
    Told,
    add_volume_arguments,
    choose_bundle,
    read_channels,
    read_named,
    with_model,
)
from TumorSegLib.commands.terminal import terminal
from TumorSegLib.errors import ModelError
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.result import DetectionResult
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue, default_catalogue
from TumorSegLib.support.version import JSON_FORMAT

if TYPE_CHECKING:
    from TumorSegLib.inference.segmenter import Segmenter
    from TumorSegLib.inference.slice_inference import ProgressCallback

BAR_WIDTH = 30


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg detect`."""
    add_volume_arguments(parser)


def run(arguments: Namespace) -> int:
    """Detect and print."""
    volume = read_named(str(arguments.volume), arguments.series)
    catalogue = default_catalogue()
    bundle = _bundle(catalogue, arguments.model, volume)
    volumes = read_channels(arguments, bundle, volume)

    told = Told(shown=not (arguments.json or arguments.quiet))

    def action(segmenter: Segmenter, progress: ProgressCallback) -> DetectionResult:
        return segmenter.detect(volumes, progress=progress, on_warnings=told)

    result = with_model(arguments, bundle, catalogue, action)
    if arguments.json:
        print(json.dumps(_summary(result), indent=2))  # noqa: T201
    else:
        told(result.warnings)
        _show(result)
    return 0


def _bundle(catalogue: Catalogue, name: str | None, volume: Volume) -> Bundle:
    """Return the named model, a detector, or else the modality's segmentation model."""
    try:
        return choose_bundle(catalogue, name, volume, "detection")
    except ModelError:
        if name is not None:
            raise
        return choose_bundle(catalogue, name, volume, "segmentation")


def _summary(result: DetectionResult) -> dict[str, object]:
    return {
        "format": JSON_FORMAT,
        "volume": result.volume.name,
        "model": result.specification.id,
        "model_version": result.specification.version,
        "structures": list(result.structures),
        "device": result.device,
        "precision": result.precision,
        "seconds": {stage: round(seconds, 3) for stage, seconds in result.seconds.items()},
        "slices": [
            {"index": index, "probability": round(probability, 4)}
            for index, probability in enumerate(result.probabilities)
        ],
        "warnings": list(result.warnings),
    }


def _show(result: DetectionResult) -> None:
    console = terminal()
    named = " or ".join(result.structures)
    console.print(f"slice  probability of {named} (slice 0 is the most inferior)", soft_wrap=True)
    for index, probability in enumerate(result.probabilities):
        bar = "█" * round(probability * BAR_WIDTH)
        console.print(f"{index:5d}  {probability:5.3f} {bar}")
