"""What DICOM results repeat of the images that they refer to: the patient, and what is odd."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

pytest.importorskip("highdicom", reason="it reads what is written")

from test_dicom_objects import checked, ct, labelled, voxels_of, written

from TumorSegLib.errors import OutputError
from TumorSegLib.reading.dicom_header import quiet_pydicom
from TumorSegLib.report.identification import said_by
from TumorSegLib.writing.dicom_source import MAY_BE_EMPTY, MUST_BE_THERE, find_source

pytestmark = pytest.mark.slow


def test_images_may_lack_who_the_patient_is(tmp_path):
    case = labelled(ct(tmp_path / "ct", **dict.fromkeys(MAY_BE_EMPTY)))
    out, report = written(tmp_path / "ct", case)
    np.testing.assert_array_equal(voxels_of(out, case), case.labelmap)
    assert checked("dciodvfy", out) == checked("dciodvfy", report) == []


def test_a_number_of_several_values_stays_as_dicom_has_it(tmp_path):
    """Some hospitals' numbers have a backslash, which separates values in DICOM."""
    case = labelled(ct(tmp_path / "ct", PatientID="47\\11", PatientName="DOE^JANE"))
    told = said_by(case.volume)
    assert (told["PatientID"], told["PatientName"]) == ("47\\11", "DOE^JANE")
    for path in written(tmp_path / "ct", case):
        assert list(pydicom.dcmread(path).PatientID) == ["47", "11"]


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("keyword", MUST_BE_THERE)
def test_images_that_lack_what_must_be_repeated_are_told_before_the_run(tmp_path, keyword, value):
    volume = ct(tmp_path / "ct", **{keyword: value})
    with pytest.raises(OutputError, match=f"lack {keyword}, which a DICOM segmentation repeats"):
        find_source(tmp_path / "ct", volume.grid)


def test_images_that_share_their_name_are_told_before_the_run(tmp_path):
    """All frames of a segmentation referred to the same image, which a reader cannot tell."""
    volume = ct(tmp_path / "ct", SOPInstanceUID="1.2.3.4")
    with pytest.raises(OutputError, match=r"its \d+ images have 1 SOPInstanceUIDs"):
        find_source(tmp_path / "ct", volume.grid)


@pytest.mark.parametrize(
    ("keyword", "other", "found"),
    [("PatientName", "Other^One", "2 patients"), ("StudyInstanceUID", "1.2.9", "2 studies")],
)
def test_images_of_several_patients_are_told_before_the_run(tmp_path, keyword, other, found):
    """A database that goes by series alone hands them over as one."""
    volume = ct(tmp_path / "ct")
    first = min((tmp_path / "ct").iterdir())
    dataset = pydicom.dcmread(first)
    setattr(dataset, keyword, other)
    dataset.save_as(first)
    with pytest.raises(OutputError, match=f"its images are of {found}, expected one"):
        find_source(tmp_path / "ct", volume.grid)


def test_what_no_value_of_dicom_is_becomes_empty(tmp_path):
    """Dates of strange shape, and a sex that is unknown, stopped a result after its run."""
    odd = {"PatientBirthDate": "??", "StudyDate": "2020-01-01", "StudyTime": "noon"}
    with quiet_pydicom():
        case = labelled(ct(tmp_path / "ct", **odd, PatientSex="U"))
    for path in written(tmp_path / "ct", case):
        dataset = pydicom.dcmread(path)
        assert [dataset[keyword].value for keyword in (*odd, "PatientSex")] == [""] * 4
        assert dataset.PatientID == "1"
        assert checked("dciodvfy", path) == []


JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"


@pytest.mark.parametrize("segment", ["Liver tumour", "肝肿瘤"])
@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        (["", "ISO 2022 IR 87"], JAPANESE),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 144", "Иванов^Пётр"),
        ("ISO 2022 IR 100", "Müller^Jo"),
        ("ISO_IR 6", "Smith^Jo"),
        ("", "Smith^Jo"),
        (None, "Smith^Jo"),
    ],
)
def test_a_patients_name_in_any_character_set(tmp_path, character_set, name, segment):
    """Sets with code extensions, as in Japan and Korea, and odd ones were refused."""
    said = {"SeriesDescription": "CT", "PatientName": name}
    series = {"SpecificCharacterSet": character_set, **said}
    case = labelled(ct(tmp_path / "ct", **series), **{"Liver tumour": segment})
    for path in written(tmp_path / "ct", case):
        dataset = pydicom.dcmread(path)
        assert dataset.PatientName == name
        expected = (character_set or None) if segment.isascii() else "ISO_IR 192"
        assert (dataset.get("SpecificCharacterSet") or None) == expected
    assert pydicom.dcmread(path.parent / "seg.dcm").SegmentSequence[1].SegmentLabel == segment


def test_no_warning_quotes_the_patients_name(tmp_path, recwarn, caplog, capfd):
    """highdicom and pydicom quote what they find odd, to the terminal or the worker's log."""
    odd = {"PatientBirthDate": "1937x", "StudyDate": "2020.01.01"}
    with quiet_pydicom():
        case = labelled(ct(tmp_path / "ct", PatientName="Ottokarius", **odd))
    written(tmp_path / "ct", case)
    assert [str(one.message) for one in recwarn] == []
    assert caplog.text + "".join(capfd.readouterr()) == ""
