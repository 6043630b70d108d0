"""The front door: one call from a volume to segments, and the examples that show it."""

from __future__ import annotations

import doctest
import importlib
import pickle
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from results import result_of
from tiny_models import brain_specification, ct_specification, write_tiny_bundle

import TumorSegLib as tumorseg
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.inference import result, segmenter
from TumorSegLib.measurement.lesion_matching import Lesions
from TumorSegLib.measurement.segment import Measurement, measure
from TumorSegLib.model import labelled_volume
from TumorSegLib.phantom import abdomen_phantom, brain_phantom

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTED = ("TumorSegLib", "TumorSegLib.api", "TumorSegLib.reading")
DOCUMENTED += tuple(module.__name__ for module in (segmenter, result, labelled_volume))
SHAPE, SPACING = (10, 64, 64), (3.6, 3.6, 12.0)


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """A folder with a phantom's sequences and a CT, as the examples name them."""
    folder = tmp_path_factory.mktemp("patient")
    volumes, _ = brain_phantom(shape=SHAPE, spacing=SPACING)
    ct, _ = abdomen_phantom(shape=SHAPE, spacing=(6.0, 6.0, 20.0))
    for name, volume in {**volumes, "ct": ct}.items():
        sitk.WriteImage(to_sitk(volume.voxels, volume.grid), str(folder / f"{name}.nii.gz"))
    return folder


@pytest.fixture
def here(patient, tmp_path, monkeypatch):
    """A working folder that holds what the examples read."""
    for path in patient.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def models(tmp_path_factory, monkeypatch):
    """Small models of the user's own, the default for both modalities."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny_bundle(folder, brain_specification(id="small-brain"))
    write_tiny_bundle(folder, ct_specification(id="small-ct"))
    monkeypatch.setenv("TUMORSEG_MODELS", str(folder))
    monkeypatch.setattr("TumorSegLib.model.catalogue.SHIPPED", folder / "none")
    return folder


def blocks_of(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "written"),
    [("README.md", ["tumour.seg.nrrd"]), ("docs/library.md", ["tumour.seg.nrrd", "liver.nii.gz"])],
)
def test_the_examples_of_the_pages_run_as_they_stand(here, page, written):
    blocks = blocks_of(ROOT / page)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), {})
    assert {path.name for path in here.iterdir()} > set(written)


@pytest.mark.slow
@pytest.mark.parametrize("module", DOCUMENTED)
def test_the_examples_of_the_docstrings_are_right(here, module):
    flags = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    found = doctest.testmod(__import__(module, fromlist=["x"]), optionflags=flags)
    assert found.attempted > 0
    assert found.failed == 0


def test_a_path_an_image_and_an_array_give_the_same(here, models):
    path = here / "ct.nii.gz"
    image = sitk.ReadImage(str(path))
    array = (sitk.GetArrayFromImage(image), image.GetSpacing()[::-1])
    maps = [
        tumorseg.segment(given, modality="CT", device="cpu").labelmap
        for given in (path, str(path), image, array, tumorseg.read_volume(path))
    ]
    assert maps[0].any()
    for other in maps[1:]:
        np.testing.assert_array_equal(other, maps[0])


def test_an_arrays_spacing_runs_as_its_axes_do(models):
    voxels = np.random.default_rng(0).integers(0, 100, (4, 32, 48)).astype(np.int16)
    found = tumorseg.segment((voxels, (7.0, 2.0, 1.0)), "small-brain", device="cpu")
    assert found.volume.grid.shape == (4, 32, 48)
    assert found.volume.grid.spacing == (1.0, 2.0, 7.0)  # (x, y, z), as everywhere within
    assert found.to_sitk().GetSpacing() == (1.0, 2.0, 7.0)
    assert found.to_sitk().GetSize() == (48, 32, 4)


def test_an_image_keeps_its_very_grid(here, models):
    image = sitk.ReadImage(str(here / "flair.nii.gz"))
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    image.SetOrigin((1.5, -2.25, 3.125))
    found = tumorseg.segment(image, "small-brain", device="cpu").to_sitk()
    for part in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(found, part)() == getattr(image, part)()


def test_an_image_that_says_what_it_is_needs_no_model(here, models):
    image = sitk.ReadImage(str(here / "flair.nii.gz"))
    image.SetMetaData("0008|0060", "MR ")
    assert tumorseg.segment(image, device="cpu").specification.id == "small-brain"


def test_further_sequences_go_by_their_names(here, models, tmp_path):
    given = {"t1": "t1.nii.gz", "t1c": sitk.ReadImage("t1c.nii.gz")}
    found = tumorseg.segment("flair.nii.gz", "small-brain", device="cpu", **given)
    names = [channel.name for channel in found.specification.input.channels]
    assert not [line for line in found.warnings if "not given" in line] or names == ["flair"]
    with pytest.raises(tumorseg.InputError, match=r"t9: small-brain takes these further"):
        tumorseg.segment("flair.nii.gz", "small-brain", t9="t1.nii.gz")


def test_a_sequence_that_cannot_be_used_is_named_and_none_is_not_given(here, models):
    write_tiny_bundle(models, brain_specification(id="three"))
    flair = tumorseg.read_volume("flair.nii.gz")
    for given, line in (
        (3, "^t1: found int, expected a path"),
        ((np.zeros((3, 3, 3)), (1, 1, 1)), "^t1: every voxel is 0"),
        ((CUBE, (1, 1)), "^t1: found spacing"),
        (sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 3), "^t1: found 3 axes and 3 values"),
    ):
        with pytest.raises(tumorseg.InputError, match=line):
            tumorseg.segment(flair, "three", t1=given, device="cpu")
    without = tumorseg.segment(flair, "three", device="cpu")
    found = tumorseg.segment(flair, "three", t1=None, t1c=None, device="cpu")
    np.testing.assert_array_equal(found.labelmap, without.labelmap)
    assert found.warnings == without.warnings
    with pytest.raises(tumorseg.InputError, match="t9: three takes these further sequences"):
        tumorseg.segment(flair, "three", t9=None)


CUBE = np.arange(27.0).reshape(3, 3, 3)


@pytest.mark.parametrize(
    ("given", "options", "line"),
    [
        ((CUBE, (1, 1, 1)), {}, "array: says neither CT nor MRI; give modality="),
        ((CUBE, (1, 1)), {"modality": "CT"}, "expected three distances in mm along (z, y, x)"),
        ((CUBE, 1.0), {"modality": "CT"}, "expected three distances in mm along (z, y, x)"),
        ((CUBE, (1, 0, 1)), {"modality": "CT"}, "expected positive numbers"),
        ((CUBE[0], (1, 1, 1)), {"modality": "CT"}, "found 2 axes, expected three, (z, y, x)"),
        (CUBE, {"modality": "CT"}, "found ndarray, expected a path, a SimpleITK image, or"),
        ((CUBE, (1, 1, 1)), {"modality": "ct"}, """found 'ct', expected "CT" or "MR\""""),
        (sitk.Image(4, 4, sitk.sitkInt16), {}, "found 2 axes and 1 values a voxel"),
        (sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 3), {}, "found 3 axes and 3 values a voxel"),
        ("absent.nii.gz", {}, "absent.nii.gz: no such file or folder"),
    ],
)
def test_what_cannot_be_segmented_is_refused_in_a_line(models, given, options, line):
    with pytest.raises(tumorseg.InputError) as refused:
        tumorseg.segment(given, **options)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_volume_is_not_taken_for_what_it_says_it_is_not(here, models):
    image = sitk.ReadImage("ct.nii.gz")
    image.SetMetaData("0008|0060", "CT")
    with pytest.raises(tumorseg.InputError, match="says that it is CT, not MR"):
        tumorseg.segment(image, modality="MR")


def test_no_model_is_chosen_by_a_guess(here, models):
    image = sitk.ReadImage("t1.nii.gz")
    with pytest.raises(tumorseg.InputError, match=r"says neither CT nor MRI.*small-brain"):
        tumorseg.segment(image, device="cpu")
    named = tumorseg.segment(image, modality="MR", device="cpu")
    assert named.specification.id == "small-brain"


def test_no_model_is_chosen_for_ct_without_hounsfield_units(here, models):
    image = sitk.ReadImage(str(here / "ct.nii.gz")) + 1200
    image.SetMetaData("0008|0060", "CT")
    with pytest.raises(tumorseg.InputError, match="not those of a body in Hounsfield units"):
        tumorseg.segment(image, device="cpu")
    (line, *_) = tumorseg.segment(image, "small-ct", device="cpu").warnings
    assert line.endswith("do not rely on the result")


def test_nothing_is_replaced_unasked(here, models):
    found = tumorseg.segment("flair.nii.gz", modality="MR", device="cpu")
    assert found.save("out.seg.nrrd") == Path("out.seg.nrrd")
    before = Path("out.seg.nrrd").read_bytes()
    with pytest.raises(tumorseg.OutputError, match=r"pass overwrite=True"):
        found.save(Path("out.seg.nrrd"))
    assert Path("out.seg.nrrd").read_bytes() == before
    found.save("out.seg.nrrd", overwrite=True)


def test_measurements_are_those_of_the_command(here, models):
    found = tumorseg.segment("ct.nii.gz", modality="CT", device="cpu")
    assert found.measurements == tuple(measure(found))
    assert isinstance(found.measurements[0], Measurement)


def test_a_segmenter_takes_an_id_a_folder_or_a_bundle(here, models):
    bundle = tumorseg.read_bundle(str(models / "small-brain"))
    flair = tumorseg.read_volume("flair.nii.gz")
    maps = [
        tumorseg.Segmenter(model, device="cpu").segment(flair).labelmap
        for model in ("small-brain", models / "small-brain", str(models / "small-brain"), bundle)
    ]
    for other in maps[1:]:
        np.testing.assert_array_equal(other, maps[0])
    with pytest.raises(tumorseg.ModelError, match="model nobody: not found"):
        tumorseg.Segmenter("nobody")


def test_options_say_which_slices_are_segmented(here, models):
    flair = tumorseg.read_volume("flair.nii.gz")
    options = tumorseg.RunOptions(device="cpu", slices=(2, 5))
    found = tumorseg.Segmenter("small-brain", options).segment(flair)
    assert [metrics.index for metrics in found.slices] == [2, 3, 4]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"slices": 3}, "slices: found 3, expected first and last"),
        ({"slices": (1, 2, 3)}, "slices: found"),
        ({"slices": (0.5, 2)}, "slices: found"),
        ({"slices": "12"}, "slices: found '12'"),
        ({"detector_threshold": "a"}, "threshold 'a': expected a number between 0 and 1"),
        ({"detector_threshold": None}, "threshold None: expected a number"),
        ({"detector_threshold": float("nan")}, "threshold nan: expected a number"),
    ],
)
def test_options_that_cannot_be_are_refused(options, line):
    with pytest.raises(tumorseg.InputError, match=line):
        tumorseg.RunOptions(**options)


def test_options_may_be_numbers_of_numpy():
    options = tumorseg.RunOptions(
        slices=(np.int64(1), np.int64(3)), detector_threshold=np.float32(0.5)
    )
    assert options.axial_slices == range(1, 3)


def test_a_model_and_a_device_that_are_none_are_refused(here, models):
    flair = tumorseg.read_volume("flair.nii.gz")
    for call in (tumorseg.segment, lambda _, model: tumorseg.Segmenter(model)):
        with pytest.raises(tumorseg.InputError, match="model: found int, expected an id, a folder"):
            call(flair, 3)
    for device in (0, "", "cpu:3"):
        with pytest.raises(tumorseg.InputError, match=f"device: found {device!r}, expected auto"):
            tumorseg.segment(flair, "small-brain", device=device)
    with pytest.raises(tumorseg.InputError, match="precision: found '', expected one of"):
        tumorseg.Segmenter("small-brain", device="cpu", precision="")
    assert tumorseg.segment(flair, "small-brain", device="cpu:0").device == "cpu"


def test_a_segmenter_stays_in_its_process(models):
    segmenter = tumorseg.Segmenter("small-brain", device="cpu")
    with pytest.raises(TypeError, match="a Segmenter cannot be pickled .*one in each process"):
        pickle.dumps(segmenter)


def test_options_depend_on_what_is_loaded_only():
    options = tumorseg.RunOptions(slices=(1, 2), keep_model=False)
    assert options.for_loading == tumorseg.RunOptions()
    changed = {"device": "cpu", "precision": "fp32", "mirror_tta": True}
    changed |= {"slice_detector": "blind", "detector_threshold": 0.3}
    for name, value in changed.items():
        other = tumorseg.RunOptions(**{name: value})
        assert other.for_loading != tumorseg.RunOptions(), name
    assert set(changed) | {"slices", "keep_model"} == {
        field.name for field in fields(tumorseg.RunOptions)
    }
    with pytest.raises(tumorseg.InputError, match="threshold 1: expected a number between 0 and 1"):
        tumorseg.RunOptions(detector_threshold=1)


def detection_of(found):
    return tumorseg.DetectionResult(
        found.volume, found.specification, (0.5,) * 200, ("Tumour",), "cpu", "fp32", {}
    )


def lesions_of(found):
    return Lesions.of(found.labelmap, found.volume.grid)


@pytest.mark.parametrize(
    "kind", [lambda found: found, lambda found: found.volume, detection_of, lesions_of]
)
def test_what_holds_arrays_is_equal_to_itself_alone_and_shown_in_a_line(kind):
    shown = kind(result_of(np.ones((200, 8, 8)), brain_specification()))
    copy = pickle.loads(pickle.dumps(shown))
    assert shown == shown
    assert shown != copy
    assert shown in [copy, shown]
    assert len({shown, copy}) == 2
    assert repr(copy) == repr(shown)
    assert 20 < len(repr(shown)) < 400
    assert "\n" not in repr(shown)


def test_the_names_are_listed_and_typed():
    assert dir(tumorseg) == sorted(tumorseg.__all__)
    assert set(tumorseg._HOMES) == set(tumorseg.__all__) - {"__version__"}
    source = (ROOT / "TumorSegLib" / "__init__.py").read_text("utf-8")
    typed = source.partition("if TYPE_CHECKING:\n")[2].partition("\n\n")[0]
    for name, home in tumorseg._HOMES.items():
        assert re.search(rf"from TumorSegLib\.{home} import .*\b{name}\b", typed), name


def test_type_checkers_are_told_that_there_are_types():
    assert (ROOT / "TumorSegLib" / "py.typed").is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["*"]
    assert "Testing/typed_use.py" in project["tool"]["mypy"]["files"]


def test_the_version_is_the_projects():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    dynamic = project["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    module, _, name = dynamic.rpartition(".")
    assert tumorseg.__version__ == getattr(importlib.import_module(module), name)


def test_listing_the_names_loads_nothing():
    code = (
        "import sys, TumorSegLib; dir(TumorSegLib); TumorSegLib.RunOptions;"
        "print(*{'torch', 'numpy', 'SimpleITK'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
