"""The page that shows where models fail: of today's models, on phantoms altered as it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from failure_gallery.cases import Case, faded, noisy
from failure_gallery.drawing import draw
from PIL import Image
from results import result_of, two_structures
from tiny_models import brain_specification

from TumorSegLib.model.catalogue import SHIPPED, Catalogue

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_every_network_has_its_part_for_its_version():
    """Where not: PYTHONPATH=tools:. python -m failure_gallery docs makes the page anew."""
    page = (DOCS / "failures.md").read_text("utf-8")
    parts = re.findall(r"^## (\S+)\n\n.*, version (\S+)\.\n\n!\[.*?\]\((\S+)\)", page, re.MULTILINE)
    models = [bundle.specification for bundle in Catalogue.of([SHIPPED]).bundles]
    expected = {(model.id, model.version) for model in models if not model.members}
    assert {(name, version) for name, version, _ in parts} == expected
    for name, _, picture in parts:
        assert picture == f"images/failures-{name}.png"
        assert (DOCS / picture).stat().st_size < 300_000


@pytest.fixture
def volume():
    voxels = np.full((6, 80, 80), 100.0) + np.random.default_rng(0).normal(0, 2, (6, 80, 80))
    voxels[2:4, 30:45, 30:45] += 60
    return result_of(np.zeros(voxels.shape), brain_specification(), voxels=voxels).volume


def test_a_faded_lesion_keeps_its_share_of_the_contrast(volume):
    mask = np.zeros(volume.voxels.shape, bool)
    mask[2:4, 30:45, 30:45] = True
    for share, contrast in ((0.2, 12), (0.0, 0), (1.0, 60)):
        changed = faded(volume, mask, share).voxels
        inner = changed[2:4, 34:41, 34:41].mean() - 100
        assert inner == pytest.approx(contrast, abs=4)
        np.testing.assert_array_equal(changed[:, :, 60:], np.rint(volume.voxels[:, :, 60:]))


def test_noise_has_the_deviation_that_is_said(volume):
    assert (noisy(volume, 30.0).voxels - volume.voxels).std() == pytest.approx(30, rel=0.05)


@pytest.mark.slow
def test_a_picture_has_a_panel_a_case(tmp_path):
    labelmap = two_structures()
    result = result_of(labelmap % 2, brain_specification())
    case = Case("As it is", {"flair": result.volume}, labelmap)
    path = tmp_path / "out.png"
    labels = result.specification.labels
    draw(path, [case] * 4, [result.labelmap] * 4, ["Dice: 1"] * 4, labels)
    width, height = Image.open(path).size
    assert width == pytest.approx(810, abs=2)
    assert height == pytest.approx(2 * 315, abs=2)
    colours = {colour for _, colour in Image.open(path).convert("RGB").getcolors(maxcolors=1 << 20)}
    assert {(0, 229, 255), (255, 61, 46)} <= colours  # what is there, what was found
