"""Terminology, colour tables, sample data and the self test that come with the extension."""

from __future__ import annotations

import json
import sys

import pytest
from panel_bench import ROOT

from TumorSegLib.model.catalogue import SHIPPED, Catalogue
from TumorSegLib.slicer_io.terminology import CATEGORY_CONTEXT

TERMINOLOGY = ROOT / "Resources" / "Terminology" / "TumorSeg.term.json"
BUNDLES = [b for b in Catalogue.of([SHIPPED]).bundles if b.specification.task == "segmentation"]


def test_the_terminology_is_known_to_the_application(host):
    logic = host.modules.terminologies.logic()
    assert CATEGORY_CONTEXT in logic.LoadTerminologyFromFile(str(TERMINOLOGY))


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.id)
def test_the_models_codes_are_in_the_terminology(bundle):
    categories = json.loads(TERMINOLOGY.read_text())["SegmentationCodes"]["Category"]
    codes = {
        (category["CodeValue"], kind["CodeValue"])
        for category in categories
        for kind in category["Type"]
    }
    for label in bundle.specification.labels:
        assert (label.category.value, label.type.value) in codes, label.name


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.id)
def test_a_colour_table_has_the_models_labels(host, bundle):
    tables = sorted((ROOT / "Resources" / "ColorTables").glob("*.ctbl"))
    wanted = {(label.value, label.name, label.colour) for label in bundle.specification.labels}
    assert any(wanted <= _entries(host, table) for table in tables), wanted


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.id)
def test_a_models_details_name_its_network_and_the_networks_size(host, bundle):
    from TumorSegModule.logic.model_texts import network_of

    model = bundle.specification
    if model.network is None:
        assert network_of(model) == "ensemble"
    else:
        millions = model.weights.parameters / 1e6
        assert network_of(model) == f"{model.network.name}, {millions:.1f} M parameters"


def test_names_in_colour_tables_have_spaces(host):
    entries = _entries(host, ROOT / "Resources" / "ColorTables" / "TumorSeg-liver.ctbl")
    assert (2, "Liver tumour", (255, 196, 0)) in entries


def _entries(slicer, path):
    node = slicer.modules.colors.logic().LoadColorFile(str(path), path.stem)
    entries = set()
    for index in range(node.GetNumberOfColors()):
        colour = [0.0] * 4
        node.GetColor(index, colour)
        rgb = tuple(round(part * 255) for part in colour[:3])
        entries.add((index, node.GetColorName(index), rgb))
    slicer.mrmlScene.RemoveNode(node)
    return entries


def test_the_extension_files_agree():
    entry = json.loads((ROOT / "TumorSeg.json").read_text())
    cmake = (ROOT / "CMakeLists.txt").read_text()
    assert entry["category"] == "Segmentation"
    assert entry["build_dependencies"] == ["PyTorch"]
    assert 'EXTENSION_DEPENDS "PyTorch"' in cmake
    assert entry["scm_url"].removesuffix(".git") in cmake
    assert "\r" not in cmake
    assert (ROOT / "TumorSeg" / "Resources" / "Icons" / "TumorSeg.png").is_file()
    assert sys.version_info >= (3, 11)


BY_CODE = {
    *("removeModelButton", "uncertaintyBox", "dicomSaveButton", "dicomFolderButton"),
    *("ensembleBox", "onlyDetectedBox"),
}
"""Controls whose tool tip depends on what there is; the module's code sets it."""


def test_every_control_has_a_tool_tip():
    import xml.etree.ElementTree as ET

    kinds = "QPushButton QToolButton QComboBox QCheckBox QSpinBox QDoubleSpinBox QLineEdit"
    kinds += " ctkSliderWidget QListWidget QTableWidget qMRMLNodeComboBox"
    kinds += " qMRMLSegmentationShow3DButton"
    tree = ET.parse(ROOT / "TumorSeg" / "Resources" / "UI" / "TumorSeg.ui")
    bare = {
        widget.get("name")
        for widget in tree.iter("widget")
        if widget.get("class") in kinds.split()
        and not widget.findtext("property[@name='toolTip']/string")
    }
    named_by_report = {name for name in bare if name.endswith("ReportBox")}
    assert bare - named_by_report == BY_CODE
