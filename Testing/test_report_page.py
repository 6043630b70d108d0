"""The report as a page: what it says, that it needs nothing else, and that no name can harm it."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from report_reading import read_page
from results import result_of, two_structures
from test_grid import ORIENTATIONS, rotation_about, stored_as
from tiny_models import ALTERED, LIVER, MASS, ORGAN, brain_specification, ct_specification

from TumorSegLib.errors import InputError
from TumorSegLib.image.correction import Changes, SegmentChange
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.measurement.derived import SYMBOLS
from TumorSegLib.measurement.table import Column, Table
from TumorSegLib.model.derived import Count, Difference, Ratio, Sum
from TumorSegLib.model.evaluation import Evaluation, Lesions, PatientMean, StructureEvaluation
from TumorSegLib.model.specification import Label
from TumorSegLib.report.blocks import Document, Lines, Pictures, Section, printable
from TumorSegLib.report.content import NOTICE, document_of
from TumorSegLib.report.findings import findings_of_segments
from TumorSegLib.report.page import page_of
from TumorSegLib.report.subject import Comparison, settings_of, subject_of
from TumorSegLib.slicer_io.named_mask import NamedMask

pytestmark = pytest.mark.slow

EVIL = "<script>alert(\"x\")</script> & 'Leber' {{ 7 * 6 }}"


@pytest.fixture(autouse=True)
def without_vtk(monkeypatch):
    monkeypatch.setattr("TumorSegLib.report.surface_pictures._has_vtk", lambda: False)


def liver_result(labelmap=None, specification=None, **more):
    labelmap = two_structures() if labelmap is None else labelmap
    return result_of(labelmap, specification or liver_specification(), **more)


def liver_specification(**changes):
    return ct_specification(
        derived=(
            Sum("all", "Liver with tumours", ("Liver",), unit="ml"),
            Difference("rest", "Liver without tumours", "Liver", ("Liver tumour",), unit="ml"),
            Count("tumours", "Number of tumours", "Liver tumour"),
            Ratio("burden", "Tumour burden", ("Liver tumour",), ("Liver",), unit="%"),
        ),
        licence="CC BY-NC-ND 4.0",
        evaluation=Evaluation(
            measured_on="patients kept aside",
            patients=26,
            model="tiny-ct",
            version="0.9",
            structures={
                "Liver tumour": StructureEvaluation(
                    dice=PatientMean(0.532, 0.399, 0.663, 0.668, 26),
                    lesions=Lesions(152, 72, 0.7),
                )
            },
        ),
        **changes,
    )


def page_for(subject):
    return read_page(page_of(document_of(subject)))


def specks(count=400):
    labelmap = np.ones((10, 82, 82), np.uint8)
    places = [(z, y, x) for z in range(1, 10, 4) for y in range(1, 81, 5) for x in range(1, 81, 5)]
    for number, (z, y, x) in enumerate(places[:count]):
        labelmap[z, y, x] = 2
        if number < 3:
            labelmap[z, y, x + 1] = 2
    return labelmap


def test_the_page_needs_nothing_else_and_lets_nothing_run():
    html = page_of(document_of(subject_of(liver_result())))
    page = read_page(html)
    assert not page.named("script", "link", "iframe", "object", "embed", "form", "base", "a")
    for name, attributes in page.tags:
        for key, value in attributes.items():
            assert not key.startswith("on")
            assert key not in ("href", "srcset", "style", "xlink:href")
            assert "//" not in value or value.startswith("data:image/"), (name, key)
    sources = [attributes["src"] for attributes in page.named("img")]
    assert sources
    assert all(re.match(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+$", one) for one in sources)
    assert "url(" not in page.style
    assert "@import" not in page.style
    (policy,) = [
        one["content"]
        for one in page.named("meta")
        if one.get("http-equiv") == "Content-Security-Policy"
    ]
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert allowed["default-src"] == "'none'"
    assert allowed["img-src"] == "data:"
    assert allowed["style-src"] == f"'sha256-{digest}'"
    assert page.named("meta")[0] == {"charset": "utf-8"}


def test_it_says_what_was_found_first_and_how_it_was_made_last():
    result = liver_result()
    page = page_for(subject_of(result, RunOptions(slices=(0, 5)), sequences=("CT",)))
    liver, tumour = result.measurements
    assert NOTICE in page.text
    assert page.facts["Liver with tumours"].startswith(f"{liver.volume_ml:.2f} ml")
    part = tumour.parts[0]
    assert "in 2 lesions, the largest" in page.facts["Liver tumour"]
    assert f"on slice {part.slice_index + 1}" in page.facts["Liver tumour"]
    assert page.facts["Tumour burden"] == f"{100 * tumour.voxels / liver.voxels:.2f} %"
    assert "Liver without tumours" in page.facts
    assert not {"Liver", "Number of tumours"} & page.facts.keys()  # said already
    assert "Not for commercial purposes" in page.facts["Licence of its weights"]
    assert page.facts["Model"] == "Tiny CT model (tiny-ct), version 1"
    assert page.facts["Slices segmented"] == "1 to 5 only"
    assert page.facts["Device"] == "cpu, fp32"
    segments, lesions, unsure, accuracy = page.tables
    assert [row[0] for row in segments] == ["Segment", "Liver", "Liver tumour"]
    assert [row[0] for row in lesions] == ["Lesion", "1", "2*"]
    assert unsure[1][0] == "7"  # the last slice has the largest expected correction
    assert accuracy[1][0] == "Liver tumour"
    assert accuracy[1][1] == "0.53 (0.40 to 0.66)"
    assert "72 of 152" in accuracy[1]
    assert "tiny-ct 0.9 on 26 patients" in page.text
    assert page.text.index("Findings") < page.text.index("Views") < page.text.index("Licence")


def test_names_are_shown_as_they_are_and_never_run():
    label = Label(1, EVIL, (255, 0, 0), ALTERED, MASS)
    specification = brain_specification(labels=(label,), title=EVIL)
    result = result_of(two_structures() % 2, specification, name=EVIL)
    result = replace(result, warnings=(f"{EVIL}: odd",))
    subject = subject_of(result, identification=(("Patient's name", EVIL),))
    page = page_for(subject)
    assert not page.named("script")
    assert page.facts["Patient's name"] == EVIL
    assert page.tables[0][1][0] == EVIL
    assert "42" not in page.facts["Patient's name"]


@pytest.mark.parametrize(
    "name", ["肝转移灶", "Läsion ½ №7", "печень", "\u202egpj.exe", "a\udc80b\x00c\n\nd"]
)
def test_names_in_every_script(name):
    label = Label(1, name, (255, 0, 0), ALTERED, MASS)
    html = page_of(
        document_of(
            subject_of(result_of(two_structures() % 2, brain_specification(labels=(label,))))
        )
    )
    page = read_page(html)
    shown = page.tables[0][1][0]
    assert shown == printable(name)
    assert html.encode()
    assert not any(sign in shown for sign in "\u202e\udc80\x00\n")


@pytest.mark.parametrize("name", ["肝肿瘤", "ورم الكبد", "<b>Leber</b>"])
def test_the_plot_of_areas_has_its_names_in_text(name):
    """In the picture itself every letter that its font lacks was a question mark."""
    specification = replace(liver_specification(), derived=())
    labels = [replace(one, name=name) if one.value == 2 else one for one in specification.labels]
    result = liver_result(specification=replace(specification, labels=tuple(labels)))
    document = document_of(subject_of(result))
    plot = document.sections[-4].blocks[0].pictures[0]
    assert [one for one, _ in plot.legend] == ["Liver", name]
    assert f"Area on each sliceLiver{name}" in read_page(page_of(document)).text


def test_numbers_stay_behind_a_name_from_right_to_left():
    """Without isolation "12.0 mm" is shown before the name, and its parts in another order."""
    text = "Target: ورم الكبد 1 (12.0 mm), גידול 2 (8.0 mm) <b>"
    html = page_of(Document("", "", "", (Section("", (Lines((text,)),)),), ""))
    assert (
        "<p>Target: <bdi>ورم الكبد</bdi> 1 (12.0 mm), <bdi>גידול</bdi> 2 (8.0 mm) &lt;b&gt;</p>"
    ) in html


def test_nothing_identifies_unless_asked_for():
    result = liver_result(name="DOE_JANE_19700101")
    result = replace(result, warnings=("DOE_JANE_19700101: slices are thick",))
    html = page_of(document_of(subject_of(result)))
    assert "DOE" not in html
    assert "the volume: slices are thick" in html
    asked = page_for(subject_of(result, identification=(("Volume", "DOE_JANE_19700101"),)))
    assert asked.facts["Volume"] == "DOE_JANE_19700101"
    assert "DOE_JANE_19700101: slices are thick" in asked.text


def test_no_volume_of_the_run_is_named_in_a_warning():
    """Nor is a word of the line taken for a name, as "ct" in "detector" for that of a folder."""
    result = replace(
        liver_result(name="ct"),
        names={"flair": "DOE_JANE", "t1": "DOE_JANE_T1", "t2": "ct"},
        warnings=(
            "DOE_JANE: slices are thick",
            "DOE_JANE_T1: its name says T2, expected T1",
            "ct: its detector says ct",
        ),
    )
    page = page_for(subject_of(result))  # the volume has got another name since
    for line in (
        "the volume: slices are thick",
        "channel t1: its name says T2, expected T1",
        "the volume: its detector says ct",
    ):
        assert line in page.text
    named = page_for(subject_of(result, identification=(("Volume", "ct"),)))
    assert "DOE_JANE_T1" not in named.text
    assert "channel t2: its detector says ct" in named.text


def test_nothing_found():
    page = page_for(subject_of(liver_result(np.zeros((9, 20, 24)))))
    assert page.facts["Liver"] == page.facts["Liver tumour"] == "not found"
    assert "Tumour burden" not in page.facts
    assert len(page.named("img")) == 3 + 4  # planes through the middle, four slices
    assert "the middle of the volume" in page.text


def test_a_liver_without_tumour():
    page = page_for(subject_of(liver_result(two_structures() % 2)))
    assert page.facts["Liver tumour"] == "not found"
    assert page.facts["Tumour burden"] == "0.00 %"
    assert [table[0][0] for table in page.tables] == ["Segment", "Slice", "Structure"]
    assert "Planes through Liver." in page.text


def test_many_lesions_are_cut_with_a_line_that_counts_the_others():
    page = page_for(subject_of(liver_result(specks())))
    lesions = next(table for table in page.tables if table[0][0] == "Lesion")
    assert len(lesions) == 1 + 30
    assert "and 370 more, each of" in page.text
    assert "400 lesions" in page.facts["Liver tumour"]


def test_what_is_not_known_is_said():
    result = liver_result(specification=ct_specification())
    page = page_for(replace(subject_of(result), as_drawn=False))
    assert "The accuracy of this model was not measured." in page.text
    assert "not stated" in page.facts["Licence of its weights"]
    assert "No 3-D picture: VTK is not installed." in page.text
    assert "what the model drew was not kept" in page.text
    by_hand = page_for(replace(subject_of(result), specification=None, corrections_mm2=()))
    assert "Segmented by hand" in by_hand.text
    assert "Model" not in by_hand.facts
    assert "Slice" not in [table[0][0] for table in by_hand.tables]


def test_corrections_review_and_follow_up_are_shown():
    changes = Changes(
        (SegmentChange("Liver", 3, 4.5, 0.981), SegmentChange("Liver tumour", 0, 0, 1)),
        SegmentChange("", 3, 4.5, 0.981),
        (1, 2, 4),
    )
    table = Table((Column("Earlier"), Column("Change")), (("1", "grown"),))
    subject = replace(
        subject_of(liver_result()),
        changes=changes,
        reviewed=True,
        follow_up=Comparison(table, "RECIST 1.1, computed from the table: PD\nSum now: 12 mm"),
    )
    page = page_for(subject)
    assert ["Liver", "3", "4.50", "0.981"] in [row for table in page.tables for row in table]
    assert "Slices changed: 2, 3, 5." in page.text
    assert "Marked as looked through" in page.text
    assert [["Earlier", "Change"], ["1", "grown"]] in page.tables
    assert "computed from the table: PD" in page.text
    untouched = replace(subject, changes=replace(changes, whole=replace(changes.whole, slices=0)))
    assert "Nothing: the segments are as the model drew them." in page_for(untouched).text


def test_the_same_report_whatever_the_order_of_the_array():
    rotation = rotation_about(0, 15) @ rotation_about(2, 8)
    voxels = np.random.default_rng(0).integers(0, 500, (7, 20, 24)).astype(np.int16)
    expected = None
    for axes, signs in ORIENTATIONS[::5]:
        labelmap, direction = stored_as(two_structures(), axes, signs, rotation)
        stored, _ = stored_as(voxels, axes, signs)
        spacing_zyx = np.array([4.5, 0.7, 0.9])[list(axes)]
        result = liver_result(
            labelmap,
            spacing=tuple(spacing_zyx[::-1].tolist()),
            direction=direction,
            voxels=np.ascontiguousarray(stored),
        )
        document = document_of(subject_of(result))
        pictures = [
            picture.data
            for section in document.sections
            for block in section.blocks
            if isinstance(block, Pictures)
            for picture in block.pictures
        ]
        expected = expected or pictures
        assert pictures == expected
        assert "acquired at 15°" in page_of(document)


def test_planes_lie_as_radiologists_look_at_them():
    labelmap = np.zeros((20, 40, 40), np.uint8)
    labelmap[15:19, 4:9, 30:36] = 1  # high, in front, on the patient's left
    voxels = np.full(labelmap.shape, 40, np.int16)
    voxels[0, 0, 0] = 0
    result = result_of(labelmap, brain_specification(), spacing=(1.0, 1.0, 2.0), voxels=voxels)
    document = document_of(subject_of(result))
    views = next(section for section in document.sections if section.title == "Views")
    pictures = next(block for block in views.blocks if isinstance(block, Pictures)).pictures
    assert [one.caption for one in pictures] == ["Axial slice 16 of 20", "Coronal", "Sagittal"]
    expected = [(0.83, 0.17), (0.83, 0.15), (0.17, 0.15)]  # across, down
    for picture, (across, down) in zip(pictures, expected, strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB"), float)
        rows, columns = np.nonzero((pixels[..., 0] > 180) & (pixels[..., 2] < 90))
        assert columns.mean() / picture.size[0] == pytest.approx(across, abs=0.05)
        assert rows.mean() / picture.size[1] == pytest.approx(down, abs=0.05)


@pytest.mark.parametrize("shape", [(1, 2, 2), (1, 1, 300), (300, 1, 1), (2, 512, 512)])
@pytest.mark.parametrize("value", [0, 1])
def test_odd_shapes(shape, value):
    voxels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    result = result_of(np.full(shape, value), brain_specification(), voxels=voxels)
    assert page_for(subject_of(result)).named("img")


def test_colours_that_are_hard_to_tell_apart_are_changed():
    labels = (
        Label(1, "Liver", (221, 130, 101), ORGAN, LIVER, includes=(2,)),
        Label(2, "Liver tumour", (255, 196, 0), ALTERED, MASS, LIVER),
    )
    first, second = subject_of(liver_result(specification=ct_specification(labels=labels))).findings
    assert first.colour == (255, 230, 0)
    assert np.linalg.norm(np.subtract(first.colour, second.colour)) > 100


def test_units_are_shown_as_in_other_tables():
    assert SYMBOLS["mm2"] == "mm²"
    headings = page_for(subject_of(liver_result())).tables[0][0]
    assert headings[4] == "Surface (cm²)"
    assert headings[5] == "Mean ± SD (HU)"
    head = result_of(two_structures() % 2, brain_specification())
    assert page_for(subject_of(head)).tables[0][0][5] == "Mean ± SD"


def test_segments_of_a_scene_are_shown_with_their_parts():
    result = liver_result()
    affine = result.volume.grid.affine
    crop = (slice(1, 7), slice(2, 20), slice(3, 24))
    corner = affine.copy()
    corner[:3, 3] = (affine @ [3, 2, 1, 1])[:3]
    segments = [
        NamedMask("a", " LIVER  ", result.labelmap[crop], 1, corner),
        NamedMask("b", "Liver tumour", result.labelmap, 2, affine),
        NamedMask("c", "肝转移灶", result.labelmap, 2, affine),
        NamedMask("d", "empty", result.labelmap[:0], 1, affine),
    ]
    colours = {"a": (1, 2, 3), "c": (4, 5, 6)}
    found = findings_of_segments(
        result.volume, segments, result.specification, colours=colours, lesions=["c"]
    )
    whole, part = result.measurements
    assert [one.measurement.voxels for one in found] == [whole.voxels, part.voxels, part.voxels, 0]
    assert [one.is_lesion for one in found] == [False, True, True, False]
    assert [one.colour for one in found][0::2] == [(1, 2, 3), (4, 5, 6)]
    own = subject_of(result).findings
    for one, other in zip(found, own, strict=False):
        assert one.box == other.box
        np.testing.assert_array_equal(one.mask, other.mask)
    elsewhere = replace(segments[0], affine=np.diag([2.0, 2.0, 2.0, 1.0]))
    with pytest.raises(InputError, match="another grid"):
        findings_of_segments(result.volume, [elsewhere], None, colours={})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"modality": "CT"}, "CT, as its header"),
        ({"modality": None}, "CT, by its values, which have air as in Hounsfield units"),
        ({"modality": None, "voxels": "bright", "name": "x FLAIR"}, "name or header tells: flair"),
        ({"modality": None, "voxels": "bright", "name": "x"}, "MR, a guess: neither header"),
    ],
)
def test_it_says_what_the_image_was_taken_for_and_why(changes, words):
    result = liver_result()
    voxels = np.random.default_rng(0).integers(-1000, 900, result.volume.grid.shape)
    if changes.get("voxels") == "bright":
        voxels = np.abs(voxels)
    volume = replace(result.volume, **{**changes, "voxels": voxels.astype(np.int16)})
    page = page_for(subject_of(replace(result, volume=volume), RunOptions()))
    assert words in page.facts["Taken for"]


def test_settings_name_no_folder():
    options = RunOptions(mirror_tta=True, slice_detector="/home/doe/models/gate", slices=(2, 5))
    facts = dict(settings_of("cuda:0", "bf16", 2.5, options, sequences=("FLAIR", "T1")))
    assert facts == {
        "Device": "cuda:0, bf16",
        "Averaged with mirrored slices": "yes",
        "Slices chosen by": "gate, from a probability of 0.2",
        "Slices segmented": "3 to 5 only",
        "Sequences": "FLAIR, T1",
        "Time": "2.5 s",
    }


def test_settings_say_which_slices_the_network_saw():
    words = "90 of 200, those that the organ may reach"
    result = replace(liver_result(), settings={"slices": words})
    page = page_for(subject_of(result, RunOptions()))
    assert page.facts["Slices that the network saw"] == words
    assert "Slices that the network saw" not in page_for(subject_of(liver_result())).facts


def test_every_printed_page_has_the_notice():
    page = page_for(subject_of(liver_result()))
    margin = page.style.partition("@bottom-left")[2].partition("}")[0]
    assert f'content: "{NOTICE}"' in margin


def test_short_tables_are_not_cut_by_a_page_and_long_ones_repeat_their_headings():
    page = page_for(subject_of(liver_result(specks())))
    kinds = [one["class"] for one in page.named("div") if one["class"].startswith("table")]
    assert kinds == ["table short", "table", "table short", "table short"]
    printed = page.style[page.style.index("@media print") :]
    assert re.search(r"\.short[^}]*break-inside: avoid", printed)
    assert "table-header-group" in printed
    assert "size: A4" in page.style
