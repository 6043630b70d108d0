"""What is a case: the right series of DICOM, files by their names, rows of a manifest."""

from __future__ import annotations

import csv
import json
import os
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from bright_models import write_ct_model, write_model
from dicom_writing import write_slices
from synthetic_data import write_nnunet

from TumorSegLib import cli
from TumorSegLib.cohort import ray_cluster
from TumorSegLib.cohort.case import Case, Refused, discreet
from TumorSegLib.cohort.case_folder import Results
from TumorSegLib.cohort.finding import find_cases
from TumorSegLib.cohort.lists import write_sources
from TumorSegLib.cohort.models import Models
from TumorSegLib.errors import InputError
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.reading import read_volume

pytestmark = pytest.mark.slow

CORONAL = (1, 0, 0, 0, 0, -1)
FLAIR = {"Modality": "MR", "EchoTime": 120, "RepetitionTime": 9000, "InversionTime": 2500}
T1 = {"Modality": "MR", "EchoTime": 4, "RepetitionTime": 600}


@pytest.fixture
def models(tmp_path):
    write_ct_model(tmp_path / "models", "tiny-ct", default=True)
    write_model(tmp_path / "models", "tiny-mr", default=True)
    return Models(Catalogue.of([tmp_path / "models"]))


def write(folder, count, series, *, study="1.9", step=(0, 0, 3.0), orientation=None, **header):
    """Write a series of noise."""
    random = np.random.default_rng(len(series))
    slices = random.integers(0, 900, (count, 16, 16)).astype(np.int16)
    where = [tuple(index * np.array(step)) for index in range(count)]
    more = {} if orientation is None else {"orientation": orientation}
    header = {"Modality": "CT", "StudyInstanceUID": study, **header}
    names = [f"{series}-{index}.dcm" for index in range(count)]
    return write_slices(folder, slices, where, series=series, names=names, **more, **header)


def found(folder, models, **options):
    options = {"pseudonym": None, **options}
    return {case.name: case for case in find_cases([str(folder)], models, **options)}


def chosen(case):
    assert isinstance(case, Case), case
    return {channel: source.series for channel, source in case.sources.items()}


def test_of_a_study_the_axial_series_with_the_most_slices_is_taken(tmp_path, models):
    study = tmp_path / "in" / "patient" / "study"
    write(study / "a", 6, "1.1")
    write(study / "b", 9, "1.2")
    write(study / "c", 30, "1.3", step=(0, 3.0, 0), orientation=CORONAL)
    write(study / "d", 3, "1.4")
    write(study / "e", 20, "1.5", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write(study / "f", 20, "1.6", PhotometricInterpretation="RGB")
    write(study / "g", 20, "1.7", BodyPartExamined="HEAD")
    write(study / "h", 40, "1.8", ImageType=["DERIVED", "SECONDARY", "AXIAL"])
    write(study / "i", 8, "1.9.1", Modality="PT")
    (case,) = found(tmp_path / "in", models).values()
    assert chosen(case) == {"": "1.2"}
    assert case.chosen == (
        "CT: axial, 9 slices, the best of 3; of 9 series (1 PT, 1 another part of the body,"
        " 1 fewer than 5 slices, 2 further fitting, 1 localizer, 1 not axial, 1 not grey)"
    )


def test_several_phases_in_one_series_come_after_one_phase(tmp_path, models):
    study = tmp_path / "in"
    write(study, 6, "1.1")
    paths = write(study, 12, "1.2")
    import pydicom

    for index, path in enumerate(paths):
        image = pydicom.dcmread(path)
        image.ImagePositionPatient = [0, 0, 3.0 * (index // 2)]
        image.save_as(path)
    (case,) = found(study, models).values()
    assert chosen(case) == {"": "1.1"}


def write_copies(folder, paths):
    folder.mkdir(parents=True)
    for path in paths:
        shutil.copy(path, folder)


def split(study, series="1.1", parts=(7, 5)):
    """Write a series, a part of its slices in each of some folders; return all their paths."""
    paths = write(study / "all", sum(parts), series)
    for index, count in enumerate(parts):
        (study / f"part{index}").mkdir(parents=True)
        for path in paths[sum(parts[:index]) :][:count]:
            path.rename(study / f"part{index}" / path.name)
    (study / "all").rmdir()
    return sorted(study.rglob("*.dcm"))


def test_a_series_in_parts_is_refused_and_its_folders_are_listed(tmp_path, models):
    split(tmp_path / "in" / "Quendelbaum")
    write(tmp_path / "in" / "Quendelbaum" / "other", 9, "1.2")
    (refused,) = found(tmp_path / "in", models, pseudonym=lambda _: "case_1").values()
    assert isinstance(refused, Refused)
    assert "the 12 slices of its series lie in parts in 2 folders" in refused.reason
    assert "Quendelbaum" not in refused.reason + refused.name
    results = Results(tmp_path / "out")
    with results.opened():
        write_sources([refused], results)
    rows = list(csv.reader((results.folder / "sources.csv").read_text("utf-8-sig").splitlines()))
    folders = [str(tmp_path / "in" / "Quendelbaum" / name) for name in ("part0", "part1")]
    assert rows[1:] == [[refused.name, "", folder, ""] for folder in folders]


def test_a_series_with_a_folder_for_each_slice_is_not_taken_for_a_short_one(tmp_path, models):
    split(tmp_path / "in", parts=(1,) * 8)
    (refused,) = found(tmp_path / "in", models).values()
    assert "the 8 slices of its series lie in parts in 8 folders" in refused.reason


def test_parts_that_share_slices_are_parts(tmp_path, models):
    paths = split(tmp_path / "in", parts=(6, 6))
    shutil.copy(paths[5], tmp_path / "in" / "part1")
    (refused,) = found(tmp_path / "in", models).values()
    assert "the 12 slices of its series lie in parts in 2 folders" in refused.reason


def test_another_series_in_parts_is_in_nobodys_way(tmp_path, models):
    split(tmp_path / "in", parts=(7, 5))
    write(tmp_path / "in" / "whole", 20, "1.2")
    (case,) = found(tmp_path / "in", models).values()
    assert chosen(case) == {"": "1.2"}
    assert case.chosen == "CT: axial, 20 slices, the best of 2; of 2 series (1 further fitting)"


@pytest.mark.parametrize("count", [5, 9])
def test_a_whole_series_is_taken_once_beside_a_copy_or_a_part(tmp_path, models, count):
    paths = write(tmp_path / "in" / "b", 9, "1.1")
    write_copies(tmp_path / "in" / "a", paths[:count])
    write_copies(tmp_path / "in" / "c", paths[2:6])
    (case,) = found(tmp_path / "in", models).values()
    assert case.sources[""].path == tmp_path / "in" / ("a" if count == 9 else "b")
    assert case.chosen == "CT: axial, 9 slices, copied to 2 further folders; of 1 series"


def test_phases_of_one_series_in_folders_of_their_own_are_no_parts(tmp_path, models):
    for phase in ("a", "b"):
        write(tmp_path / "in" / phase, 9, "1.1")
    (case,) = found(tmp_path / "in", models).values()
    assert case.chosen == "CT: axial, 9 slices, the best of 2; of 2 series (1 further fitting)"


def test_what_is_missing_is_said_before_anything_is_looked_through(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("TumorSegLib.cohort.ray_cluster.find_spec", lambda _: None)
    monkeypatch.setattr("TumorSegLib.cohort.finding.find_cases", lambda *_, **__: 1 / 0)
    assert cli.main(["cohort", ".", "-o", "out"]) == 2
    assert "needs Ray, which is not installed" in capsys.readouterr().err


def test_a_folder_that_is_named_twice_is_one(tmp_path, models):
    paths = write(tmp_path / "in", 9, "1.1")
    (case,) = find_cases([str(paths[0]), str(paths[1])], models, pseudonym=None)
    assert case.chosen == "CT: axial, 9 slices; of 1 series"


def test_sequences_of_mri_go_to_their_channels_by_description_or_times(tmp_path, models):
    study = tmp_path / "in" / "somebody"
    write(study, 7, "1.1", **FLAIR)
    write(study, 8, "1.2", **T1)
    write(study, 8, "1.3", **T1, SeriesDescription="t1 tse post contrast")
    write(study, 9, "1.4", Modality="MR", EchoTime=100, RepetitionTime=4000)
    (case,) = found(tmp_path / "in", models).values()
    assert chosen(case) == {"flair": "1.1", "t1": "1.2", "t1c": "1.3"}
    assert "post" not in case.chosen


def test_a_t1_whose_fluid_is_dark_is_not_taken_for_flair(tmp_path, models):
    study, dark = tmp_path / "in", {"EchoTime": 10, "RepetitionTime": 2200, "InversionTime": 860}
    write(study, 7, "1.1", **FLAIR, SeriesDescription="Ax T2 FLAIR")
    write(study, 8, "1.2", Modality="MR", **dark, SeriesDescription="Ax T1 FLAIR")
    write(study, 9, "1.3", Modality="MR", **dark, SeriesDescription="Ax T1 FLAIR +C")
    (case,) = found(study, models).values()
    assert chosen(case) == {"flair": "1.1", "t1": "1.2", "t1c": "1.3"}


def test_a_study_without_the_sequence_that_is_segmented_is_named_with_what_it_has(tmp_path, models):
    write(tmp_path / "in" / "p1", 8, "1.2", **T1)
    (refused,) = found(tmp_path / "in", models).values()
    assert refused == Refused("p1", "no FLAIR for tiny-mr among 1 series (1 T1)")


def test_a_study_may_lie_in_several_folders_and_a_folder_may_hold_many_patients(tmp_path, models):
    write(tmp_path / "in" / "x" / "1", 5, "1.1", study="1.7")
    write(tmp_path / "in" / "x" / "2", 8, "1.2", study="1.7")
    for patient in range(3):
        write(tmp_path / "in" / "all", 6, f"2.{patient}", study=f"2.9.{patient}")
    cases = found(tmp_path / "in", models)
    assert sorted(cases) == ["all", "all_2", "all_3", "x_1"]
    assert chosen(cases["x_1"]) == {"": "1.2"}
    assert {chosen(cases[name])[""] for name in ("all", "all_2", "all_3")} == {"2.0", "2.1", "2.2"}


def test_ct_and_mri_of_one_study_are_two_cases_unless_a_model_is_named(tmp_path, models):
    write(tmp_path / "in" / "p", 6, "1.1")
    write(tmp_path / "in" / "p", 6, "1.2", **FLAIR)
    assert sorted(found(tmp_path / "in", models)) == ["p CT", "p MR"]
    only = Models(models.catalogue, models.catalogue.find("tiny-ct"))
    assert [chosen(case) for case in found(tmp_path / "in", only).values()] == [{"": "1.1"}]


def test_a_damaged_slice_is_a_row_and_stops_no_other_folder(tmp_path, models):
    write(tmp_path / "in" / "good", 6, "1.1", study="1.7")
    path = write(tmp_path / "in" / "bad", 6, "1.2", study="1.8")[2]
    path.write_bytes(path.read_bytes()[:-100])
    cases = found(tmp_path / "in", models)
    assert isinstance(cases["good"], Case)
    assert "damaged" in cases["bad"].reason


def test_names_of_dicom_are_pseudonyms_that_stay_the_same(tmp_path, models):
    write(tmp_path / "in" / "Quendelbaum", 6, "1.1")
    asked = []

    def pseudonym(described):
        asked.append(described)
        return f"case_{len(set(asked))}"

    (name,) = found(tmp_path / "in", models, pseudonym=pseudonym)
    (tmp_path / "in" / "Quendelbaum").rename(tmp_path / "in" / "elsewhere")
    (again,) = found(tmp_path / "in", models, pseudonym=pseudonym)
    assert name == again == "case_1"


def test_no_message_about_a_hidden_case_has_its_path(tmp_path, models):
    write(tmp_path / "in" / "Quendel baum", 6, "1.1")
    (case,) = found(tmp_path / "in", models, pseudonym=lambda _: "case_1").values()
    (source,) = case.sources.values()
    lines = [
        f"{source.path}: found 2 series",
        f"{source.files[0]}: a DICOM slice that cannot be read",
        "Quendel baum: slices differ in size (1.1-0.dcm and 1.1-1.dcm), expected one stack",
    ]
    for line in lines:
        told = discreet(line, case)
        assert "uendel" not in told
        assert "baum" not in told
        assert "1.1" not in told
        assert "case_1" in told


def test_a_damaged_hidden_folder_is_not_named(tmp_path, models):
    path = write(tmp_path / "in" / "Quendelbaum", 6, "1.1")[2]
    path.write_bytes(path.read_bytes()[:-100])
    (refused,) = found(tmp_path / "in", models, pseudonym=lambda _: "case_1").values()
    assert "Quendelbaum" not in refused.reason
    assert "damaged" in refused.reason


def write_image(path, *, high=900):
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(0).integers(0, high, (6, 16, 16)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))


def test_each_file_is_a_case_unless_names_tell_channels(tmp_path, models):
    top = tmp_path / "in"
    for name in ("a.nii.gz", "deep/b.nrrd", "deep/c.mha"):
        write_image(top / name)
    for name in ("flair", "t1", "t1c", "t2"):
        write_image(top / "P1" / f"{name}.nii.gz")
        write_image(top / f"P2_{name}.nii.gz")
    write_image(top / "P3_t1.nii.gz")
    write_image(top / "P4" / "x_t1.nii.gz")
    write_image(top / "P4" / "x_t2.nii.gz")
    cases = found(top, models)
    assert sorted(cases) == ["P1", "P2", "P3_t1", "P4_x", "a", "deep_b", "deep_c"]
    for name in ("P1", "P2"):
        assert list(cases[name].sources) == ["flair", "t1", "t1c"]
    assert cases["P4_x"].reason == "has t1, t2, no flair, which tiny-mr segments"
    assert list(cases["P3_t1"].sources) == [""]


def test_nnunets_channels_are_the_models_in_order_or_as_its_json_says(tmp_path, models):
    write_nnunet(tmp_path / "in", 2)
    (tmp_path / "in" / "labelsTr" / "mask_0000.nii.gz").write_bytes(b"no image")
    assert sorted(found(tmp_path / "in", models)) == ["imagesTr_BALL_000", "imagesTr_BALL_001"]
    for number in range(3):
        write_image(tmp_path / "mr" / "imagesTs" / f"A_{number:04}.nii.gz")
    (case,) = found(tmp_path / "mr", models).values()
    assert [source.path.name for source in case.sources.values()] == [
        f"A_{number:04}.nii.gz" for number in range(3)
    ]
    assert list(case.sources) == ["flair", "t1", "t1c"]
    content = {"channel_names": {"0": "T1", "1": "FLAIR", "2": "T2"}}
    (tmp_path / "mr" / "dataset.json").write_text(json.dumps(content))
    (case,) = found(tmp_path / "mr", models).values()
    assert {name: source.path.name for name, source in case.sources.items()} == {
        "flair": "A_0001.nii.gz",
        "t1": "A_0000.nii.gz",
    }


def test_results_and_what_is_hidden_are_no_input(tmp_path, models):
    for name in ("a.nii.gz", ".hidden/b.nii.gz", "out/cases/a/segmentation.nii.gz", "a.seg.nrrd"):
        write_image(tmp_path / name)
    assert list(found(tmp_path, models, without=tmp_path / "out")) == ["a"]
    write_image(tmp_path / "MASKS_x" / "c.nii.gz")
    write_image(tmp_path / "b_seg.nii.gz")
    left = found(tmp_path, models, without=tmp_path / "out", exclude=["MASKS*", "*_seg.nii.gz"])
    assert list(left) == ["a"]


def test_names_differ_on_every_system(tmp_path, models):
    for name in ("a.nii", "A.nii.gz", "a.nrrd"):
        write_image(tmp_path / "in" / name)
    names = list(found(tmp_path / "in", models))
    assert len({name.casefold() for name in names}) == 3


def not_unicode(folder, ending):
    """Return a path whose name is no UTF-8, as Linux takes it."""
    try:
        path = folder / os.fsdecode(b"M\xfcller" + ending)
        folder.mkdir(exist_ok=True)
        path.touch()
        path.unlink()
    except (OSError, UnicodeError):
        pytest.skip("the system takes Unicode alone")
    return path


def test_names_that_are_not_unicode_name_their_cases_in_unicode(tmp_path, models):
    path = not_unicode(tmp_path / "in", b".nii.gz")
    path.write_bytes(b"")
    ((name, case),) = found(tmp_path / "in", models).items()
    assert name == "M_ller"
    reason = "the name is not valid Unicode; rename it"
    with pytest.raises(InputError, match=reason) as raised:
        read_volume(path)
    assert discreet(str(raised.value), case) == rf"M\udcfcller.nii.gz: {reason}"


def test_a_hidden_folder_whose_name_is_not_unicode_is_not_named(tmp_path, models):
    folder = not_unicode(tmp_path / "in", b"")
    write(folder, 6, "1.1")
    (refused,) = found(tmp_path / "in", models, pseudonym=lambda _: "case_1").values()
    assert refused == Refused("case_1", "a file: the name is not valid Unicode; rename it")


def manifest_of(tmp_path, rows):
    path = tmp_path / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def test_a_manifest_names_cases_channels_and_models(tmp_path, models):
    for name in ("f.nii.gz", "t.nii.gz", "c.nii.gz"):
        write_image(tmp_path / name)
    path = manifest_of(
        tmp_path,
        [
            ("case", "flair", "t1", "volume", "model"),
            ("one", "f.nii.gz", "t.nii.gz", "", ""),
            ("two", "", "", "c.nii.gz", "tiny-ct"),
            ("gone", "absent.nii.gz", "", "", ""),
            ("odd", "", "", "c.nii.gz", "no-such"),
            ("none", "", "", "", ""),
            ("late", "", "t.nii.gz", "", ""),
            ("one", "f.nii.gz", "", "", ""),
        ],
    )
    cases = found(path, models)
    assert list(cases["one"].sources) == ["flair", "t1"]
    assert (list(cases["two"].sources), cases["two"].model) == ([""], "tiny-ct")
    reasons = {name: one.reason for name, one in cases.items() if isinstance(one, Refused)}
    assert sorted(reasons) == ["gone", "late", "none", "odd", "one_2"]
    assert "no such file" in reasons["gone"]
    assert "no-such: not found" in reasons["odd"]
    assert "names no flair" in reasons["late"]
    assert "twice" in reasons["one_2"]


def test_a_manifest_as_parquet_is_the_same(tmp_path, models):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    write_image(tmp_path / "f.nii.gz")
    table = pyarrow.table({"case": ["one", "two"], "volume": ["f.nii.gz", None]})
    parquet.write_table(table, tmp_path / "m.parquet")
    cases = found(tmp_path / "m.parquet", models)
    assert list(cases["one"].sources) == [""]
    assert "names no image" in cases["two"].reason


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be with its sign"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "sep=;", "sep=|"])
def test_a_manifest_may_be_as_any_spreadsheet_saves_it(tmp_path, models, coding, separator):
    above, sign = (f"{separator}\r\n", separator[4:]) if "sep" in separator else ("", separator)
    write_image(tmp_path / "bär, links; 1.nii.gz")
    rows = (
        ("case", "model", "volume"),
        ("Bär", "", '"bär, links; 1.nii.gz"'),
        ("", "", ""),
        ("zwei", "tiny-ct", "fehlt.nii.gz"),
        (" ", "", ""),
    )
    text = above + "".join(f"{sign.join(row)}\r\n" for row in rows)
    sign_of_order = "\ufeff" if "with" in coding else ""
    (tmp_path / "m.csv").write_bytes((sign_of_order + text).encode(coding.split()[0]))
    cases = found(tmp_path / "m.csv", models)
    assert sorted(cases) == ["Bär", "zwei"]
    assert cases["Bär"].sources[""].path == tmp_path / "bär, links; 1.nii.gz"
    assert cases["zwei"].reason.startswith(f"line {5 if above else 4}: ")


def test_an_image_beyond_the_headings_is_not_passed_over(tmp_path, models):
    for name in ("a", "P1, left"):
        write_image(tmp_path / f"{name}.nii.gz")
    path = tmp_path / "m.csv"
    path.write_text("case,volume,model\none,a.nii.gz,,\ntwo,P1, left.nii.gz,tiny-ct\n")
    path.write_text(path.read_text() + "three,a.nii.gz,,P1.nii.gz\nfour,a.nii.gz\n")
    cases = found(path, models)
    assert {name for name, case in cases.items() if isinstance(case, Case)} == {"one", "four"}
    assert "line 4: has P1.nii.gz beyond the last heading" in cases["three"].reason


def test_a_column_without_a_heading_as_pandas_writes_is_no_image(tmp_path, models):
    write_image(tmp_path / "a.nii.gz")
    (tmp_path / "m.csv").write_text(",case,volume\n0,one,a.nii.gz\n")
    assert list(found(tmp_path / "m.csv", models)["one"].sources) == [""]


def test_a_parquet_with_a_column_twice_is_refused(tmp_path, models):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = [pyarrow.array([text]) for text in ("one", "a.nii.gz", "b.nii.gz")]
    table = pyarrow.Table.from_arrays(columns, names=["case", "flair", "flair"])
    parquet.write_table(table, tmp_path / "m.parquet")
    with pytest.raises(InputError, match="has several columns flair"):
        found(tmp_path / "m.parquet", models)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"case,flair,flair\na,b,c\n", "has several columns flair, expected one of each"),
        (b"case;volume\n", "has no rows"),
        (b"sep=;\ncase;\n;\n", "has no rows"),
        ("case,volume\na,b\n".encode("utf-16-le"), "no CSV in UTF-8"),
        ("case,volume\nBär,b\n".encode("cp1252"), "no CSV in UTF-8"),
        (b"", "has no rows"),
        (b"name,volume\na,b\n", "found the columns name, volume; expected case"),
        (b"case\na\n", "expected case"),
        (b"case,volume\n\xff\xfe,b\n", "no CSV in UTF-8"),
    ],
)
def test_a_manifest_that_is_none_is_refused_in_a_line(tmp_path, models, content, message):
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        found(tmp_path / "m.csv", models)


def test_an_input_that_is_not_there_is_refused(tmp_path, models):
    with pytest.raises(InputError, match="no such file or folder"):
        found(tmp_path / "absent", models)
    (tmp_path / "text.txt").write_text("x")
    with pytest.raises(InputError, match="expected a folder, an image"):
        found(tmp_path / "text.txt", models)


def test_rays_files_lie_where_temporary_files_are_to_where_tmp_cannot_be_written_to(
    tmp_path, monkeypatch
):
    """As in containers whose disk can only be read; its sockets want short paths else."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, _mode: str(path) != "/tmp")
    folder = ray_cluster._folder()
    assert folder.parent == tmp_path
    assert folder.is_dir()
