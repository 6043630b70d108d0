"""Warnings about images that a model is not made for: phantoms, and real images where at hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from tiny_models import brain_specification, ct_specification

from TumorSegLib.image.display_window import display_window
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.ct_noise import noise_hu
from TumorSegLib.inference.input_checks import doubts, scope_warnings
from TumorSegLib.inference.liver_checks import liver_warnings
from TumorSegLib.model.provenance import BaseRecord
from TumorSegLib.phantom import abdomen_phantom, brain_phantom
from TumorSegLib.reading import read_volume

BRAIN = brain_specification(anatomy="brain")
LIVER = ct_specification(anatomy="abdomen")


@pytest.fixture(scope="module")
def head():
    return brain_phantom(shape=(12, 128, 128), spacing=(1.8, 1.8, 10.0))[0]


@pytest.fixture(scope="module")
def abdomen():
    return abdomen_phantom(shape=(8, 128, 128), spacing=(3.0, 3.0, 25.0))[0]


def _corners(slices):
    """Beyond the round field of view, where scanners give what is no air."""
    rows, columns = slices.shape[1:]
    y, x = np.mgrid[:rows, :columns]
    outside = np.hypot(y / (rows - 1) - 0.5, x / (columns - 1) - 0.5) > 0.5
    return np.broadcast_to(outside, slices.shape)


def warnings(volume, specification):
    first = specification.input.channels[0].name
    return scope_warnings({first: volume}, specification)


def test_what_a_model_is_made_for_raises_no_warning(head, abdomen):
    assert warnings(head["flair"], BRAIN) == []
    assert scope_warnings(head, BRAIN) == []
    assert warnings(abdomen, LIVER) == []
    assert warnings(replace(abdomen, modality=None), LIVER) == []


def test_the_other_modality(head, abdomen):
    (line,) = warnings(abdomen, BRAIN)
    assert line.startswith("phantom abdomen: seems to be CT, tiny-brain is a model for MR; do not")
    (line,) = warnings(replace(head["flair"], modality=None), LIVER)
    assert "seems to be MR, or CT without Hounsfield units, tiny-ct is a model for CT" in line


@pytest.mark.parametrize(
    "spoil",
    [
        lambda hu: hu.astype(np.int32) + 1024,
        lambda hu: hu.astype(np.int32) - 1024,
        lambda hu: np.clip(hu, -40, 160),
        lambda hu: np.clip((hu + 160) * (255 / 400), 0, 255).astype(np.uint8),
        lambda hu: hu.astype(np.float32) / 1000,
        lambda hu: np.where(hu < -1020, -2000, hu.astype(np.int32) + 1024),
        lambda hu: np.where(_corners(hu), -2000, hu.astype(np.int32)) + 1024,
        lambda hu: np.where(_corners(hu), -2048, hu.astype(np.int32)) + 1000,
        lambda hu: -hu.astype(np.int32),
    ],
)
def test_ct_that_is_not_in_hounsfield_units(abdomen, spoil):
    (line,) = warnings(replace(abdomen, voxels=spoil(abdomen.voxels)), LIVER)
    assert "are not those of a body in Hounsfield units; do not rely on the result" in line


@pytest.mark.parametrize("padding", [-3024, -2000, 0, 3071])
def test_what_pads_a_round_field_of_view_raises_no_warning(abdomen, padding):
    padded = np.where(_corners(abdomen.voxels), padding, abdomen.voxels.astype(np.int32))
    assert warnings(replace(abdomen, voxels=padded), LIVER) == []


def test_a_head_given_to_a_model_for_the_abdomen():
    z, y, x = np.mgrid[-60:60:4, -128:128:2, -128:128:2]
    radius = np.sqrt((x / 75) ** 2 + (y / 95) ** 2 + (z / 80) ** 2)
    voxels = np.select([radius < 0.9, radius < 0.97, radius < 1], [35, 900, 20], -1000)
    voxels = voxels + np.random.default_rng(0).normal(0, 8, voxels.shape)
    volume = Volume(voxels.astype(np.int16), Grid(voxels.shape, (2, 2, 4)), "CT", "head")
    (line,) = warnings(volume, LIVER)
    assert line.startswith("head: seems to show a head or a limb, the model is for the abdomen")
    assert warnings(volume, replace(LIVER, anatomy="head")) == []


def test_what_the_header_says_of_the_part_of_the_body(head, abdomen):
    knee = replace(head["flair"], body_part="KNEE")
    assert "its header says knee, the model is for the brain" in warnings(knee, BRAIN)[0]
    assert warnings(replace(head["flair"], body_part="HEAD"), BRAIN) == []
    assert "its header says brain" in warnings(replace(abdomen, body_part="BRAIN"), LIVER)[0]
    for part in ("CHEST", "LSPINE", "WHOLEBODY", "?"):
        assert warnings(replace(abdomen, body_part=part), LIVER) == []


def test_a_trunk_without_hounsfield_units_is_too_large_for_a_head(abdomen):
    clipped = replace(abdomen, voxels=np.clip(abdomen.voxels, -160, 240), modality=None)
    (line,) = warnings(clipped, BRAIN)
    assert "too large for a head, the model is for the brain; do not rely on the result" in line


def test_a_model_is_chosen_for_what_is_certain_only(head, abdomen):
    clipped = replace(abdomen, voxels=np.clip(abdomen.voxels, -160, 240), modality=None)
    assert "says neither CT nor MRI" in doubts(clipped, BRAIN)[0]
    assert doubts(replace(head["flair"], modality=None, name="FLAIR"), BRAIN) == []
    unnamed = replace(head["flair"], modality=None, name="7")
    assert "says neither CT nor MRI" in doubts(unnamed, BRAIN)[0]
    assert doubts(head["flair"], BRAIN) == []
    assert doubts(replace(abdomen, modality=None), LIVER) == []
    assert "its name says T1" in doubts(replace(head["t1"], name="T1 ax"), BRAIN)[0]


def test_sequences_in_the_wrong_place_are_told_by_header_or_name(head):
    misnamed = replace(head["flair"], name="AX T2 FSE")
    assert warnings(misnamed, BRAIN)[0].startswith("AX T2 FSE: its name says T2, expected FLAIR;")
    assert warnings(replace(head["t1"], name="AX T2 FLAIR"), BRAIN) == []
    told = replace(head["flair"], name="flair", sequence="t2")
    assert warnings(told, BRAIN)[0].startswith("flair: its header says T2, expected FLAIR;")
    swapped = {"flair": head["flair"], "t1": replace(head["t1"], name="flair")}
    assert scope_warnings(swapped, BRAIN)[0].startswith("flair: its name says FLAIR, expected T1;")


def test_another_sequence_in_the_place_of_flair_is_told_by_how_it_looks(head):
    for name in ("t1", "t1c"):
        (line,) = warnings(replace(head[name], name="case"), BRAIN)
        assert line == "case: looks like T1, tiny-brain expects FLAIR; do not rely on the result"
        assert doubts(replace(head[name], name="case"), BRAIN)
    assert doubts(replace(head["flair"], name="case"), BRAIN) == []


def test_what_header_or_name_says_is_stronger_than_how_it_looks(head):
    assert warnings(replace(head["t1"], name="case", sequence="flair"), BRAIN) == []
    assert warnings(replace(head["t1"], name="FLAIR"), BRAIN) == []


@pytest.mark.parametrize("stray", [1e9, 1e30, -1e30])
def test_a_stray_voxel_changes_no_warning(head, stray):
    for sequence in ("flair", "t1"):
        volume = replace(head[sequence], name="image", sequence=None)
        voxels = volume.voxels.astype(np.float32)
        voxels[len(voxels) // 2, 0, 0] = stray
        spoilt = replace(volume, voxels=voxels)
        assert warnings(spoilt, BRAIN) == warnings(volume, BRAIN)
        assert display_window(spoilt) == pytest.approx(display_window(volume), rel=0.01)


def framed(volume, value, pixels=20):
    """The volume within a frame of a value, as on the grid of a larger scan."""
    margins = ((0, 0), (pixels, pixels), (pixels, pixels))
    voxels = np.pad(volume.voxels.astype(np.int16), margins, constant_values=value)
    return replace(volume, voxels=voxels, grid=Grid(voxels.shape, volume.grid.spacing))


def test_a_head_whose_air_lies_amid_tissue_is_not_too_large():
    """Standardised within itself, as pipelines do before networks: air is left at 0."""
    y, x = np.mgrid[-64:64, -64:64] * 1.8
    inside = np.broadcast_to(np.hypot(y / 90, x / 70) < 1, (12, 128, 128))
    standard = np.random.default_rng(0).normal(0, 1, inside.shape)
    voxels = np.where(inside, standard, 0).astype(np.float32)
    volume = Volume(voxels, Grid(voxels.shape, (1.8, 1.8, 10.0)), "MR", "FLAIR")
    assert warnings(volume, BRAIN) == []
    assert doubts(volume, BRAIN) == []


@pytest.mark.parametrize("fill", [-1000, -2000, -32768])
def test_a_head_within_a_fill_value_is_what_it_is(head, fill):
    flair = replace(head["flair"], name="FLAIR", sequence=None)
    assert warnings(framed(flair, fill), BRAIN) == []
    if fill < -1150:  # else it may be the air of a CT
        assert doubts(replace(framed(flair, fill), modality=None), BRAIN) == []
    wanted = display_window(framed(flair, 0))
    assert display_window(framed(flair, fill)) == pytest.approx(wanted, abs=1)


def test_a_head_in_bright_air_is_told_to_be_that(head):
    flair = replace(head["flair"], name="case", sequence=None)
    bright = replace(flair, voxels=flair.voxels.max() - flair.voxels)
    for volume in (bright, framed(flair, int(flair.voxels.max()))):
        (line,) = warnings(volume, BRAIN)
        assert line == (
            "case: its border is as bright as its brightest tissue; air in MRI is dark; do not"
            " rely on the result"
        )


def test_tilted_slices_and_label_maps(head):
    cosine, sine = np.cos(np.radians(40)), np.sin(np.radians(40))
    turned = ((1, 0, 0), (0, cosine, -sine), (0, sine, cosine))
    volume = replace(head["flair"], grid=replace(head["flair"].grid, direction=turned))
    assert "tilted by 40 degrees" in warnings(volume, BRAIN)[-1]
    labels = replace(head["flair"], voxels=(head["flair"].voxels > 50).astype(np.uint8))
    assert "seems to be a label map" in warnings(labels, BRAIN)[0]


def test_real_volumes(shared):
    folder = shared / "data" / "volumes"
    for name in ("abdomen_ct_3mm.nii.gz", "CTChest4.nrrd", "jpeg2000_ct"):
        assert warnings(read_volume(folder / name), LIVER) == []
    head = read_volume(folder / "gantry_tilt_ct")
    assert "its header says head, the model is for the abdomen" in warnings(head, LIVER)[0]
    assert "a head or a limb" in warnings(replace(head, body_part=""), LIVER)[0]
    assert warnings(read_volume(folder / "brain1_image.nrrd"), LIVER) != []


@pytest.mark.slow
def test_spacing_in_metres_is_told(abdomen):
    grid = abdomen.grid
    for factor in (0.001, 0.00001):
        small = replace(grid, spacing=tuple(mm * factor for mm in grid.spacing))
        (line,) = warnings(replace(abdomen, grid=small), LIVER)
        assert "correct the spacing" in line
    mouse = Grid((60, 256, 256), (0.06, 0.06, 0.3))
    voxels = np.random.default_rng(0).integers(0, 900, mouse.shape).astype(np.int16)
    assert not any("spacing" in line for line in warnings(Volume(voxels, mouse), BRAIN))


@pytest.mark.parametrize("grain", [0.0, 1.0])
def test_a_ct_noisier_than_those_learnt_from_is_told(grain):
    abdomen = abdomen_phantom(shape=(4, 256, 256), spacing=(1.5, 1.5, 25.0))[0]
    noise = np.random.default_rng(0).normal(size=abdomen.grid.shape).astype(np.float32)
    noise = ndimage.gaussian_filter(noise, (0, grain, grain))
    noise /= noise.std()
    told = {}
    for level in (25, 60):
        noisy = replace(abdomen, voxels=abdomen.voxels + level * noise)
        told[level] = warnings(noisy, LIVER)
    assert told[25] == []
    (line,) = told[60]
    assert "its noise, about" in line
    assert 42 < float(line.split("about ")[1].split()[0]) < 70


def test_noise_of_voxels_that_no_body_has(abdomen):
    odd = abdomen.voxels.astype(np.float32)
    assert noise_hu(replace(abdomen, voxels=np.minimum(odd, -500))) is None
    odd[:, ::31, ::31] = 1e30
    assert 5 < noise_hu(replace(abdomen, voxels=odd)) < 15


def liver_of(hu, specification, *, size=20, number=int):
    """What is told of a cube that was found to be liver, on the right of a body."""
    voxels = np.full((40, 40, 40), -1000, np.float32)
    voxels[2:38, 2:38, 2:38] = 0
    labelmap = np.zeros((40, 40, 40), np.uint8)
    cube = (slice(4, 4 + size),) * 3
    voxels[cube], labelmap[cube] = hu, 1
    labelmap[10:14, 10:14, 10:14] = 2 * labelmap[10:14, 10:14, 10:14]
    voxels[labelmap == 2] = -90
    volume = Volume(voxels.astype(number), Grid((40, 40, 40), (1.0, 1.0, 1.0)))
    return liver_warnings(volume, labelmap, specification)


def test_a_liver_without_contrast_medium_is_told():
    (line,) = liver_of(46, LIVER)
    assert line.startswith("Liver: its median is 46 HU, as without contrast medium")
    assert len(liver_of(69.5, LIVER, number=np.float32)) == 1
    assert liver_of(70, LIVER) == []
    assert liver_of(46, LIVER, size=8) == []  # too little to tell
    whole, tumour = LIVER.labels
    alone = replace(LIVER, labels=(replace(whole, includes=()), tumour))
    assert liver_of(46, alone) == []  # no tumours are looked for
    assert liver_of(46, BRAIN) == []
    base = BaseRecord("liver-ct-unet", "2.2.0", "0" * 64)
    own = replace(LIVER, provenance=replace(LIVER.provenance, base=base))
    assert liver_of(46, own) == []


@pytest.mark.parametrize(
    ("backwards", "spine_in_front", "liver_on_the_left"),
    [("", 0, 0), ("x", 0, 1), ("y", 1, 0), ("xy", 1, 1), ("z", 0, 0)],
)
def test_a_body_that_its_header_turns_over_is_told(backwards, spine_in_front, liver_on_the_left):
    volume, labelmap = abdomen_phantom(shape=(8, 128, 128), spacing=(3.0, 3.0, 25.0))
    turned = [
        [-cosine if axis in backwards else cosine for axis, cosine in zip("xyz", row, strict=True)]
        for row in volume.grid.direction
    ]
    volume = replace(volume, grid=replace(volume.grid, direction=turned))
    before = [line for line in warnings(volume, LIVER) if "its spine lies in front" in line]
    assert len(before) == spine_in_front
    after = [line for line in liver_warnings(volume, labelmap, LIVER) if "on the left" in line]
    assert len(after) == liver_on_the_left
    assert liver_warnings(volume, np.zeros_like(labelmap), LIVER) == []
