"""What is written is read back as it was, for images, segments, records and grids of any kind."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from results import result_of
from scipy.spatial.transform import Rotation
from tiny_models import TUMOUR, brain_specification, ct_specification

from TumorSegLib.errors import TumorSegError
from TumorSegLib.export.case_metadata import CaseRecord, LabelCount, read_record, record_text
from TumorSegLib.image.correction import Correction
from TumorSegLib.image.grid import AxialView, Grid, grid_from_affine
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.reading.image_file import read_array
from TumorSegLib.slicer_io.segmentation_file import read_segments
from TumorSegLib.support.schema import from_dict, parsed, to_dict
from TumorSegLib.worker.protocol import Segment, Threshold, from_line, to_line
from TumorSegLib.worker.shared_voxels import SharedVolume
from TumorSegLib.writing import write_segmentation
from TumorSegLib.writing.image_writing import write_image_atomically

pytestmark = pytest.mark.slow

settings.register_profile(
    "tests",
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")

DTYPES = ("uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64")
ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")

shapes = st.tuples(*[st.integers(1, 7)] * 3)
millimetres = st.floats(0.05, 20, allow_subnormal=False)
positions = st.floats(-2000, 2000, allow_subnormal=False)


@st.composite
def grids(draw, shape=None):
    """Grids of any orientation, left-handed ones included."""
    turned = Rotation.from_euler("zyx", draw(st.tuples(*[st.floats(-math.pi, math.pi)] * 3)))
    signs = draw(st.tuples(*[st.sampled_from((1.0, -1.0))] * 3))
    matrix = turned.as_matrix() * signs
    if draw(st.booleans()):
        matrix = np.eye(3)[list(draw(st.permutations(range(3))))] * signs
    return Grid(
        shape or draw(shapes),
        draw(st.tuples(*[millimetres] * 3)),
        draw(st.tuples(*[positions] * 3)),
        tuple(tuple(row) for row in matrix.tolist()),
    )


@st.composite
def images(draw):
    """Voxels (z, y, x) and where they lie."""
    grid = draw(grids())
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    finite = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else None
    return draw(arrays(dtype, grid.shape, elements=finite)), grid


@given(images(), st.sampled_from(ENDINGS))
def test_images_are_read_as_they_were_written(image, ending):
    voxels, grid = image
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"image{ending}"
        assert write_image_atomically(to_sitk(voxels, grid), path)
        found, where = read_array(path)
    assert found.dtype == voxels.dtype
    np.testing.assert_array_equal(found, voxels)
    assert where.spacing == pytest.approx(grid.spacing, rel=1e-6)
    assert where.geometry_equal(grid, tolerance_mm=0.01)


colours = st.tuples(*[st.integers(0, 255)] * 3)
names = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")),
    min_size=1,
    max_size=20,
).filter(lambda name: name.strip() == " ".join(name.split()) != "")


@st.composite
def labelled(draw):
    """A label map on a grid, and a model whose labels it may have."""
    grid = draw(grids())
    values = draw(st.lists(st.integers(1, 255), min_size=1, max_size=4, unique=True))
    called = draw(st.lists(names, min_size=len(values), max_size=len(values)))
    labels = tuple(
        replace(TUMOUR, value=value, name=f"{name.strip()} {value}", colour=draw(colours))
        for value, name in zip(values, called, strict=True)
    )
    network = brain_specification().network
    network = replace(network, arguments={**network.arguments, "out_channels": len(labels)})
    model = brain_specification(labels=labels, network=network)
    labelmap = draw(arrays(np.uint8, grid.shape, elements=st.sampled_from([0, *values])))
    return labelmap, grid, model


@given(labelled())
def test_segments_are_read_as_they_were_written(case):
    labelmap, grid, model = case
    assume(labelmap.size > 1)
    voxels = np.arange(labelmap.size, dtype=np.int32).reshape(labelmap.shape)
    result = replace(result_of(labelmap, model, voxels=voxels), volume=Volume(voxels, grid))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.seg.nrrd"
        write_segmentation(result, path)
        masks = read_segments(path)
    assert [mask.name for mask in masks] == [label.name for label in model.labels]
    for mask, label in zip(masks, model.labels, strict=True):
        box, within = mask.placed(grid)
        found = np.zeros(labelmap.shape, bool)
        found[box] = within
        np.testing.assert_array_equal(found, labelmap == label.value)


@given(grids())
def test_grids_keep_their_place_as_matrices(grid):
    again = grid_from_affine(grid.affine, grid.shape, "a volume")
    assert again.geometry_equal(grid, tolerance_mm=1e-6)
    assert from_dict(Grid, parsed(json.dumps(to_dict(grid)))) == grid


@given(grids())
def test_axial_views_show_each_voxel_once_and_run_to_the_head(grid):
    array = np.arange(math.prod(grid.shape)).reshape(grid.shape)
    view = AxialView.of(grid)
    shown = view.apply(array)
    places = view.array_indices(np.argwhere(np.ones(shown.shape)), grid.shape)
    np.testing.assert_array_equal(array[tuple(places.T)], shown.ravel())
    np.testing.assert_array_equal(np.sort(shown, axis=None), array.ravel())
    assert sorted(view.spacing_zyx) == sorted(grid.spacing)
    x, y, z = (np.array(grid.direction)[2, axis] for axis in range(3))
    slices = (z, y, x)[view.axes[0]]
    assert slices * (-1 if view.flips[0] else 1) >= 0 or abs(slices) < 1e-9
    assert 0 <= view.tilt_degrees <= 90


words = st.text(st.characters(codec="utf-8"), max_size=30)
numbers = st.floats(allow_nan=False)
records = st.builds(
    CaseRecord,
    case=words,
    patient=words,
    patient_known=st.booleans(),
    labels_of=words,
    software=words,
    reviewed=st.booleans(),
    labels=st.dictionaries(words, st.builds(LabelCount, st.integers(), st.integers()), max_size=3),
    drawn_by=st.lists(words, max_size=3).map(tuple),
    corrected=st.none() | st.booleans(),
    correction=st.none()
    | st.builds(Correction, st.none() | st.integers(), st.none() | numbers, st.none() | numbers),
    replaced=st.dictionaries(words, words, max_size=3),
    one_file_a_segment=st.booleans(),
)


@given(records)
def test_side_files_are_read_as_they_were_written(record):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.json"
        path.write_text(record_text(record), encoding="utf-8", newline="")
        assert read_record(path) == record


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)


def one_line(call) -> bool:
    """Tell whether a call is refused, and in one line."""
    try:
        call()
    except TumorSegError as error:
        message = str(error)
        return message.isprintable() and len(message) < 2000
    return False


@given(json_values, st.sampled_from((CaseRecord, ModelSpecification, Grid, Correction)))
def test_any_json_is_a_record_or_one_line(content, kind):
    assert one_line(lambda: from_dict(kind, content)) or isinstance(from_dict(kind, content), kind)


@given(
    st.sampled_from(sorted(to_dict(ct_specification()))),
    json_values,
)
def test_a_model_with_any_value_for_a_key_is_one_or_one_line(key, value):
    content = {**to_dict(ct_specification()), key: value}
    built = []
    assert one_line(lambda: built.append(from_dict(ModelSpecification, content))) or built


@given(st.integers(), words, st.tuples(*[st.integers(1, 2**40)] * 3), numbers, st.booleans())
def test_messages_to_the_worker_arrive_as_they_were_sent(job, text, shape, number, keep):
    volume = SharedVolume(text, "int16", shape, (number,) * 3, (number,) * 3, (number,) * 9, text)
    for message in (
        Segment(
            job, text, {text: volume}, text, text, RunOptions(slices=(0, job), keep_model=keep)
        ),
        Threshold(job, number),
    ):
        line = to_line(message)
        assert line.count(b"\n") == 1
        assert from_line(line) == message


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_lines_that_are_no_messages_are_refused(line):
    with pytest.raises((TumorSegError, ValueError)):
        from_line(line)


@given(st.text(max_size=300))
def test_configs_of_any_text_are_refused_in_one_line(text):
    from tumorseg_training.config import read_config

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.toml"
        path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
        with pytest.raises(TumorSegError) as caught:
            read_config(path)
    assert str(caught.value).isprintable()
