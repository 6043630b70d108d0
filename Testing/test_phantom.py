from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from TumorSegLib.errors import ModelError
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.catalogue import default_catalogue
from TumorSegLib.phantom import abdomen_phantom, brain_phantom

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def brain():
    return brain_phantom()


@pytest.fixture(scope="module")
def abdomen():
    return abdomen_phantom()


def test_brain_is_three_sequences_on_one_grid(brain):
    volumes, labelmap = brain
    assert list(volumes) == ["flair", "t1", "t1c"]
    for volume in volumes.values():
        assert volume.voxels.shape == labelmap.shape == (24, 256, 256)
        assert volume.voxels.dtype == np.int16
        assert volume.modality == "MR"
        assert volume.grid.geometry_equal(volumes["flair"].grid)
    assert labelmap.dtype == np.uint8
    assert np.unique(labelmap).tolist() == [0, 1]


def test_tumour_is_bright_in_flair_and_dark_in_t1(brain):
    volumes, labelmap = brain
    tumour = labelmap == 1
    around = ndimage.binary_dilation(tumour, iterations=8) & ~ndimage.binary_dilation(
        tumour, iterations=3
    )
    flair, t1 = volumes["flair"].voxels, volumes["t1"].voxels
    assert np.median(flair[tumour]) > 1.35 * np.median(flair[around])
    assert np.median(t1[tumour]) < 0.9 * np.median(t1[around])
    assert 5 < tumour.sum() * volumes["flair"].grid.voxel_ml < 120


def test_fluid_is_dark_and_fat_is_bright(brain):
    volumes, _ = brain
    flair = volumes["flair"].voxels
    grid = volumes["flair"].grid
    horn = np.linalg.inv(grid.affine) @ [7, -14, 15, 1]
    x, y, z = np.rint(horn[:3]).astype(int)
    ventricle = flair[z, y - 4 : y + 5, x - 14 : x + 5]
    white = np.median(flair[z, 120:136, 90:166])
    assert ventricle.min() < 0.5 * white
    assert np.percentile(flair, 99.5) > 2 * white
    assert np.median(flair[:, :10, :10]) < 0.1 * white


def test_seed_decides():
    small = {"shape": (6, 64, 64), "spacing": (3.6, 3.6, 20.0)}
    volumes, labelmap = brain_phantom(**small)
    again, same = brain_phantom(**small)
    np.testing.assert_array_equal(again["t1c"].voxels, volumes["t1c"].voxels)
    np.testing.assert_array_equal(same, labelmap)
    others, different = brain_phantom(1, **small)
    assert (different != labelmap).any()
    assert (others["flair"].voxels != volumes["flair"].voxels).mean() > 0.5
    one, first = abdomen_phantom(1, shape=(4, 64, 64), spacing=(6.0, 6.0, 50.0))
    two, second = abdomen_phantom(2, shape=(4, 64, 64), spacing=(6.0, 6.0, 50.0))
    assert (first != second).any()
    assert (one.voxels != two.voxels).mean() > 0.5


@pytest.mark.parametrize("seed", range(2, 8))
def test_every_seed_has_one_main_tumour(seed):
    volumes, labelmap = brain_phantom(seed, shape=(12, 96, 96), spacing=(2.4, 2.4, 10.0))
    components, count = ndimage.label(labelmap, np.ones((3, 3, 3)))
    assert count > 0
    assert np.bincount(components.ravel())[1:].max() > 0.8 * labelmap.sum()
    assert labelmap.sum() * volumes["flair"].grid.voxel_ml > 4


def test_abdomen_is_hounsfield_units(abdomen):
    volume, labelmap = abdomen
    assert volume.voxels.shape == labelmap.shape == (40, 256, 256)
    assert volume.voxels.dtype == np.int16
    assert volume.modality == "CT"
    assert np.median(volume.voxels[:, :8, :8]) == pytest.approx(-1000, abs=10)
    liver, tumour = (np.median(volume.voxels[labelmap == value]) for value in (1, 2))
    assert liver == pytest.approx(108, abs=6)
    assert tumour < liver - 30
    assert volume.voxels[labelmap == 1].std() < 30
    fat = np.count_nonzero(np.abs(volume.voxels + 105) < 30) * volume.grid.voxel_ml
    assert fat > 2000


def test_abdomen_has_a_liver_on_the_right_with_two_tumours(abdomen):
    volume, labelmap = abdomen
    _, _, columns = np.nonzero(labelmap)
    assert (volume.grid.origin[0] + volume.grid.spacing[0] * columns.mean()) < -20
    litres = np.count_nonzero(labelmap) * volume.grid.voxel_ml / 1000
    assert 1.0 < litres < 2.3
    components, count = ndimage.label(labelmap == 2, np.ones((3, 3, 3)))
    sizes = np.bincount(components.ravel())[1:] * volume.grid.voxel_ml
    assert count == 2
    assert sizes.min() > 1
    touching = ndimage.binary_dilation(labelmap == 2) & (labelmap == 0)
    assert touching.sum() < 0.3 * np.count_nonzero(labelmap == 2)


def test_abdomen_in_other_sizes():
    volume, labelmap = abdomen_phantom(3, shape=(3, 512, 400), spacing=(0.8, 0.7, 60.0))
    assert volume.voxels.shape == labelmap.shape == (3, 512, 400)
    assert volume.grid.spacing == (0.8, 0.7, 60.0)
    coarse, _ = abdomen_phantom(3, shape=(3, 128, 100), spacing=(3.2, 2.8, 60.0))
    assert np.median(coarse.voxels) == pytest.approx(np.median(volume.voxels), abs=30)
    body = [np.mean(each.voxels > -300) for each in (volume, coarse)]
    assert body[0] == pytest.approx(body[1], abs=0.02)


def test_a_network_trained_on_patients_finds_the_tumour(brain):
    try:
        bundle = default_catalogue().find("brain-lgg-linknet")
    except ModelError as error:
        pytest.skip(str(error))
    volumes, labelmap = brain
    found = Segmenter(bundle, device="cpu", precision="fp32").segment(volumes).labelmap
    both = np.count_nonzero((found > 0) & (labelmap > 0))
    assert 2 * both / (np.count_nonzero(found) + np.count_nonzero(labelmap)) > 0.75
