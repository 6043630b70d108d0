"""What is chosen on the page, and what there is to choose from, as its lists show it."""

from __future__ import annotations

from typing import Any

import slicer
from trame_server.state import State

from TumorSegModule.logic.model_choice import called
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.volumes import is_usable
from TumorSegWeb.model_cards import line_of
from TumorSegWeb.targets import Targets

ADVICE = "choose another in the list Model"
"""What to do where no model fits the volume."""


def show_choices(state: State, selection: Selection) -> None:
    """Show volumes, models and further sequences."""
    volumes = [
        node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if is_usable(node)
    ]
    volume, bundle = selection.volume, selection.bundle
    state.ts_volumes = _listed(volumes)
    state.ts_volume = volume.GetID() if volume is not None else None
    chosen = "" if bundle is None else f" ({bundle.specification.title})"
    state.ts_models = [
        {"title": f"Fits the volume{chosen}", "value": ""},
        *({"title": called(b.specification), "value": b.id} for b in selection.models.bundles),
    ]
    state.ts_model = selection.settings.model
    state.ts_model_line = line_of(bundle)
    problem = selection.problem
    if volume is not None and not problem and bundle is None:
        problem = selection.models.why_none(volume, ADVICE)
    state.ts_input_line = problem
    state.ts_can_start = volume is not None and not problem
    channels = [] if bundle is None else bundle.specification.input.channels[1:]
    nodes: dict[str, Any] = {one.name: selection.channel_node(one.name) for one in channels}
    state.ts_sequences = [
        {
            "name": one.name,
            "title": one.title,
            "node": nodes[one.name].GetID() if nodes[one.name] else None,
        }
        for one in channels
    ]


def show_targets(state: State, selection: Selection, targets: Targets) -> None:
    """Show the segmentations of the volume, and which of them is worked on."""
    target = selection.target
    state.ts_segmentations = _listed(targets.of(selection.volume))
    state.ts_segmentation = target.GetID() if target is not None else None


def _listed(nodes: list[Any]) -> list[dict[str, str]]:
    return [{"title": node.GetName(), "value": node.GetID()} for node in nodes]
