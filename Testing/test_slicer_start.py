"""Slicer starts, opens the module and tests it: nothing fails, nothing piles up."""

from __future__ import annotations

import ast
import logging
import sys

import pytest
from bright_models import write_model
from panel_bench import ROOT
from scenes import add_head

from TumorSegLib.model.catalogue import SHIPPED

PHANTOMS = {
    "Brain phantom (FLAIR, T1, T1c)": ["Phantom FLAIR", "Phantom T1", "Phantom T1C"],
    "Abdomen phantom (CT)": ["Phantom CT"],
}


def observers(node):
    """Return how many observers a node has."""
    return sum(node.GetCommand(tag) is not None for tag in range(1, 5000))


def shown_sources(host):
    return {source.sampleName: source for source in host.modules.sampleDataSources["TumorSeg"]}


@pytest.fixture
def clean_scene(host):
    yield host
    host.mrmlScene.Clear()


def test_start_up_offers_the_phantoms_and_logs_nothing(host, caplog):
    host.modules.sampleDataSources.clear()
    with caplog.at_level(logging.WARNING):
        host.app.startupCompleted.emit()
    assert not caplog.records
    assert set(shown_sources(host)) == set(PHANTOMS)
    for source in shown_sources(host).values():
        assert source.sampleDescription == source.sampleName
        assert (ROOT / source.thumbnailFileName).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", PHANTOMS)
def test_a_click_in_sample_data_loads_a_phantom(clean_scene, name):
    source = shown_sources(clean_scene)[name]
    nodes = source.customDownloader(source)  # as the module Sample Data calls it
    assert [node.GetName() for node in nodes] == PHANTOMS[name]


@pytest.mark.parametrize("failing", ["register_sample_data", "register_terminology"])
def test_a_step_that_fails_takes_no_other_down(host, monkeypatch, caplog, failing):
    from TumorSegModule.logic import registration

    done = []
    for name in ("register_sample_data", "register_terminology"):
        monkeypatch.setattr(registration, name, lambda name=name: done.append(name))

    def fail():
        raise TypeError("no such parameter")

    monkeypatch.setattr(registration, failing, fail)
    registration.register()
    assert len(done) == 1
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.message.startswith("TumorSeg: ")
    assert "no such parameter" in record.message


def test_a_missing_terminology_is_logged(host, monkeypatch, caplog, tmp_path):
    from TumorSegModule.logic import registration

    monkeypatch.setattr(registration, "TERMINOLOGY", tmp_path / "absent.json")
    monkeypatch.setattr(registration, "register_sample_data", lambda: None)
    registration.register()
    (record,) = caplog.records
    assert "absent.json" in record.message


def test_visits_leave_no_observers(bench):
    write_model(bench.models, "tiny")
    bench.open()
    bench.parameters.volume, _ = add_head(bench.slicer)
    bench.turn()
    node, parameters = bench.parameters.parameterNode, bench.parameters
    before = observers(node)
    for _ in range(20):
        bench.widget.exit()
        bench.widget.enter()
        bench.turn()
    assert observers(node) == before
    assert bench.parameters is parameters


def test_a_closed_scene_leaves_the_defaults_and_a_panel_that_works(bench):
    write_model(bench.models, "tiny")
    bench.open()
    bench.parameters.precision = "fp32"
    bench.slicer.mrmlScene.Clear()
    bench.turn()
    assert bench.parameters.precision == "auto"
    assert bench.parameters.keepModel
    bench.parameters.volume, _ = add_head(bench.slicer)
    bench.turn()
    assert not bench.run().failed


def test_the_modules_file_parses_in_the_python_of_older_versions():
    ast.parse((ROOT / "TumorSeg" / "TumorSeg.py").read_text(), feature_version=(3, 9))


def test_the_oldest_version_is_the_same_wherever_it_is_said(host):
    import TumorSeg

    oldest = ".".join(map(str, TumorSeg.OLDEST))
    assert f"find_package(Slicer {oldest} REQUIRED)" in (ROOT / "CMakeLists.txt").read_text("utf-8")
    assert f"Slicer {oldest} and newer" in (ROOT / "README.md").read_text("utf-8")


def test_an_older_version_gets_a_line_and_imports_nothing(host, monkeypatch):
    import loading

    import TumorSeg

    monkeypatch.setattr(host.app, "majorVersion", 5)
    monkeypatch.setattr(host.app, "minorVersion", 8)
    for name in [name for name in sys.modules if name.split(".")[0] == "TumorSegModule"]:
        monkeypatch.setitem(sys.modules, name, None)
    TumorSeg.TumorSeg._register(host.modules.tumorseg.instance)
    root = loading.open_widget(TumorSeg.TumorSegWidget)
    widget = root.self()
    widget.enter()
    widget.exit()
    host.mrmlScene.Clear()
    widget.cleanup()
    labels = [label.text for label in root.findChildren(loading.qt.QLabel)]
    assert labels == ["TumorSeg needs 3D Slicer 5.10 or newer; this is 5.8."]
    root.deleteLater()


@pytest.fixture
def application_panel(host):
    """The module's panel as the application makes it."""
    yield host
    widget = host.util.getModuleWidget("TumorSeg")
    widget.cleanup()
    widget.parent.deleteLater()
    host.modules.tumorseg._widget = None
    host.mrmlScene.Clear()


@pytest.mark.slow
@pytest.mark.skipif(not SHIPPED.is_dir(), reason="needs the shipped models")
def test_the_self_test_of_the_application(application_panel, capsys):
    assert application_panel.app.testingEnabled()
    application_panel.selfTests["TumorSeg"]()
    nodes = application_panel.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert any(node.GetSegmentation().GetNumberOfSegments() for node in nodes)


@pytest.mark.slow
def test_the_self_test_says_what_it_skips_where_torch_is_missing(application_panel, monkeypatch):
    import TumorSeg
    from TumorSegModule.widgets import installation

    said = []
    monkeypatch.setattr(installation, "missing_packages", lambda: ["torch"])
    monkeypatch.setattr(
        TumorSeg.TumorSegTest,
        "delayDisplay",
        lambda self, message, requestedDelay=None, msec=None: said.append(message),
    )
    application_panel.selfTests["TumorSeg"](msec=1)
    assert said == ["Skipped: segmenting, because torch is not installed"]
