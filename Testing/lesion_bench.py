"""A panel with lesions to list, for tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from bright_models import LIVER, LIVER_TUMOUR, write_model
from scenes import HEAD_MATRIX, segment_mask
from tiny_models import stump

from TumorSegLib.model.bundle import load_network, read_bundle, write_bundle
from TumorSegLib.model.postprocessing import FalsePositiveFilter

MODEL = "tiny-liver"
DERIVED = [
    {
        "kind": "sum",
        "key": "liver_with_tumours",
        "name": "Liver with tumours",
        "labels": ["Liver"],
        "unit": "ml",
    },
    {"kind": "count", "key": "tumours", "name": "Number of tumours", "label": "Liver tumour"},
    {
        "kind": "ratio",
        "key": "tumour_burden",
        "name": "Tumour burden",
        "numerator": ["Liver tumour"],
        "denominator": ["Liver"],
        "unit": "%",
    },
]

LARGE, SMALL = np.s_[5:8, 14:26, 14:26], np.s_[5:8, 40:46, 40:46]
"""Boxes of two tumours, voxels of 1 x 1 x 5 mm."""


def liver(tumours=(LARGE, SMALL), shape=(12, 64, 64), lit=0):
    """Voxels of a body in air with a liver, tumours in boxes, and all a little brighter."""
    voxels = np.full(shape, -1000, np.int16)
    voxels[:, 4:-4, 4:-4] = -100
    voxels[3:10, 10:54, 10:54] = 85
    for box in tumours:
        voxels[box] = 140
    return voxels + np.int16(lit)


def write_liver_model(models, *, gives_up=False):
    """Write a model of liver and tumours, one that gives up what is a small share of all or not."""
    channels = [{"name": "ct", "title": "CT"}]
    folder = write_model(
        models,
        "whole" if gives_up else MODEL,
        modality="CT",
        anatomy="abdomen",
        channels=channels,
        labels=[{**LIVER, "includes": [2]}, LIVER_TUMOUR],
        input={
            "channels": channels,
            "in_plane": {"kind": "field_of_view", "size": 64},
            "normalisation": {"kind": "window", "low": -40, "high": 160},
        },
        derived=DERIVED,
        version="1.0.0",
    )
    if gives_up:
        plain = read_bundle(folder)
        judging = replace(plain.specification, id=MODEL, candidates=FalsePositiveFilter(2, 1))
        network = load_network(plain)
        write_bundle(models / MODEL, judging, network, forest=stump("share", 0.4), card="#\n")
        for path in sorted(folder.iterdir()):
            path.unlink()
        folder.rmdir()


def settle(bench):
    """Wait until segments are edited, and what the panel shows is measured."""
    bench.until(lambda: not bench.panel.measured.busy)


def measured_panel(bench, voxels=None, *, gives_up=False, run=True):
    """Open a panel with the section Lesions, and segment a liver."""
    import pictures

    write_liver_model(bench.models, gives_up=gives_up)
    bench.open(lesions=True)
    voxels = liver() if voxels is None else voxels
    bench.volume = bench.slicer.util.addVolumeFromArray(voxels, HEAD_MATRIX, "CT")
    bench.volume.SetAttribute("DICOM.Modality", "CT")
    bench.parameters.volume = bench.volume
    pictures.picture_of_slice(bench.volume, bench.folder / "view.png", offset=0)
    if run:
        assert not bench.run().failed, bench.panel.session.status.line
        settle(bench)
    return bench


def mask(bench, index):
    """The mask of a segment of the panel's segmentation: 0 the liver, 1 its tumours."""
    return segment_mask(bench.slicer, bench.parameters.target, bench.volume, index)


def cells(table):
    """Texts of a QTableWidget, row by row."""
    shape = range(table.rowCount), range(table.columnCount)
    return [[table.item(row, column).text() for column in shape[1]] for row in shape[0]]


def draw(bench, node, box, index, *, values=True):
    """Draw on a segment, or erase, as an effect of the Segment Editor does."""
    slicer, name = bench.slicer, node.GetSegmentation().GetNthSegmentID(index)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, name, bench.volume)
    array[box] = values
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, name, bench.volume)
