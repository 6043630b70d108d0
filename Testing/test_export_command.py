from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from results import names_in, result_of, two_structures
from tiny_models import brain_specification, ct_specification, write_tiny_bundle

from TumorSegLib.cli import main
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.slicer_io.segmentation_file import read_segments
from TumorSegLib.support.leftovers import owner
from TumorSegLib.writing import write_segmentation

pytestmark = pytest.mark.slow


class Desk:
    """A folder with a model, a volume, its segmentation, and the command on them.

    Attributes:
        dataset: that is exported to.
        image: `ct=FILE`, the volume.
        segmentation: `.seg.nrrd`.
    """

    def __init__(self, folder, capfd):
        self.folder, self._capfd = folder, capfd
        self.specification = ct_specification(anatomy="liver")
        write_tiny_bundle(folder, self.specification)
        self.dataset = folder / "Dataset501_liver"
        self.segmentation = self.write("Schnitt 1.seg.nrrd", 0)
        volume = self.result(0).volume
        sitk.WriteImage(to_sitk(volume.voxels, volume.grid), str(folder / "ct.nrrd"))
        self.image = f"ct={folder / 'ct.nrrd'}"

    def result(self, seed):
        voxels = np.random.default_rng(seed).integers(-1000, 900, (7, 20, 24)).astype(np.int16)
        return result_of(two_structures(), self.specification, voxels=voxels)

    def write(self, name, seed):
        write_segmentation(self.result(seed), self.folder / name)
        return self.folder / name

    def export(self, *words, model="tiny-ct"):
        """Run the command; return its status and what it says to standard output and error."""
        model = ["--model", str(self.folder / model)] if model else []
        words = ["export", *map(str, words), "--dataset", str(self.dataset), *model]
        status = main(words)
        said = self._capfd.readouterr()
        return status, said.out, said.err

    @property
    def cases(self):
        return json.loads((self.dataset / "dataset.json").read_text())["dataset"]

    def label(self, case):
        image = sitk.ReadImage(str(self.dataset / self.cases[case]["label"]))
        return sitk.GetArrayFromImage(image)


@pytest.fixture
def desk(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return Desk(tmp_path, capfd)


def test_a_segmentation_with_its_image(desk):
    status, out, err = desk.export(desk.segmentation, "--channel", desk.image, "--quiet")
    assert (status, out, err) == (0, "", "")
    (case,) = desk.cases
    np.testing.assert_array_equal(desk.label(case), two_structures())
    options = ("--reviewed", "--patient", "4711", "--json")
    status, out, err = desk.export(desk.segmentation, "--channel", desk.image, *options)
    assert status == 2
    assert json.loads(out)["cases"] == []
    assert f"ct: is in Dataset501_liver already, as {case}; add --replace" in err
    status, out, _ = desk.export(desk.segmentation, "--channel", desk.image, *options, "--replace")
    assert status == 0
    assert json.loads(out) == {
        "format": 1,
        "dataset": str(desk.dataset),
        "model": "tiny-ct",
        "cases": [{"case": case, "count": 1, "replaced": True, "warnings": []}],
        "failures": [],
    }
    record = json.loads((desk.dataset / "cases" / f"{case}.json").read_text())
    assert (record["reviewed"], record["patient_known"]) == (True, True)


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_a_label_map_without_a_finding_is_a_case(desk, ending):
    volume = desk.result(0).volume
    path = desk.folder / f"nothing{ending}"
    sitk.WriteImage(to_sitk(np.zeros(volume.grid.shape, np.uint8), volume.grid), str(path))
    assert desk.export(path, "--channel", desk.image, "--quiet") == (0, "", "")
    (case,) = desk.cases
    assert not desk.label(case).any()


def test_a_segmentation_under_another_name_is_no_label_map(desk):
    """Its values number segments, which need not be those of the model."""
    path = desk.segmentation.with_name("drawn.nrrd")
    path.write_bytes(desk.segmentation.read_bytes())
    status, _, err = desk.export(path, "--channel", desk.image, "--quiet")
    assert status == 2
    assert "drawn.nrrd: a segmentation made by 3D Slicer, expected a label map" in err


@pytest.mark.parametrize("option", ["--channel", "--map"])
def test_an_option_that_is_given_twice_is_refused(desk, option):
    """The last one counted, and nobody heard of the other."""
    words = [option, "ct=1", option, "ct=2"]
    status, _, err = desk.export(desk.segmentation, *words, "--quiet")
    assert (status, err) == (2, f"tumorseg: {option} ct: given twice\n")


def test_who_drew_a_segmentation_and_whether_it_was_changed_is_kept(desk):
    pytest.importorskip("slicer")
    for changed, said in ((False, "neither corrected nor marked as reviewed"), (True, None)):
        if changed:
            resave_in_slicer(desk.segmentation, desk.folder)
        words = ("--channel", desk.image, "--json", "--replace")
        status, out, _ = desk.export(desk.segmentation, *words)
        assert status == 0
        (case,) = desk.cases
        record = json.loads((desk.dataset / "cases" / f"{case}.json").read_text())
        assert record["drawn_by"] == ["tiny-ct 1"]
        assert record["corrected"] is changed
        (lines,) = [entry["warnings"] for entry in json.loads(out)["cases"]]
        assert any(said in line for line in lines) if said else lines == []


def resave_in_slicer(path, folder):
    """Clear a corner of the first segment and save the file by 3D Slicer's own means."""
    from slicer_scene import array_of, new_scene

    slicer = new_scene(folder)
    node = slicer.Segmentations.LoadSegmentationFromFile(str(path))
    segment = node.GetSegmentation().GetNthSegment(0)
    image = segment.GetRepresentation("Binary labelmap")
    array = array_of(image)
    array[np.unravel_index((array == segment.GetLabelValue()).argmax(), array.shape)] = 0
    image.Modified()
    assert node.GetStorageNode().WriteData(node)


def test_a_label_map_with_the_models_values(desk):
    labels = desk.write("labels.nii.gz", 0)
    desk.dataset = desk.folder / "data" / "sets" / "Dataset502_liver"  # no folder of these is there
    assert desk.export(labels, "--channel", desk.image)[0] == 0
    (case,) = desk.cases
    np.testing.assert_array_equal(desk.label(case), two_structures())
    other = sitk.GetImageFromArray(two_structures() * 3)
    other.CopyInformation(sitk.ReadImage(str(labels)))
    sitk.WriteImage(other, str(labels))
    status, _, err = desk.export(labels, "--channel", desk.image, "--replace")
    assert status == 2
    assert "found value 3, expected a label map with the labels of tiny-ct: 0 background" in err


def test_several_scenes(desk, monkeypatch):
    pytest.importorskip("slicer")
    scenes = [desk.write(f"case {seed}.mrb", seed) for seed in range(2)]
    broken = desk.folder / "broken.mrb"
    broken.write_bytes(scenes[0].read_bytes()[:3000])
    other = desk.folder / "other.mrb"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("other/readme.txt", "no scene")
    monkeypatch.chdir(desk.folder)
    desk.dataset = Path("Dataset501_liver")
    names = [path.name for path in (scenes[0], broken, other, scenes[1])]
    status, out, err = desk.export(*names, "--json")
    assert status == 2
    assert [case["count"] for case in json.loads(out)["cases"]] == [1, 2]
    assert "2 not exported, 2 exported" in err
    assert "broken.mrb: not a scene of 3D Slicer, or damaged; save it again" in err
    assert "other.mrb: cannot be read as a scene of 3D Slicer" in err
    assert Path.cwd() == desk.folder
    assert len(desk.cases) == 2
    for case in desk.cases:
        np.testing.assert_array_equal(desk.label(case), two_structures())
    status, _, err = desk.export(scenes[0], desk.segmentation)
    assert status == 2
    assert "expected scenes (.mrb) only" in err


@pytest.mark.skipif(sys.platform == "win32", reason="no process is known to be gone there")
def test_what_a_killed_process_has_unpacked_is_removed(desk, monkeypatch):
    pytest.importorskip("slicer")
    temporary = desk.folder / "temporary"
    machine = owner().partition("-")[0]
    elsewhere = f"{'0' * 8}-{2**30}"  # a container that shares the folder
    for name in (f"{machine}-{2**30}", owner(), elsewhere):
        (temporary / f"tumorseg-scene-{name}-abc" / "Data").mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    assert desk.export(desk.write("case.mrb", 0))[0] == 0
    stay = (elsewhere, owner())
    assert names_in(temporary) == sorted(f"tumorseg-scene-{name}-abc" for name in stay)


def test_scenes_of_another_modality_need_the_models_name(desk, monkeypatch):
    pytest.importorskip("slicer")
    monkeypatch.setenv("TUMORSEG_MODELS", str(desk.folder))
    monkeypatch.setattr(
        "TumorSegLib.model.catalogue.SHIPPED", desk.folder
    )  # else its default is chosen
    ct = desk.write("ct.mrb", 0)
    voxels = np.random.default_rng(1).integers(0, 900, (7, 20, 24)).astype(np.int16)
    head = result_of(two_structures() % 2, brain_specification(), voxels=voxels)
    write_segmentation(head, desk.folder / "mr.mrb")
    write_tiny_bundle(desk.folder, brain_specification())
    status, _, err = desk.export(ct, desk.folder / "mr.mrb", model=None)
    assert status == 2
    assert "looks like MR, the data set is tiny-ct's, for CT" in " ".join(err.split())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "needs its image; add --channel NAME=IMAGE"),
        (["--channel", "ct"], "--channel ct: expected a name, =, and what it stands for"),
        (["--channel", "t1=ct.nrrd"], "ct.nrrd: no such file"),
        (["--map", "Leber=Liver", "--channel"], "--map Leber: no such segment; the segments are"),
        (["--map", "Liver=Milz", "--channel"], "label Milz: tiny-ct has the labels Liver, Liver"),
    ],
)
def test_what_cannot_be_exported_is_answered_in_one_line(desk, words, line):
    if words[-1:] == ["--channel"]:
        words = [*words, desk.image]
    status, out, err = desk.export(desk.segmentation, *words, "--quiet")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert line in err
    assert not desk.dataset.exists()


def test_unknown_channels_and_segments(desk):
    path = desk.folder / "ct.nrrd"
    status, _, err = desk.export(desk.segmentation, "--channel", f"t1={path}")
    assert status == 2
    assert "--channel t1: tiny-ct takes ct" in err
    text = desk.segmentation.read_bytes()
    desk.segmentation.write_bytes(
        text.replace(b"Segment0_Name:=Liver\n", b"Segment0_Name:=Leber\n")
        .replace(b"Segment0_ID:=TumorSeg_liver_Liver\n", b"Segment0_ID:=Segment_1\n")
    )  # fmt: skip
    status, _, err = desk.export(desk.segmentation, "--channel", desk.image)
    assert status == 2
    assert "segments Leber are no labels of tiny-ct" in err
    assert "add --map 'Leber=LABEL'" in err
    words = ("--channel", desk.image, "--map", "Leber=Liver", "--map", "Liver tumour=")
    assert desk.export(desk.segmentation, *words)[0] == 0
    (case,) = desk.cases
    np.testing.assert_array_equal(desk.label(case), two_structures() == 1)


def test_files_that_slicer_wrote(desk, shared):
    """A chest CT with seven segments in one layer; a sphere that was drawn over them."""
    folder = shared / "data" / "volumes"
    path, image = folder / "Segmentation.seg.nrrd", f"ct={folder / 'CTChest4.nrrd'}"
    drawn = {mask.name: mask for mask in read_segments(path)}
    assert len(drawn) == 7
    words = ["--map", "tissue=Liver", "--map", "right lung=Liver tumour"]
    for name in set(drawn) - {"tissue", "right lung"}:
        words += ["--map", f"{name}="]
    assert desk.export(path, "--channel", image, *words)[0] == 0
    (case,) = desk.cases
    expected = np.select([drawn[name].labelmap == drawn[name].value
                          for name in ("right lung", "tissue")], [2, 1])  # fmt: skip
    np.testing.assert_array_equal(desk.label(case), expected)
    sphere = folder / "SegmentationOverlapping.seg.nrrd"
    masks = read_segments(sphere)
    assert [mask.name for mask in masks][-1] == "overlapping sphere"
    rename = ["--map", "overlapping sphere=Liver", "--replace"]
    for name in {mask.name for mask in masks} - {"overlapping sphere"}:
        rename += ["--map", f"{name}="]
    assert desk.export(sphere, "--channel", image, *rename)[0] == 0
    np.testing.assert_array_equal(desk.label(case), masks[-1].labelmap == masks[-1].value)
    assert names_in(desk.dataset / "labelsTr") == [f"{case}.nii.gz"]


def test_layers_of_one_file(tmp_path):
    """Segments that overlap lie in layers, the fourth axis of the file."""
    pytest.importorskip("slicer")
    whole, part = two_structures() > 0, two_structures() == 2
    image = sitk.GetImageFromArray(np.stack([whole, part], -1).astype(np.uint8), isVector=True)
    image.SetSpacing((0.9, 0.7, 4.5))
    for number, name in enumerate(("Whole", "Part")):
        fields = {"ID": f"S{number}", "Name": name, "Layer": number, "LabelValue": 1}
        fields["Tags"] = "TumorSeg.Model:tiny-ct 1|Other:x|"
        for key, value in fields.items():
            image.SetMetaData(f"Segment{number}_{key}", str(value))
    sitk.WriteImage(image, str(tmp_path / "x.seg.nrrd"), useCompression=True)
    one, two = read_segments(tmp_path / "x.seg.nrrd")
    np.testing.assert_array_equal(one.labelmap, whole)
    np.testing.assert_array_equal(two.labelmap, part)
    assert (one.name, two.name, one.model) == ("Whole", "Part", "tiny-ct 1")
    np.testing.assert_allclose(np.diag(one.affine), (0.9, 0.7, 4.5, 1))


@pytest.mark.parametrize(
    ("name", "voxels"),
    [("Cyst", None), ("", 1), ("  liver  TUMOUR ", 1), ("Liver", 0), ("Artefakt", None)],
)
def test_a_renamed_segment_is_what_its_name_says(desk, name, voxels):
    """The model's tumour, whose id it keeps, under another name."""
    image = sitk.ReadImage(str(desk.segmentation))
    (index,) = [n for n in range(2) if image.GetMetaData(f"Segment{n}_Name") == "Liver tumour"]
    image.SetMetaData(f"Segment{index}_Name", name)
    path = desk.folder / "renamed.seg.nrrd"
    sitk.WriteImage(image, str(path))
    status, _, err = desk.export(path, "--channel", desk.image, "--quiet")
    if voxels is None:
        assert status == 2
        assert f"add --map '{name}=LABEL'" in err
        assert desk.export(path, "--channel", desk.image, "--map", f"{name}=", "--quiet")[0] == 0
    else:
        assert status == 0, err
    (case,) = desk.cases
    tumour = np.count_nonzero(two_structures() == 2)
    assert np.count_nonzero(desk.label(case) == 2) == tumour * bool(voxels)
