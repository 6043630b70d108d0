"""Three-dimensional pictures: what they show, and that a report survives whatever draws them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from results import result_of
from tiny_models import ct_specification

from TumorSegLib.report import surface_pictures as module
from TumorSegLib.report.content import document_of
from TumorSegLib.report.page import page_of
from TumorSegLib.report.subject import subject_of
from TumorSegLib.report.surface_pictures import surface_pictures

SPACING = (5.0, 1.0, 1.0)


def findings(labelmap):
    return subject_of(result_of(labelmap, ct_specification(), spacing=SPACING[::-1])).findings


def liver_with_tumour():
    """A liver, and in it a tumour that is low, in front and on the patient's right."""
    labelmap = np.zeros((20, 100, 100), np.uint8)
    labelmap[2:18, 10:90, 10:90] = 1
    labelmap[4:7, 20:35, 20:35] = 2
    return labelmap


@pytest.fixture
def vtk():
    return pytest.importorskip("vtkmodules.vtkRenderingCore")


@pytest.mark.slow
def test_lesions_are_seen_through_the_organ_from_three_sides(vtk):
    pictures, why_not = surface_pictures(findings(liver_with_tumour()), SPACING)
    if why_not:
        pytest.skip(why_not)
    assert [one.caption for one in pictures] == ["From the feet", "From the front", "From the left"]
    places = []
    for picture in pictures:
        pixels = np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB"), float)
        rows, columns = np.nonzero(pixels[..., 1] - pixels[..., 0] > 40)  # the tumour is green
        assert len(rows) > 50
        middle = np.array(pixels.shape[:2]) / 2
        places.append((rows.mean() < middle[0], columns.mean() < middle[1]))
    assert places == [(True, True), (False, True), (False, True)]  # is it high, is it on the left?


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("import os; os.abort()", "ended by SIGABRT"),
        ("raise SystemExit(3)", "ended with status 3"),
        ("print('no pictures')", "could not be drawn"),
        ("import time; time.sleep(600)", "given up after 0.2 s"),
    ],
)
def test_a_process_that_comes_to_grief_costs_the_picture_only(monkeypatch, command, reason):
    run = module.subprocess.run

    def other(words, **options):
        return run([words[0], "-c", command], **options)

    monkeypatch.setattr(module.subprocess, "run", other)
    monkeypatch.setattr(module, "_has_vtk", lambda: True)
    monkeypatch.setattr(module, "SECONDS", 0.2 if "sleep" in command else 60)
    result = result_of(liver_with_tumour(), ct_specification())
    page = page_of(document_of(subject_of(result)))
    assert "No 3-D picture" in page
    assert reason in page


def test_a_blank_picture_is_none(monkeypatch):
    blank = np.full((3, 40, 40, 3), 255, np.uint8)
    monkeypatch.setattr(module, "_has_vtk", lambda: True)
    monkeypatch.setattr(module, "_drawn", lambda _content: blank)
    assert surface_pictures(findings(liver_with_tumour()), SPACING) == (
        (),
        "No 3-D picture: OpenGL drew nothing on this computer.",
    )


def test_nothing_found_needs_no_process(monkeypatch):
    monkeypatch.setattr(module, "_drawn", lambda _content: pytest.fail("drawn"))
    pictures, why_not = surface_pictures(findings(np.zeros((4, 9, 9))), SPACING)
    assert pictures == ()
    assert why_not.startswith("Nothing was found")


def test_large_structures_are_drawn_coarser_and_small_lesions_stay(monkeypatch):
    monkeypatch.setattr(module, "MOST_VOXELS", 1000)
    labelmap = np.ones((10, 41, 41), np.uint8)
    labelmap[1, 3, 3] = labelmap[8, 37, 36] = 2
    liver, tumour = findings(labelmap)
    for finding in (liver, tumour):
        arrays = module._arrays(finding, 0, SPACING)
        mask = arrays["mask_0"]
        assert mask.size <= 1000
        assert mask.max() > 127
        extent = np.array(mask.shape[::-1]) * arrays["spacing_0"]
        size = np.array(finding.mask.shape)[::-1] * SPACING[::-1]
        assert (extent >= size - 1e-6).all()
        assert (extent <= size + 2 * arrays["spacing_0"]).all()
        first = arrays["origin_0"] - arrays["spacing_0"] / 2
        start = np.array([side.start - 0.5 for side in finding.box])[::-1] * SPACING[::-1]
        np.testing.assert_allclose(first, start)
    assert np.count_nonzero(module._arrays(tumour, 0, SPACING)["mask_0"]) == 2
