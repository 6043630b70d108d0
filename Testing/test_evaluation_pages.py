"""Pages of evaluations: what they show, and that names in them are text."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tiny_models import ct_specification

from tumorseg_training.case import SkippedCase
from tumorseg_training.case_figures import LEVELS, CaseFigures, Snapshot
from tumorseg_training.comparison import NEW, Pair, write_comparison
from tumorseg_training.evaluation import Evaluation
from tumorseg_training.evaluation_page import evaluation_page, write_with_page
from tumorseg_training.metrics import Agreement, LesionCounts
from tumorseg_training.summary import summary

pytestmark = pytest.mark.slow

HOSTILE = "<script>alert('1 & 2')</script>"
ROOT = Path(__file__).resolve().parent.parent
VOID = {"meta", "img"}


class Content(HTMLParser):
    """The words, the tags and the table cells of a page; its tags must be closed in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.words, self.cells = [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data
        self.words += data.split() if "style" not in self.open else []

    @property
    def text(self):
        return " ".join(self.words)


def evaluation(name="first", gain=0.0, *, patients=6, task="segmentation", constant=None):
    random = np.random.default_rng(3)
    specification = replace(ct_specification(), title=f"Model {name}")
    if task == "detection":
        specification = replace(specification, task=task)
    cases = []
    for number in range(patients):
        dice = float(random.random()) / 2 + gain
        counts = ((0, 0, 1), (1, 0, 0), (1, 1, 0), (0, 0, 0))
        lesions = tuple(LesionCounts(*row) for row in counts)
        agreement = Agreement(dice, dice, dice, dice, 3.0, dice, 10.0, 11.0, lesions)
        structures = {label.name: agreement for label in specification.labels}
        truth = random.random(10) > 0.5 if constant is None else np.full(10, constant)
        picture = np.zeros((20, 20), np.uint8)
        picture[5:9, 5:9] = 1
        cases.append(
            CaseFigures(
                f"case{number}",
                f"p{number}",
                structures if task == "segmentation" else {},
                0.99,
                random.random(10),
                random.random(10) > 0.5,
                truth,
                np.ones((2, LEVELS), np.int64),
                1.5,
                Snapshot(3, picture, picture, picture.T, 1.0) if task == "segmentation" else None,
            )
        )
    return Evaluation(name, specification, tuple(cases))


def test_figures_are_kept_where_their_page_cannot_be_made(tmp_path):
    def page():
        raise RuntimeError("no font")

    with pytest.raises(RuntimeError, match="no font"):
        write_with_page(tmp_path / "results.json", {"dice": 0.9}, page)
    assert json.loads((tmp_path / "results.json").read_text("utf-8")) == {"dice": 0.9}


def test_a_page_shows_every_model_and_their_comparison():
    models = [evaluation("first"), evaluation("second", 0.1)]
    content = Content(evaluation_page(models, "Two models"))
    text = content.text
    assert text.startswith("Two models Two models Figures are means over patients")
    assert "counts as found when 10% of it is marked" in text
    for model in models:
        assert f"Model {model.name} {model.name}, version 1; 6 patients, 6 cases" in text
    assert text.count("6 of 12") == 4
    volumes = ["under 0.5 ml", "0.5 to 2 ml", "2 to 10 ml", "10 ml and more"]
    first = content.cells.index("under 0.5 ml")
    assert content.cells[first : first + 4] == volumes
    assert content.cells[first + 5 : first + 9] == [
        *("0 of 0; 1.00", "0 of 6; 0.00", "6 of 6; 0.00", "0 of 0; 0.00")
    ]
    assert "first less second" in content.cells
    assert text.count("The worst five") == 2
    pictures = [attributes for tag, attributes in content.tags if tag == "img"]
    assert len(pictures) == 2 * (3 + 5)
    assert all(picture["src"].startswith("data:image/png;base64,iVBOR") for picture in pictures)
    assert all(picture["alt"] in text for picture in pictures)
    assert "{" not in text
    assert not [
        value for _, found in content.tags for name, value in found.items() if name == "href"
    ]


def test_a_page_says_for_whom_a_model_does_worse():
    model = evaluation(patients=9)
    cases = []
    for number, case in enumerate(model.cases):
        liver = replace(case.structures["Liver"], reference_ml=400.0 * number + 40, dice=0.9)
        if number >= 6:
            liver = replace(liver, dice=0.6)
        absent = replace(case.structures["Liver tumour"], reference_ml=0.0)
        structures = {"Liver": liver, "Liver tumour": absent}
        thickness = 5.0 if number == 3 else 2.0
        cases.append(replace(case, structures=structures, slice_mm=thickness))
    figures = summary(replace(model, cases=tuple(cases)))
    rows = [(row["by"], row["group"], row["dice"]["patients"]) for row in figures["strata"]]
    assert rows == [
        ("Liver, ml", "up to 1107", 3),
        ("Liver, ml", "1107 to 2173", 3),
        ("Liver, ml", "over 2173", 3),
        ("Liver, mm between slices", "up to 2", 8),
        ("Liver, mm between slices", "over 4", 1),
    ]
    assert figures["strata"][2]["dice"]["mean"] == pytest.approx(0.6)
    content = Content(evaluation_page([replace(model, cases=tuple(cases))], "Groups"))
    worst = "0.600 (0.600 to 0.600)"
    first = content.cells.index("over 2173")
    assert content.cells[first - 1 : first + 3] == ["Liver, ml", "over 2173", "3", worst]
    assert summary(evaluation(patients=8))["strata"] == []


def test_detectors_have_no_structures():
    content = Content(evaluation_page([evaluation(task="detection")], "Detector"))
    assert "Structure" not in content.cells
    assert "ROC AUC" in content.text


@pytest.mark.parametrize("constant", [True, False])
def test_slices_of_one_kind_have_no_curve(constant):
    content = Content(evaluation_page([evaluation(constant=constant)], "One kind"))
    assert "ROC AUC n/a" in content.text


def test_names_are_text():
    model = evaluation(HOSTILE)
    cases = tuple(replace(case, case=HOSTILE, patient=HOSTILE) for case in model.cases)
    failed = (SkippedCase(HOSTILE, HOSTILE),)
    model = replace(model, cases=cases, failed=failed)
    model = replace(model, model=replace(model.model, title=HOSTILE, version=HOSTILE))
    content = Content(evaluation_page([model], HOSTILE))
    assert not [tag for tag, _ in content.tags if tag == "script"]
    assert f"Left out: {HOSTILE}: {HOSTILE}" in content.text
    assert [found["alt"] for tag, found in content.tags if tag == "img"][-1].startswith(HOSTILE)


def test_a_retraining_begins_with_its_verdict(tmp_path):
    base, retrained = evaluation("base"), evaluation("retrained", 0.2)
    retrained = replace(retrained, model=replace(retrained.model, version="<2>"))
    written = write_comparison([Pair(NEW, base, retrained)], tmp_path, "Retrained & measured")
    content = Content((tmp_path / "comparison.html").read_text("utf-8"))
    assert content.text.startswith(
        f"Retrained & measured Retrained & measured tiny-ct <2> is {written['reason']}."
    )
    assert content.cells[:6] == [
        *("Held-out cases", "Structure", "Patients", "tiny-ct 1", "tiny-ct <2>", "Difference")
    ]
    (liver, _) = written["rows"]
    assert "+0.200 (+0.200 to +0.200)" in content.cells
    for patient, (before, after) in liver["by_patient"].items():
        row = [f"{NEW}: {patient}", "Liver", f"{before:.3f}", f"{after:.3f}"]
        place = content.cells.index(row[0])
        assert content.cells[place : place + 4] == row
    assert not math.isnan(liver["base"])


def test_a_comparison_is_computed_once(tmp_path, monkeypatch):
    from tumorseg_training import comparison

    computed, compare = [], comparison.compare
    monkeypatch.setattr(comparison, "compare", lambda *given: computed.append(1) or compare(*given))
    base, retrained = evaluation("base"), evaluation("retrained", 0.2)
    written = write_comparison([Pair(NEW, base, retrained)], tmp_path, "Retrained")
    assert comparison.table(written).row_count == len(written["rows"])
    assert comparison.in_words(written["rows"]).startswith("Mean Dice beside the base: Liver ")
    assert len(computed) == len(written["rows"])


def test_templates_are_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["tumorseg_training"]
    package = ROOT / "training" / "tumorseg_training"
    installed = {path for pattern in patterns for path in package.glob(pattern)}
    assert installed >= set((package / "templates").iterdir())
