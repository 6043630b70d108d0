"""What models derive from their measurements: described in model.json, not in code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results import result_of, two_structures
from tiny_models import ct_specification

from TumorSegLib.inference.summary import summary
from TumorSegLib.measurement.derived import DerivedValue, derive
from TumorSegLib.measurement.segment import measure
from TumorSegLib.model.bundle import read_bundle
from TumorSegLib.model.code import CodedConcept
from TumorSegLib.model.derived import Count, Difference, Ratio, Sum
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.report.overview_picture import figure_lines, report_picture
from TumorSegLib.support.schema import SchemaError, from_dict, to_dict

MODELS = Path(__file__).parents[1] / "Resources" / "Models"
VOLUME = CodedConcept("SCT", "118565006", "Volume")
LIVER = (
    Sum("whole", "Liver with tumours", ("Liver",), code=VOLUME),
    Difference("rest", "Liver without tumours", "Liver", ("Liver tumour",), unit="l"),
    Count("tumours", "Number of tumours", "Liver tumour"),
    Ratio("burden", "Tumour burden", ("Liver tumour",), ("Liver",), unit="%"),
    Sum("area", "Mean area", ("Liver",), "mean_area", "cm2"),
    Difference("rest_area", "Mean area, rest", "Liver", ("Liver tumour",), "mean_area", "mm2"),
    Ratio("areas", "Of areas", ("Liver tumour",), ("Liver",), "mean_area"),
)


def derived_of(labelmap, derived=LIVER):
    specification = ct_specification(derived=derived)
    values = derive(derived, measure(result_of(labelmap, specification, spacing=(2.0, 1.0, 5.0))))
    return {value.key: value.value for value in values}


def test_values_by_hand():
    labelmap = two_structures()
    voxel = 2.0 * 1.0 * 5.0 / 1000
    liver, tumour = np.count_nonzero(labelmap), np.count_nonzero(labelmap == 2)
    found = derived_of(labelmap)
    assert found["whole"] == pytest.approx(liver * voxel)
    assert found["rest"] == pytest.approx((liver - tumour) * voxel / 1000)
    assert found["tumours"] == 2
    assert isinstance(found["tumours"], int)
    assert found["burden"] == pytest.approx(100 * tumour / liver)
    slices, tumour_slices = 5, 3  # slices 1 to 4 and 6; 2, 3 and 6
    assert found["area"] == pytest.approx(liver * 2 / slices / 100)
    assert found["rest_area"] == pytest.approx((liver - tumour) * 2 / slices)
    assert found["areas"] == pytest.approx((tumour / tumour_slices) / (liver / slices))


def test_nothing_found_is_nothing_divided():
    found = derived_of(np.zeros((4, 6, 8), np.uint8))
    assert found == {
        "whole": 0,
        "rest": 0,
        "tumours": 0,
        "burden": None,
        "area": 0,
        "rest_area": 0,
        "areas": None,
    }


def test_a_liver_without_tumour_has_no_burden():
    labelmap = two_structures()
    labelmap[labelmap == 2] = 1
    found = derived_of(labelmap)
    assert (found["tumours"], found["burden"]) == (0, 0)
    assert found["rest"] == pytest.approx(found["whole"] / 1000)


def test_what_needs_a_segment_that_is_missing_has_no_value():
    result = result_of(two_structures(), ct_specification())
    (liver, _) = measure(result)
    values = {value.key: value.value for value in derive(LIVER, [liver])}
    assert values["whole"] > 0
    assert [values[key] for key in ("rest", "tumours", "burden", "areas")] == [None] * 4


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1534.4, "ml", "1534 ml"),
        (0.347, "ml", "0.35 ml"),
        (12.34, "%", "12.3 %"),
        (3, "1", "3"),
        (0.5, "1", "0.50"),
        (99.97, "cm2", "100 cm²"),
        (None, "%", "-"),
    ],
)
def test_text_has_the_digits_that_count(value, unit, text):
    assert DerivedValue("key", "Name", value, unit).text == text


@pytest.mark.parametrize(
    "folder",
    sorted(path.parent for path in MODELS.glob("*/model.json")),
    ids=lambda folder: folder.name,
)
def test_shipped_models_derive_what_clinicians_ask(folder):
    specification = read_bundle(folder).specification
    keys = {item.key for item in specification.derived}
    expected = {
        "liver": {"liver_with_tumours", "liver_without_tumours", "tumours", "tumour_burden"},
        "fat": {
            "subcutaneous_fat",
            "visceral_fat",
            "subcutaneous_area",
            "visceral_area",
            "visceral_to_subcutaneous",
        },
        "brain": {"abnormality", "abnormalities"},
    }
    wanted = expected[folder.name.split("-")[0]] if specification.task == "segmentation" else set()
    assert keys == wanted
    assert all(item.code is not None for item in specification.derived)


def test_specifications_with_derived_values_survive_json():
    specification = ct_specification(derived=LIVER)
    again = from_dict(ModelSpecification, json.loads(json.dumps(to_dict(specification))))
    assert again.derived == LIVER


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"kind": "product", "key": "a", "name": "A"}, "derived[0].kind: found 'product'"),
        ({"kind": "sum", "key": "a", "name": "A"}, "derived[0].labels: missing"),
        ({"kind": "sum", "key": "a", "name": "A", "labels": []}, "a: expected one label or more"),
        ({"kind": "sum", "key": "A b", "name": "A", "labels": ["Liver"]}, "key 'A b' is not"),
        ({"kind": "sum", "key": "a", "name": "A", "labels": ["liver"]}, "no label 'liver'"),
        (
            {"kind": "sum", "key": "a", "name": "A", "labels": ["Liver", "Liver tumour"]},
            "Liver tumour would count twice",
        ),
        (
            {"kind": "sum", "key": "a", "name": "A", "labels": ["Liver", "Liver"]},
            "Liver would count twice",
        ),
        (
            {"kind": "sum", "key": "a", "name": "A", "labels": ["Liver"], "unit": "cm2"},
            "unit 'cm2', expected one of ml, l",
        ),
        (
            {
                "kind": "difference",
                "key": "a",
                "name": "A",
                "label": "Liver tumour",
                "less": ["Liver"],
            },
            "Liver is no part of Liver tumour, which includes nothing",
        ),
        (
            {"kind": "count", "key": "a", "name": "A", "label": "Liver", "unit": "ml"},
            "derived[0].unit: unknown key",
        ),
        (
            {
                "kind": "ratio",
                "key": "a",
                "name": "A",
                "numerator": ["Liver"],
                "denominator": [],
                "unit": "%",
            },
            "a: expected one label or more",
        ),
    ],
)
def test_what_cannot_be_derived_is_refused(item, message):
    content = to_dict(ct_specification()) | {"derived": [item]}
    with pytest.raises(SchemaError) as refused:
        from_dict(ModelSpecification, content)
    assert message in str(refused.value)


def test_one_key_stands_once():
    with pytest.raises(ValueError, match="key whole stands twice"):
        ct_specification(derived=(LIVER[0], replace(LIVER[1], key="whole")))


def test_json_has_lesions_and_derived_values():
    result = result_of(two_structures(), ct_specification(derived=LIVER))
    printed = json.loads(json.dumps(summary(result, measure(result), [Path("out.nrrd")], [])))
    liver, tumour = printed["segments"]
    assert {"name", "label", "voxels", "volume_ml", "components", "largest_component_ml"} <= set(
        liver
    )
    assert liver["lesions"] == []
    assert [lesion["number"] for lesion in tumour["lesions"]] == [1, 2]
    assert tumour["lesions"][0]["volume_ml"] == tumour["largest_component_ml"]
    assert len(liver["areas_mm2"]) == 7
    assert printed["derived"][0] == {
        "key": "whole",
        "name": "Liver with tumours",
        "value": pytest.approx(liver["volume_ml"]),
        "unit": "ml",
        "code": {"scheme": "SCT", "value": "118565006", "meaning": "Volume"},
    }
    empty = result_of(np.zeros((3, 8, 8)), ct_specification(derived=LIVER))
    printed = json.loads(json.dumps(summary(empty, measure(empty), [Path("out.nrrd")], [])))
    assert printed["segments"][1]["lesions"] == []
    assert printed["segments"][1]["centroid_mm"] is None
    assert printed["derived"][3]["value"] is None


def test_the_report_shows_lesions_and_derived_values():
    specification = ct_specification(derived=LIVER)
    result = result_of(two_structures(), specification, spacing=(2.0, 1.0, 5.0))
    lines = figure_lines(specification, measure(result))
    assert lines[2] == "Number of tumours: 2"
    assert lines[len(LIVER)] == "Liver tumour 1: 0.36 ml, 12.2 x 3.0 mm on slice 3"
    assert lines[-1].startswith("Liver tumour 2: 0.01 ml, 2.0 x 1.0 mm on slice 7")
    plainer = report_picture(
        result_of(two_structures(), ct_specification(), spacing=(2.0, 1.0, 5.0))
    )
    assert report_picture(result).height - plainer.height == 22 * len(LIVER)


def test_of_many_lesions_the_report_shows_the_largest():
    labelmap = np.zeros((3, 60, 60), np.uint8)
    labelmap[1, ::6, ::6] = 2
    labelmap[1, 0:2, 0:3] = 2
    specification = ct_specification()
    lines = figure_lines(specification, measure(result_of(labelmap, specification)))
    assert len(lines) == 9
    assert lines[0].startswith("Liver tumour 1: ")
    assert lines[-1] == "and 92 more"
