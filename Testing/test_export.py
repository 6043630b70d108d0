from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from results import names_in, two_structures
from test_grid import rotation_about
from tiny_models import brain_specification, ct_specification

from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.export.case import Appended, ExportCase, append_case
from TumorSegLib.export.errors import CaseExistsError, OverlapError, UnknownSegmentsError
from TumorSegLib.export.identity import ExportKey, export_key, key_file
from TumorSegLib.image.correction import Correction
from TumorSegLib.image.grid import Grid, Matrix
from TumorSegLib.image.itk import grid_of_image
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.specification import Network
from TumorSegLib.slicer_io.fingerprint import voxels_fingerprint
from TumorSegLib.slicer_io.named_mask import NamedMask

KEY = ExportKey(bytes(range(32)))
SHAPE = (7, 20, 24)
OBLIQUE: Matrix = tuple(map(tuple, (rotation_about(0, 23) @ rotation_about(2, -11)).tolist()))
GRID = Grid(SHAPE, (0.9, 0.7, 4.5), (-131.25, 12.5, 101.125), OBLIQUE)


def volume(seed=0, name="Müller^Eva 1960-01-02", grid=GRID, dtype="int16"):
    voxels = np.random.default_rng(seed).integers(-1000, 900, grid.shape).astype(dtype)
    return Volume(voxels, grid, name=name)


def masks(labelmap=None, grid=GRID, names=("Liver", "Liver tumour"), start=(0, 0, 0)):
    """Segments 1, 2, ... of one label map, whose first voxel has the index `start` (z, y, x)."""
    labelmap = two_structures() if labelmap is None else labelmap
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ start[::-1]
    return tuple(
        NamedMask(f"Segment_{value}", name, labelmap, value, affine)
        for value, name in enumerate(names, 1)
    )


def append(folder, *, specification=None, key=KEY, seed=0, options=(), **changes) -> Appended:
    case = replace(ExportCase({"ct": volume(seed)}, masks()), **changes)
    specification = specification or ct_specification()
    return append_case(folder, case, specification, key, **dict(options))


def dataset_in(tmp_path):
    return tmp_path / "Dataset501_liver"


def content_of(folder):
    return json.loads((folder / "dataset.json").read_text())


def record_of(folder, case):
    return json.loads((folder / "cases" / f"{case}.json").read_text())


def label_of(folder, case):
    return sitk.ReadImage(str(folder / "labelsTr" / f"{case}.nii.gz"))


def test_a_case_in_the_layout_of_nnunet(tmp_path):
    folder = dataset_in(tmp_path)
    done = append(folder)
    assert re.fullmatch(r"case_[0-9a-f]{12}", done.case)
    content = content_of(folder)
    assert content["channel_names"] == {"0": "CT"}
    assert content["labels"] == {"background": 0, "Liver": 1, "Liver tumour": 2}
    assert (content["numTraining"], content["file_ending"]) == (1, ".nii.gz")
    assert content["dataset"] == {
        done.case: {
            "images": [f"imagesTr/{done.case}_0000.nii.gz"],
            "label": f"labelsTr/{done.case}.nii.gz",
        }
    }
    label = label_of(folder, done.case)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(label), two_structures())
    image = sitk.ReadImage(str(folder / "imagesTr" / f"{done.case}_0000.nii.gz"))
    assert image.GetPixelID() == sitk.sitkInt16
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume().voxels)
    for written in (label, image):
        assert grid_of_image(written).geometry_equal(GRID, 1e-3)
    assert names_in(folder / ".export") == []


def test_label_values_do_not_follow_the_order_or_the_values_of_segments(tmp_path):
    swapped = np.array([0, 9, 4], np.uint8)[two_structures()]
    one, two = masks(swapped)
    reordered = (replace(two, value=4), replace(one, value=9))
    done = append(dataset_in(tmp_path), masks=reordered)
    written = sitk.GetArrayFromImage(label_of(dataset_in(tmp_path), done.case))
    np.testing.assert_array_equal(written, two_structures())


def test_values_that_the_model_does_not_use_keep_their_place(tmp_path):
    (tumour,) = brain_specification().labels
    arguments = {"in_channels": 3, "out_channels": 2, "width": 4, "depth": 2}
    specification = brain_specification(
        labels=(replace(tumour, name="Core"), replace(tumour, value=3, name="Oedema")),
        network=Network("U-Net", arguments),
    )
    done = append(
        dataset_in(tmp_path),
        specification=specification,
        volumes={"flair": volume()},
        masks=masks(names=("Oedema", "Core")),
    )
    assert content_of(dataset_in(tmp_path))["labels"] == {
        "background": 0,
        "Core": 1,
        "not used 2": 2,
        "Oedema": 3,
    }
    written = sitk.GetArrayFromImage(label_of(dataset_in(tmp_path), done.case))
    np.testing.assert_array_equal(written, np.array([0, 3, 1])[two_structures()])


def test_empty_and_missing_segments(tmp_path):
    labelmap = np.where(two_structures() == 2, 0, two_structures())
    done = append(dataset_in(tmp_path), masks=masks(labelmap))
    assert done.warnings == ()
    labels = record_of(dataset_in(tmp_path), done.case)["labels"]
    assert labels["Liver tumour"] == {"value": 2, "voxels": 0}
    nowhere = NamedMask("x", "Liver", np.zeros((0, 0, 0), np.uint8), 1, np.eye(4))
    done = append(dataset_in(tmp_path), masks=(nowhere,), seed=1, volumes={"ct": volume(1)})
    assert done.warnings == ("no segment Liver tumour: written as absent from the case",)
    assert not sitk.GetArrayFromImage(label_of(dataset_in(tmp_path), done.case)).any()
    assert done.count == 2


def test_a_cropped_label_map_is_put_where_it_lies(tmp_path):
    cropped = two_structures()[1:6, 2:18, 3:22]
    expected = np.zeros(SHAPE, np.uint8)
    expected[1:6, 2:18, 3:22] = cropped
    done = append(dataset_in(tmp_path), masks=masks(cropped, start=(1, 2, 3)))
    written = sitk.GetArrayFromImage(label_of(dataset_in(tmp_path), done.case))
    np.testing.assert_array_equal(written, expected)


def test_a_label_map_may_be_larger_than_the_volume_if_nothing_is_drawn_there(tmp_path):
    padded = np.pad(two_structures(), 2)
    done = append(dataset_in(tmp_path), masks=masks(padded, start=(-2, -2, -2)))
    written = sitk.GetArrayFromImage(label_of(dataset_in(tmp_path), done.case))
    np.testing.assert_array_equal(written, two_structures())
    padded[0, 5, 5] = 1
    with pytest.raises(InputError, match=r"segment Liver: reaches beyond the volume"):
        append(dataset_in(tmp_path), masks=masks(padded, start=(-2, -2, -2)), seed=1)


@pytest.mark.parametrize(
    "other",
    [
        replace(GRID, spacing=(0.9, 0.7, 4.0)),
        replace(GRID, origin=(-131.25, 12.5, 102.125)),
        replace(GRID, direction=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))),
    ],
    ids=["spacing", "origin", "direction"],
)
def test_another_grid_is_refused(tmp_path, other):
    with pytest.raises(InputError, match=r"segment Liver: lies on another grid than the volume"):
        append(dataset_in(tmp_path), masks=masks(grid=other))
    assert not dataset_in(tmp_path).exists()


def overlapping():
    whole = two_structures() > 0
    return (
        NamedMask("a", "Liver", whole.astype(np.uint8), 1, GRID.affine),
        NamedMask("b", "Liver tumour", (two_structures() == 2).astype(np.uint8), 1, GRID.affine),
    )


def test_a_part_wins_over_the_structure_that_includes_it(tmp_path):
    for seed, order in enumerate((overlapping(), overlapping()[::-1])):
        done = append(dataset_in(tmp_path), volumes={"ct": volume(seed)}, masks=order)
        written = sitk.GetArrayFromImage(label_of(dataset_in(tmp_path), done.case))
        np.testing.assert_array_equal(written, two_structures())


def test_other_overlaps_are_refused_or_get_one_file_a_segment(tmp_path):
    folder = dataset_in(tmp_path)
    labels = tuple(replace(label, includes=()) for label in ct_specification().labels)
    apart = ct_specification(labels=labels)
    with pytest.raises(OverlapError, match=r"Liver and Liver tumour overlap in 37 voxels"):
        append(folder, specification=apart, masks=overlapping())
    options = {"one_file_a_segment": True}
    done = append(folder, specification=apart, masks=overlapping(), options=options)
    assert content_of(folder)["numTraining"] == 0 == done.count
    case = folder / "segments" / done.case
    assert names_in(case) == ["1_Liver.nii.gz", "2_Liver_tumour.nii.gz", "image_0000.nii.gz"]
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(case / "1_Liver.nii.gz")))
    np.testing.assert_array_equal(written, two_structures() > 0)
    assert record_of(folder, done.case)["one_file_a_segment"] is True
    with pytest.raises(CaseExistsError):
        append(folder, specification=apart)
    done = append(folder, specification=apart, options={"replace": True})
    assert (done.count, done.replaced, case.exists()) == (1, True, False)
    append(folder, specification=apart, options={"replace": True, **options})
    assert names_in(folder / "imagesTr") == names_in(folder / "labelsTr") == []
    assert content_of(folder)["numTraining"] == 0


def test_unknown_segments_are_refused_unless_mapped(tmp_path):
    drawn = masks(names=("Leber", "Läsion"))
    with pytest.raises(UnknownSegmentsError, match=r"Leber, Läsion are no labels of tiny-ct") as e:
        append(dataset_in(tmp_path), masks=drawn)
    assert e.value.names == ("Leber", "Läsion")
    mapping = {"Leber": "liver", "Läsion": ""}
    done = append(dataset_in(tmp_path), masks=drawn, mapping=mapping)
    written = sitk.GetArrayFromImage(label_of(dataset_in(tmp_path), done.case))
    np.testing.assert_array_equal(written, two_structures() == 1)
    with pytest.raises(InputError, match=r"label Milz: tiny-ct has the labels Liver, Liver tumour"):
        append(dataset_in(tmp_path), masks=drawn, mapping={"Leber": "Milz"})


def test_several_segments_of_one_label_are_united(tmp_path):
    done = append(
        dataset_in(tmp_path),
        masks=masks(names=("Metastasis 1", "Metastasis 2")),
        mapping={"Metastasis 1": "Liver tumour", "Metastasis 2": "Liver tumour"},
    )
    written = sitk.GetArrayFromImage(label_of(dataset_in(tmp_path), done.case))
    np.testing.assert_array_equal(written, 2 * (two_structures() > 0))


def test_what_replaces_a_sequence_may_be_replaced_itself(tmp_path):
    model = brain_specification()
    flair, t1, t1c = model.input.channels
    channels = (flair, replace(t1c, replaced_by="t1"), t1)
    done = append(
        dataset_in(tmp_path),
        specification=replace(model, input=replace(model.input, channels=channels)),
        volumes={"flair": volume()},
        masks=masks(np.minimum(two_structures(), 1), names=("Tumour",)),
    )
    assert record_of(dataset_in(tmp_path), done.case)["replaced"] == {"t1c": "flair", "t1": "flair"}


def test_missing_sequences_are_replaced_as_when_the_model_runs(tmp_path):
    t1 = volume(5, grid=replace(GRID, origin=(-131.0, 12.5, 101.125)))
    done = append(
        dataset_in(tmp_path),
        specification=brain_specification(),
        volumes={"flair": volume(), "t1": t1},
        masks=masks(np.minimum(two_structures(), 1), names=("Tumour",)),
    )
    assert names_in(dataset_in(tmp_path) / "imagesTr") == [
        f"{done.case}_000{n}.nii.gz" for n in range(3)
    ]
    assert record_of(dataset_in(tmp_path), done.case)["replaced"] == {"t1c": "flair"}
    assert any("resampled" in line for line in done.warnings)
    for number in range(3):
        path = dataset_in(tmp_path) / "imagesTr" / f"{done.case}_000{number}.nii.gz"
        assert grid_of_image(sitk.ReadImage(str(path))).geometry_equal(GRID, 1e-3)
    with pytest.raises(InputError, match=r"channel flair: is missing"):
        append(dataset_in(tmp_path), specification=brain_specification(), volumes={"t1": t1})


def test_the_same_case_again_asks_to_replace(tmp_path):
    folder = dataset_in(tmp_path)
    first = append(folder, patient="4711", reviewed=False)
    with pytest.raises(CaseExistsError, match=rf"is in Dataset501_liver already, as {first.case}"):
        append(folder)
    changed = edited()
    correction = Correction(2, 0.4, 0.96)
    again = append(
        folder,
        volumes={"ct": volume(name="another name", dtype=">i2")},
        masks=masks(changed),
        reviewed=True,
        correction=correction,
        options={"replace": True},
    )
    assert (again.case, again.replaced, again.count) == (first.case, True, 1)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(label_of(folder, again.case)), changed)
    record = record_of(folder, again.case)
    assert (record["reviewed"], record["corrected"]) == (True, True)
    assert record["correction"] == {"slices": 2, "millilitres": 0.4, "dice": 0.96}
    assert record["patient"] == KEY.patient("4711"), "what is known of the patient is kept"


def test_segments_that_were_changed_since_the_panel_showed_them_are_corrected(tmp_path):
    folder, seen = dataset_in(tmp_path), Correction(0, 0.0, 1.0)
    left = [voxels_fingerprint(two_structures() == value, (0, 0, 0)) for value in (1, 2)]
    for labelmap, corrected, kept in ((two_structures(), False, seen), (edited(), True, None)):
        drawn = zip(masks(labelmap), left, strict=True)
        segments = tuple(replace(mask, as_drawn=text) for mask, text in drawn)
        options = {"replace": True}
        done = append(folder, masks=segments, correction=seen, options=options)
        record = record_of(folder, done.case)
        assert record["corrected"] is corrected
        assert record.get("correction") == (asdict(kept) if kept else None)
        assert any("as the model drew it" in line for line in done.warnings) is not corrected


def test_two_studies_of_a_patient_stay_together(tmp_path):
    folder = dataset_in(tmp_path)
    cases = [
        append(folder, volumes={"ct": volume(seed)}, patient=patient).case
        for seed, patient in enumerate(("4711", " 4711", "4712", None, None))
    ]
    patients = [record_of(folder, case)["patient"] for case in cases]
    assert patients[0] == patients[1]
    assert len(set(patients)) == 4


def test_nothing_says_who_the_patient_is(tmp_path):
    folder = dataset_in(tmp_path)
    secrets = ("Müller", "Eva", "1960", "4711", str(tmp_path), "Leber")
    append(
        folder,
        patient="4711",
        masks=masks(names=("Leber Müller", "Liver tumour")),
        mapping={"Leber Müller": "Liver"},
    )
    for path in folder.rglob("*"):
        assert not any(secret in path.name for secret in secrets)
        if path.is_file():
            content = path.read_bytes()
            headers = [content[:4096]]
            if path.name.endswith(".gz"):
                assert content[3] & 0x08 == 0, "gzip can hold a file name"
                assert content[4:8] == bytes(4), "gzip can hold a time"
                unpacked = gzip.decompress(content)
                header = unpacked[:352]
                headers.append(header)
                assert not any(header[14:32] + header[148:252] + header[328:344])
            for secret in secrets:
                assert not any(secret.encode() in header for header in headers), path


def test_a_number_that_is_no_unicode_is_a_patients_too():
    ids = {KEY.patient(number) for number in ("4711", "4711\udcff", "4711\udcfe")}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("tiny-ct 1", "tiny-ct 1"),
        ("brain-lgg-munet 3.0.0", "brain-lgg-munet 3.0.0"),
        ("Region growing GEHEIM^ANNA 19610203", "another program"),
        ("geheim-anna-19610203 1", "another program"),
        ("tiny-ct 19610203", "another program"),
        ("tiny-ct of Anna", "another program"),
        ("1.2.840.113619 1", "another program"),
    ],
)
def test_who_drew_is_a_model_or_another_program(tmp_path, told, kept):
    folder = dataset_in(tmp_path)
    one, two = masks()
    done = append(folder, masks=(replace(one, model=told), two))
    assert record_of(folder, done.case)["drawn_by"] == [kept]


def test_the_key_is_the_users_own_and_stays_out_of_the_data_set(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    key = export_key()
    assert export_key() == key
    assert key.secret.hex() not in repr(key)
    if sys.platform != "win32":
        assert key_file().stat().st_mode & 0o077 == 0
    append(dataset_in(tmp_path), key=key)
    for path in dataset_in(tmp_path).rglob("*"):
        if path.is_file():
            assert key.secret.hex().encode() not in path.read_bytes()
            assert key.secret not in path.read_bytes()
    with pytest.raises(InputError, match=r"was begun by another user.*export-key"):
        append(dataset_in(tmp_path), seed=1, key=KEY)
    key_file().write_text("abc")
    with pytest.raises(OutputError, match=r"found no key"):
        export_key()


def test_data_sets_of_another_kind_are_refused(tmp_path):
    folder = dataset_in(tmp_path)
    append(folder)
    with pytest.raises(InputError, match=r'channel_names is \{"0": "CT"\}, this model\'s'):
        append(folder, specification=brain_specification(), volumes={"flair": volume()},
               masks=masks(names=("Tumour",)))  # fmt: skip
    with pytest.raises(OutputError, match=r"nnU-Net expects a folder DatasetNNN_Name, such as"):
        append(tmp_path / "cases")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file is not a folder"):
        append(tmp_path / "file" / "Dataset001_x")
    assert append(tmp_path / "absent" / "sets" / "Dataset001_x").count == 1
    (folder / "dataset.json").write_text("{")
    with pytest.raises(InputError, match=r"not JSON"):
        append(folder, seed=1)
    (folder / "dataset.json").unlink()
    with pytest.raises(InputError, match=r"is missing, though there are cases"):
        append(folder, seed=1)


def test_cases_removed_by_hand_are_no_longer_listed(tmp_path):
    folder = dataset_in(tmp_path)
    first = append(folder)
    (folder / "labelsTr" / f"{first.case}.nii.gz").unlink()
    second = append(folder, volumes={"ct": volume(1)})
    assert list(content_of(folder)["dataset"]) == [second.case]


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    folder = dataset_in(tmp_path)
    append(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    written = sitk.WriteImage

    def cut_short(image, path, **options):
        written(image, path, **options)
        os.truncate(path, 200)

    monkeypatch.setattr(sitk, "WriteImage", cut_short)
    with pytest.raises(OutputError, match=r"cannot be written completely, is the disk full\?"):
        append(folder, volumes={"ct": volume(1)})
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


MANY = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]) / "Testing")]
from test_export import append, volume
for seed in range(int(sys.argv[3]), int(sys.argv[4])):
    append(Path(sys.argv[2]), volumes={"ct": volume(seed)}, patient=str(seed))
    print(seed, flush=True)
"""


def exporting(folder, first, last):
    root = Path(__file__).resolve().parent.parent
    words = [sys.executable, "-c", MANY, str(root), str(folder), str(first), str(last)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def check_whole(folder):
    """Check that what is listed is there and whole; return how many cases are."""
    content = content_of(folder)
    assert content["numTraining"] == len(content["dataset"])
    for case, entry in content["dataset"].items():
        label = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / entry["label"])))
        np.testing.assert_array_equal(label, two_structures())
        (image,) = entry["images"]
        assert sitk.GetArrayFromImage(sitk.ReadImage(str(folder / image))).shape == SHAPE
        assert record_of(folder, case)["case"] == case
    return len(content["dataset"])


@pytest.mark.slow
def test_killed_in_the_middle_of_many_cases(tmp_path):
    """Whenever it is killed, only whole cases are there, and the next export goes on."""
    folder = dataset_in(tmp_path)
    first = whole = 0
    for more, pause in ((15, 0.0), (10, 0.004), (10, 0.011)):
        process = exporting(folder, first, 1000)
        said = [int(process.stdout.readline()) for _ in range(more)]
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        said += [int(line) for line in process.stdout.read().split()]
        process.wait()
        before, whole = whole, check_whole(folder)
        # one that was not told any more, and one that the kill before had left to be finished
        assert whole - before - len(said) in ((0, 1, 2) if first else (0, 1))
        first = said[-1] + 2
    append(folder, volumes={"ct": volume(5000)})
    assert check_whole(folder) >= whole + 1
    assert names_in(folder / ".export") == []
    assert len(names_in(folder / "labelsTr")) == len(names_in(folder / "imagesTr"))


STEPS = """
import os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]) / "Testing")]
from test_export import append, edited, masks, volume

def counted(call):
    def wrapped(*arguments, **options):
        global steps
        steps -= 1
        if steps < 0:
            os._exit(9)
        return call(*arguments, **options)
    return wrapped

for step in range(100):
    child = os.fork()
    if child == 0:
        folder, steps = Path(sys.argv[2]) / f"Dataset501_{step}", step
        append(folder)
        for name in ("replace", "rename", "mkdir", "unlink", "rmdir"):
            for module in (os, Path):
                setattr(module, name, counted(getattr(module, name)))
        append(folder, volumes={"ct": volume(int(sys.argv[3]))}, masks=masks(edited()),
               options={"replace": True})
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
else:
    sys.exit("never done")
"""


def edited():
    """The label map after a correction."""
    return np.where(two_structures() == 2, 1, two_structures()).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.parametrize("replacing", [False, True])
def test_killed_at_every_step_of_an_append(tmp_path, replacing):
    """Whichever file operation is the last, the data set is as before or has the whole case."""
    root = Path(__file__).resolve().parent.parent
    seed = "0" if replacing else "1"
    words = [sys.executable, "-c", STEPS, str(root), str(tmp_path), seed]
    subprocess.run(words, check=True)
    outcomes = []
    for folder in sorted(tmp_path.iterdir(), key=lambda path: int(path.name[11:])):
        states = []
        content = content_of(folder)
        assert content["numTraining"] == len(content["dataset"])
        for entry in content["dataset"].values():
            assert all((folder / image).exists() for image in entry["images"])
            label = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / entry["label"])))
            states.append("after" if np.array_equal(label, edited()) else "before")
            assert states[-1] == "after" or np.array_equal(label, two_structures())
        outcomes.append(sorted(states, reverse=True))
        append(folder, volumes={"ct": volume(5000)})
        found = content_of(folder)
        assert found["numTraining"] == len(names_in(folder / "labelsTr"))
        assert len(names_in(folder / "labelsTr")) == len(names_in(folder / "imagesTr"))
        assert names_in(folder / ".export") == []
    first, last = (["before"], ["after"]) if replacing else (["before"], ["before", "after"])
    change = outcomes.index(last)
    assert outcomes == [first] * change + [last] * (len(outcomes) - change)
    assert change > 3


@pytest.mark.slow
def test_two_processes_at_once(tmp_path):
    folder = dataset_in(tmp_path)
    processes = [exporting(folder, 0, 12), exporting(folder, 12, 24)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert check_whole(folder) == 24
