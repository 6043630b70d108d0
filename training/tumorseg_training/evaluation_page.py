"""An evaluation as one self-contained HTML page: tables, plots and the worst patients' pictures."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tumorseg_training.evaluation import CaseFigures, Evaluation, mean_dice, worst_cases
from tumorseg_training.history import write_whole
from tumorseg_training.metrics import DETECTED_SHARE, SURFACE_TOLERANCE_MM
from tumorseg_training.summary import calibration, comparisons, summary
from TumorSegLib.errors import OutputError

PAGE_ENDING = ".html"
"""Of the page beside results."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c2733; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #d6dde4; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; } figure { display: inline-block; margin: .5rem; }
figcaption, .note { color: #5a6a7a; font-size: .9em; }
"""

COLUMNS = {
    "dice": "Dice",
    "iou": "IoU",
    "sensitivity": "Sensitivity",
    "precision": "Precision",
    "hd95_mm": "HD95, mm",
    "surface_dice": f"Surface Dice, {SURFACE_TOLERANCE_MM:g} mm",
    "volume_error_ml": "Volume error, ml",
}


def write_with_page(path: Path, content: Mapping[str, Any], page: str) -> Path:
    """Write results as JSON to `path` and as a page beside it; return the page's path.

    Raises:
        OutputError: they cannot be written.
    """
    beside = path.with_suffix(PAGE_ENDING)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
        write_whole(beside, page.encode())
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{path}: {reason}; the results were not written") from None
    return beside


def evaluation_page(
    evaluations: Sequence[Evaluation], title: str, *, introduction: str = ""
) -> str:
    """Return the page, HTML with everything in it; `introduction` is HTML to begin with."""
    parts = [f"<h1>{escape(title)}</h1>", introduction, NOTE]
    parts += [_model(item) for item in evaluations]
    if rows := comparisons(evaluations):
        parts.append(_comparison_table(rows))
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f"</title><style>{STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


NOTE = (
    '<p class="note">Figures are means over patients on the original voxel grid, with 95 %'
    " intervals from a bootstrap over patients. Distances are undefined, and left out, where one"
    f" side has nothing. A lesion counts as found when {DETECTED_SHARE:.0%} of it is marked. Pixel"
    " accuracy says little: an answer without any structure comes close to 1.</p>"
)


def _model(evaluation: Evaluation) -> str:
    figures = summary(evaluation)
    model = evaluation.model
    heading = (
        f"<h2>{escape(model.title)}</h2><p>{escape(evaluation.name)}, version"
        f" {escape(model.version)}; {figures['patients']} patients, {figures['cases']} cases</p>"
    )
    parts = [heading]
    if figures["structures"]:
        parts += [
            _structure_table(figures),
            _picture(_dice_plot(evaluation), "Dice of each patient"),
        ]
    parts += [
        _slice_line(figures),
        _picture(_calibration_plot(evaluation), "How often the structure is there"),
        _picture(_roc_plot(evaluation), "Slices with against slices without a structure"),
    ]
    worst = [case for case in worst_cases(evaluation) if case.snapshot is not None]
    if worst:
        parts.append("<h3>The worst five</h3>")
        parts.append('<p class="note">Where both differ most; yellow: found, blue: reference.</p>')
        parts += [
            _picture(_snapshot(case), f"{case.case}: Dice {mean_dice(case):.3f}") for case in worst
        ]
    for item in evaluation.failed:
        parts.append(f"<p>Left out: {escape(item.name)}: {escape(item.reason)}</p>")
    return "\n".join(parts)


def _structure_table(figures: dict[str, Any]) -> str:
    head = "".join(
        f"<th>{name}</th>"
        for name in ("Structure", *COLUMNS.values(), "Lesions found", "False per case")
    )
    rows = []
    for name, found in figures["structures"].items():
        cells = [f"<td>{_interval(found[measure])}</td>" for measure in COLUMNS]
        lesions = found["lesions"]
        cells.append(f"<td>{lesions['found']} of {lesions['reference']}</td>")
        cells.append(f"<td>{lesions['false_per_case']:.2f}</td>")
        rows.append(f"<tr><td>{escape(name)}</td>{''.join(cells)}</tr>")
    accuracy = _interval(figures["pixel_accuracy"])
    note = f'<p class="note">Pixel accuracy: {accuracy}</p>'
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>{note}"


def _slice_line(figures: dict[str, Any]) -> str:
    slices = figures["slices"]
    shown = [
        f"{word} {_interval(slices[name], 'value')}"
        for word, name in (
            ("accuracy", "accuracy"),
            ("ROC AUC", "roc_auc"),
            ("sensitivity", "sensitivity"),
            ("specificity", "specificity"),
        )
    ]
    error = figures["calibration"]["expected_calibration_error"]
    return (
        f"<p>Slices ({slices['with_structure']} of {slices['slices']} show a structure):"
        f" {', '.join(shown)}. Expected calibration error {error:.3f}.</p>"
    )


def _comparison_table(rows: list[dict[str, Any]]) -> str:
    names = ("Structure", "Models", "Difference in Dice", "Patients", "p")
    head = f"<tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>"
    cells = [
        f"<tr><td>{escape(row['structure'])}</td><td>{escape(row['first'])} less"
        f" {escape(row['second'])}</td><td>{_interval(row['difference'])}</td>"
        f"<td>{row['difference']['patients']}</td><td>{row['p_value']:.3g}</td></tr>"
        for row in rows
    ]
    note = '<p class="note">Paired by patient; Wilcoxon signed-rank test, two-sided.</p>'
    return f"<h2>Comparison</h2><table>{head}{''.join(cells)}</table>{note}"


def _interval(found: dict[str, Any], key: str = "mean") -> str:
    if found[key] is None:
        return "n/a"
    if found["low"] is None:
        return f"{found[key]:.3f}"
    return f"{found[key]:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def _dice_plot(evaluation: Evaluation) -> Figure:
    drawing = Figure(figsize=(8, 3), layout="constrained")
    axes = drawing.subplots()
    names = [label.name for label in evaluation.model.labels]
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
    order = truth[np.argsort(-scores, kind="stable")]
    hits = np.concatenate([[0], np.cumsum(order)]) / max(1, order.sum())
    false = np.concatenate([[0], np.cumsum(~order)]) / max(1, (~order).sum())
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


def _picture(drawing: Figure, caption: str) -> str:
    FigureCanvasAgg(drawing)
    buffer = io.BytesIO()
    drawing.savefig(buffer, dpi=100)
    content = base64.b64encode(buffer.getvalue()).decode()
    image = f'<img alt="{escape(caption)}" src="data:image/png;base64,{content}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"
