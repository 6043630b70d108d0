"""Cases of NIfTI, NRRD and MetaImage files: one a file, or several sequences by their names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from TumorSegLib.cohort.case import FIRST, Case, Refused, Source
from TumorSegLib.cohort.models import Models
from TumorSegLib.image.sequence_names import sequence_of, without_sequence
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.reading.image_file import FORMATS

NNUNET = re.compile(r"(.+)_(\d{4})", re.DOTALL)
"""A case and the number of a channel, in nnU-Net's names."""

RESULT_ENDING = ".seg.nrrd"


def is_image(name: str) -> bool:
    """Tell whether a file's name is that of an image that can be read."""
    lower = name.lower()
    return lower.endswith(tuple(FORMATS)) and not lower.endswith(RESULT_ENDING)


def stem_of(path: Path) -> str:
    """Return a name without the ending of its format."""
    ending = next((one for one in FORMATS if path.name.lower().endswith(one)), path.suffix)
    return path.name[: -len(ending)] if ending else path.name


def cases_in(
    folder: Path, names: Sequence[str], place: str, models: Models
) -> Iterator[Case | Refused]:
    """Yield the cases of one folder.

    Args:
        folder: that the files lie in.
        names: of its images.
        place: of it below the input; empty: it is the input.
        models: of the run.
    """
    paths = [(stem_of(folder / name), folder / name) for name in sorted(names)]
    numbered: dict[str, dict[int, Path]] = {}
    sequences: dict[str, dict[str, Path]] = {}
    for stem, path in paths:
        sequence = sequence_of(stem)
        if match := NNUNET.fullmatch(stem):
            numbered.setdefault(match[1], {})[int(match[2])] = path
        elif sequence is not None:
            sequences.setdefault(without_sequence(stem), {}).setdefault(sequence, path)
    grouped: dict[Path, Case | Refused | None] = {}
    for base, channels in numbered.items():
        if 0 in channels:
            case = _of_nnunet(base, channels, folder, models)
            grouped |= dict.fromkeys(channels.values()) | {channels[0]: case}
    for base, found in sequences.items():
        model = models.by_modality.get("MR")
        if len(found) > 1 and model is not None:
            case = _of_sequences(base.strip(" ._-"), found, model.specification)
            first = next(iter(found.values()))
            grouped |= dict.fromkeys(found.values()) | {first: case}
    for stem, path in paths:
        alone = Case(stem, {FIRST: _source(path)}, chosen="the file")
        if (found_here := grouped.get(path, alone)) is not None:
            named = "/".join(filter(None, (place, found_here.name))) or folder.resolve().name
            yield replace(found_here, name=named)


def _of_nnunet(
    base: str, channels: Mapping[int, Path], folder: Path, models: Models
) -> Case | Refused:
    """Return a case of numbered channels, which dataset.json names, else the model's order."""
    if len(channels) == 1:
        return Case(base, {FIRST: _source(channels[0])}, chosen="the one channel")
    model = models.named or models.by_modality.get("MR")
    if model is None:
        return Refused(base, f"has {len(channels)} channels, no model takes several")
    known = [channel.name for channel in model.specification.input.channels]
    named = _channel_names(folder)
    sources: dict[str, Source] = {}
    for number, path in sorted(channels.items()):
        title = named.get(number)
        name = (sequence_of(title) or title.lower()) if title else None
        if name not in known and title is None and number < len(known):
            name = known[number]
        if name in known:
            sources[name] = _source(path)
    if known[0] not in sources:
        return Refused(
            base, f"has no {known[0]} among {len(channels)} channels, {model.id} needs it"
        )
    told = "dataset.json" if named else f"the order of {model.id}"
    return Case(base, _ordered(sources, known), chosen=f"{', '.join(sources)} by {told}")


def _of_sequences(
    base: str, found: Mapping[str, Path], specification: ModelSpecification
) -> Case | Refused:
    """Return a case of files that are named alike but for the sequence."""
    known = [channel.name for channel in specification.input.channels]
    if known[0] not in found:
        return Refused(
            base, f"has {', '.join(found)}, no {known[0]}, which {specification.id} segments"
        )
    sources = {name: _source(path) for name, path in found.items() if name in known}
    return Case(
        base, _ordered(sources, known), "MR", chosen=f"{', '.join(sources)} by the files' names"
    )


def _ordered(sources: Mapping[str, Source], known: Sequence[str]) -> dict[str, Source]:
    return {name: sources[name] for name in known if name in sources}


def _channel_names(folder: Path) -> dict[int, str]:
    """Return what an nnU-Net data set calls its channels; nothing if it does not say."""
    try:
        content = json.loads((folder.parent / "dataset.json").read_bytes())
        named = content.get("channel_names") or content["modality"]
        return {int(number): str(title) for number, title in named.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}


def _source(path: Path) -> Source:
    return Source(path, files=(path,))
