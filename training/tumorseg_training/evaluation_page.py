"""An evaluation as one self-contained HTML page: tables, plots and the worst patients' pictures."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tumorseg_training.case_figures import CaseFigures
from tumorseg_training.evaluation import Evaluation, mean_dice, worst_cases
from tumorseg_training.metrics import DETECTED_SHARE, SURFACE_TOLERANCE_MM, roc_curve
from tumorseg_training.summary import calibration, comparisons, summary
from TumorSegLib.model.evaluation import volume_range
from TumorSegLib.support.atomic_write import write_whole
from TumorSegLib.support.page_templates import page_templates

PAGE_ENDING = ".html"
"""Of the page beside results."""

COLUMNS = {
    "dice": "Dice",
    "iou": "IoU",
    "sensitivity": "Sensitivity",
    "precision": "Precision",
    "hd95_mm": "HD95, mm",
    "surface_dice": f"Surface Dice, {SURFACE_TOLERANCE_MM:g} mm",
    "volume_error_ml": "Volume error, ml",
}


def write_with_page(path: Path, content: Mapping[str, Any], page: Callable[[], str]) -> Path:
    """Write results as JSON to `path` and as a page beside it; return the page's path.

    Args:
        path: of the JSON.
        content: of it.
        page: makes the page, once the figures are on the disk.

    Raises:
        OutputError: they cannot be written.
    """
    beside = path.with_suffix(PAGE_ENDING)
    write_whole(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    write_whole(beside, page())
    return beside


def evaluation_page(
    evaluations: Sequence[Evaluation], title: str, template: str = "evaluation.html", **more: Any
) -> str:
    """Return the page, HTML with everything in it.

    Args:
        evaluations: of the models.
        title: of the page.
        template: the page's, in the folder `templates`.
        more: what that template needs beyond what `evaluation.html` does.
    """
    pages = page_templates(Path(__file__).parent / "templates")
    pages.filters["interval"] = _interval
    pages.globals["volume_range"] = volume_range
    return pages.get_template(template).render(
        title=title,
        detected_share=DETECTED_SHARE,
        columns=COLUMNS,
        models=[_model(item) for item in evaluations],
        comparisons=comparisons(evaluations),
        **more,
    )


def _model(evaluation: Evaluation) -> dict[str, Any]:
    """Return what the template shows of one model; plots as PNG in base64."""
    figures = summary(evaluation)
    worst = [case for case in worst_cases(evaluation) if case.snapshot is not None]
    return {
        "title": evaluation.model.title,
        "name": evaluation.name,
        "first": evaluation.model.input.channels[0].title,
        "version": evaluation.model.version,
        "figures": figures,
        "dice": _png(_dice_plot(evaluation)) if figures["structures"] else "",
        "calibration": _png(_calibration_plot(evaluation)),
        "roc": _png(_roc_plot(evaluation)),
        "worst": [
            {"name": case.case, "dice": mean_dice(case), "picture": _png(_snapshot(case))}
            for case in worst
        ],
        "failed": evaluation.failed,
    }


def _interval(found: dict[str, Any], key: str = "mean") -> str:
    if found[key] is None:
        return "n/a"
    if found["low"] is None:
        return f"{found[key]:.3f}"
    return f"{found[key]:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def _dice_plot(evaluation: Evaluation) -> Figure:
    drawing = Figure(figsize=(8, 3), layout="constrained")
    axes = drawing.subplots()
    names = evaluation.structures
    for row, name in enumerate(names):
        values = sorted(evaluation.by_patient(name, "dice").values())
        offsets = np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else [0.0]
        axes.plot(values, row + np.array(offsets), "o", alpha=0.6, markersize=5)
        axes.plot([np.mean(values)] * 2, [row - 0.25, row + 0.25], color="black")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("Dice; the bar is the mean")
    axes.grid(axis="x", alpha=0.3)
    return drawing


def _calibration_plot(evaluation: Evaluation) -> Figure:
    drawing = Figure(figsize=(3.6, 3.4), layout="constrained")
    axes = drawing.subplots()
    bins = [row for row in calibration(evaluation.cases)["bins"] if row["voxels"]]
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.plot([row["probability"] for row in bins], [row["frequency"] for row in bins], "o-")
    axes.set_xlabel("probability given")
    axes.set_ylabel("frequency seen")
    axes.grid(alpha=0.3)
    return drawing


def _roc_plot(evaluation: Evaluation) -> Figure:
    drawing = Figure(figsize=(3.6, 3.4), layout="constrained")
    axes = drawing.subplots()
    scores = np.concatenate([case.slice_scores for case in evaluation.cases])
    truth = np.concatenate([case.slice_truth for case in evaluation.cases])
    false, hits = roc_curve(scores, truth)
    axes.plot(false, hits)
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.set_xlabel("false alarms")
    axes.set_ylabel("slices found")
    axes.grid(alpha=0.3)
    return drawing


def _snapshot(case: CaseFigures) -> Figure:
    snapshot = case.snapshot
    assert snapshot is not None
    drawing = Figure(figsize=(3.4, 3.4))
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.imshow(snapshot.image, cmap="gray", vmin=0, vmax=255, aspect=snapshot.aspect)
    for labelmap, colour in ((snapshot.reference, "#4aa8ff"), (snapshot.found, "#ffd400")):
        for value in np.unique(labelmap[labelmap > 0]):
            axes.contour(labelmap == value, levels=[0.5], colors=[colour], linewidths=1.0)
    axes.text(4, 4, f"slice {snapshot.index}", color="white", va="top", fontsize=8)
    axes.axis("off")
    return drawing


def _png(drawing: Figure) -> str:
    FigureCanvasAgg(drawing)
    buffer = io.BytesIO()
    drawing.savefig(buffer, dpi=100)
    return base64.b64encode(buffer.getvalue()).decode()
