"""Programs that have turned to their user's locale, as Qt does, write the same files."""

from __future__ import annotations

import locale
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from results import result_of, two_structures
from tiny_models import ct_specification

from TumorSegLib.image.itk import grid_of_image
from TumorSegLib.writing import ENDINGS, write_segmentation
from TumorSegLib.writing.scene import write_scene

IMAGES = [ending for ending in ENDINGS if ending not in (".mrb", ".dcm")]


@pytest.fixture(scope="module")
def german(tmp_path_factory):
    """A folder with a locale that writes 0,5; it need not be installed."""
    folder = tmp_path_factory.mktemp("locales")
    words = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")]
    try:
        subprocess.run(words, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs localedef and its sources")
    return folder


@pytest.fixture
def with_commas(german, monkeypatch):
    monkeypatch.setenv("LOCPATH", str(german))
    kept = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
    yield
    assert locale.localeconv()["decimal_point"] == ","
    locale.setlocale(locale.LC_ALL, kept)


def result():
    specification = ct_specification(anatomy="liver")
    return result_of(two_structures(), specification, direction=((0, -1, 0), (1, 0, 0), (0, 0, 1)))


@pytest.mark.parametrize("ending", IMAGES)
def test_results_are_written_where_numbers_have_commas(tmp_path, with_commas, ending):
    made = result()
    path = tmp_path / f"out{ending}"
    write_segmentation(made, path)
    locale.setlocale(locale.LC_NUMERIC, "C")
    image = sitk.ReadImage(str(path))
    locale.setlocale(locale.LC_NUMERIC, "de_DE.UTF-8")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), made.labelmap)
    assert grid_of_image(image).geometry_equal(made.volume.grid, 1e-4)


def test_so_are_scenes(tmp_path, with_commas):
    assert write_scene(result(), Path(tmp_path / "out.mrb"))
