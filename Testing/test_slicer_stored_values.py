"""What a scene or a run's folder holds is believed only where it is what we write."""

from __future__ import annotations

import json

import numpy as np
import pytest

WRITTEN = {
    "ijk_to_ras": np.eye(4).ravel().tolist(),
    "shape": [2, 3, 4],
    "axis": 0,
    "flipped": False,
    "area_mm2": [1.5, 0.0],
    "correction_mm2": [2, 0.5],
    "seen": [1],
}


def figures(text):
    import slicer

    from TumorSegModule.logic.slice_figures import SLICES_ATTRIBUTE, figures_of

    node = slicer.vtkMRMLSegmentationNode()
    node.SetAttribute(SLICES_ATTRIBUTE, text)
    return figures_of(node)


def test_what_we_write_is_read(host):
    found = figures(json.dumps(WRITTEN))
    assert (found.shape, found.areas, found.seen) == ((2, 3, 4), (1.5, 0.0), {1})
    assert found.box_of_slice(1) == (1, 2, 0, 3, 0, 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"axis": 3},
        {"axis": "0"},
        {"axis": True},
        {"shape": [2, 3]},
        {"shape": ["2", 3, 4]},
        {"shape": [9, 3, 4]},
        {"area_mm2": ["1", 0]},
        {"area_mm2": [1e400, 0]},
        {"correction_mm2": [0]},
        {"ijk_to_ras": [0] * 15},
        {"ijk_to_ras": [float("nan")] * 16},
        {"seen": [2]},
        {"seen": [0.5]},
        {"seen": "01"},
        {"flipped": 1},
        {"more": 1},
    ],
    ids=str,
)
def test_figures_of_others_are_none(host, changes):
    assert figures(json.dumps({**WRITTEN, **changes})) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "[" * 9000, "9" * 5000, '{"axis": ' * 60 + "1" + "}" * 60]
)
def test_what_is_no_json_is_none(host, text):
    assert figures(text[:200_000]) is None


LINES = (
    b"[" * 100_000,
    b'{"event": "step", "epoch": "2", "epochs": 3, "step": 1, "steps": 2}',
    b'{"event": "step"}',
    b'{"event": ["step"]}',
    b'{"event": "epoch", "epoch": [], "epochs": 3}',
    b'{"event": "measuring", "done": 1.5, "cases": null}',
    b'{"epoch": 1}',
    b"[1, 2]",
    b"7",
    b"\xff\xfe",
    b"9" * 5000,
)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[:40])
def test_a_damaged_line_of_a_run_is_passed_over(host, tmp_path, line):
    from TumorSegModule.logic.retrain_process import PROGRESS, RetrainProcess

    process = RetrainProcess(["false"], tmp_path)
    process.folder = tmp_path
    whole = b'{"event": "step", "epoch": 1, "epochs": 3, "step": 1, "steps": 2}'
    (tmp_path / PROGRESS).write_bytes(whole + b"\n" + line + b"\n" + whole + b"\n")
    assert process._take()
    state = process.state
    assert (state.epoch, state.epochs, state.step, state.steps) == (1, 3, 1, 2)
    assert (state.rows, state.measured) == ({}, 0)


RUN = {"device": "cpu", "precision": "fp32", "seconds": 1.5, "options": {}}


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (json.dumps({"run": RUN, "warnings": ["T1 is missing"], "names": {"t1": "A"}}), True),
        (json.dumps({"run": {**RUN, "seconds": "1"}}), False),
        (json.dumps({"run": {**RUN, "options": {"detector_threshold": 7}}}), False),
        (json.dumps({"run": RUN, "warnings": "none"}), False),
        ("{", False),
        ("[" * 9000, False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_run_is_believed_only_as_it_is_kept(host, text, known):
    import slicer

    from TumorSegModule.logic.kept_run import RUN_ATTRIBUTE, kept_run_of

    node = slicer.vtkMRMLSegmentationNode()
    node.SetAttribute(RUN_ATTRIBUTE, text)
    assert (kept_run_of(node) is not None) == known
