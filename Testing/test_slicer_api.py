"""What the module uses of Slicer exists in 5.10 and 5.12, and the stand-in has nothing else."""

from __future__ import annotations

import ast
import gc
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from panel_bench import HOST, ROOT

pytest.importorskip("slicer")
pytest.importorskip("PySide6")
sys.path.insert(0, str(HOST))
from api_uses import QT_PROPERTIES, Uses, qt_class, widgets_of
from slicer_facts import FILE, VERSIONS, Facts, reduced, text_of

MODULE = ROOT / "TumorSeg"
SOURCES = sorted(MODULE.rglob("*.py"))
UI_FILE = MODULE / "Resources" / "UI" / "TumorSeg.ui"
FACTS = Facts()
APPLICATION_CLASSES = {
    "Application": "qSlicerApplication",
    "Module": "qSlicerScriptedLoadableModule",
    "ModuleManager": "qSlicerModuleManager",
    "CommandOptions": "qSlicerCommandOptions",
}


def faults_of(path):
    return Uses(path, FACTS, widgets_of(UI_FILE)).faults


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_everything_that_the_module_uses_exists_in_both_versions(path):
    assert not faults_of(path)


@pytest.mark.parametrize(
    "line",
    [
        "slicer.util.loadUi('a')",
        "slicer.util.getNodesByClass('a', 'b', 'c')",
        "slicer.util.addVolumeFromArray(a, matrix=b)",
        "slicer.util.pip_install('a', requester='b')",
        "slicer.app.restartNow()",
        "slicer.app.majorVersion()",
        "slicer.modules.TumorSegWidget.panel",
        "slicer.modules.plots.reader()",
        "slicer.mrmlScene.GetAllNodes()",
        "slicer.vtkMRMLVolumesNode()",
        "slicer.vtkMRMLSliceNode.NoSuchThing",
        "slicer.qMRMLNodeComboBoxes()",
        "import slicer.pydeps",
        "import slicer.packaging",
        "from slicer.i18n import ngettext",
        "import SampleData\nSampleData.SampleDataLogic.registerCustomSampleDataSource("
        "category='a', sampleDescription='b')",
        "qt.QTimers()",
        "qt.Qt.NoSuchKey",
        "qt.QTimer(singleShot=True)",
        "t = qt.QTimer()\nt.isActive2",
        "t = qt.QTimer()\nt.interval()",
        "t = qt.QTimer()\nt.colour = 3",
        "slicer.dicomDatabase.fileForInstances('a')",
        "slicer.dicomDatabase.isOpen()",
        "slicer.dicomDatabase.fileForInstance('a', 'b')",
        "ctk.ctkDICOMIndexers()",
        "i = ctk.ctkDICOMIndexer()\ni.addDirectory()",
        "i = ctk.ctkDICOMIndexer()\ni.importing = True",
        "ui.volumeSelector.count",
        "ui.volumeSelector.noneDisplay()",
        "ui.volumeSelector.setCurrentNode(node, True)",
        "ui.volumeSelector.currentNodeChanged(node)",
        "ui.segmentButton.text()",
        "ui.segmentButton.caption = 'a'",
        "ui.noSuchWidget.text",
        "ui.reviewSection.title",
        "class A:\n def f(self):\n  self.w = slicer.qMRMLSegmentEditorWidget()\n"
        " def g(self):\n  self.w.setUndoDepth(3)",
        "class A(VTKObservationMixin):\n def f(self):\n  self.addObserver(a, b, c, d, e, f)",
        "class A(ScriptedLoadableModuleTest):\n def f(self):\n  self.delayDisplay('a', ms=3)",
    ],
)
def test_what_does_not_exist_is_found(tmp_path, line):
    path = tmp_path / "bad.py"
    path.write_text(line)
    assert faults_of(path), line


@pytest.mark.parametrize(
    "widget", list(ElementTree.parse(UI_FILE).iter("widget")), ids=lambda w: w.get("name")
)
def test_every_property_in_the_ui_exists(widget):
    for version in VERSIONS:
        names = {
            child.get("name") for child in widget.findall("property") if child.get("stdset") is None
        }
        kind, known = widget.get("class"), set()
        if kind not in QT_PROPERTIES:
            interface = FACTS.interface(version, kind)
            known, kind = set(interface.properties), interface.qt
        known |= set(QT_PROPERTIES[kind])
        assert names <= known, (kind, names - known)


def test_the_connections_in_the_ui_exist():
    widgets = widgets_of(UI_FILE)
    connections = ElementTree.parse(UI_FILE).getroot().findall("connections/connection")
    assert connections
    for connection in connections:
        for version in VERSIONS:
            sender = FACTS.interface(version, widgets[connection.findtext("sender")])
            receiver = FACTS.interface(version, widgets[connection.findtext("receiver")])
            assert connection.findtext("signal").partition("(")[0] in sender.signals
            assert connection.findtext("slot").partition("(")[0] in receiver.methods


def test_every_selector_of_the_ui_gets_the_scene():
    selectors = {n for n, kind in widgets_of(UI_FILE).items() if kind == "qMRMLNodeComboBox"}
    connections = ElementTree.parse(UI_FILE).getroot().findall("connections/connection")
    assert {connection.findtext("receiver") for connection in connections} == selectors


def own_members(cls):
    """What a stand-in class itself has of public names, those of the Qt base excepted."""
    for name, member in vars(cls).items():
        virtual = inspect.isfunction(member) and any(
            hasattr(base, name) and qt_class(base.__name__) is base for base in cls.__mro__[1:]
        )
        if not name.startswith("_") and name != "staticMetaObject" and not virtual:
            yield name, member


def parameters_of(function):
    """Return a function's parameters as the facts write them."""
    stated, extra = [], {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            extra["*"] = parameter.name
        elif parameter.kind is parameter.VAR_KEYWORD:
            extra["**"] = parameter.name
        else:
            default = "" if parameter.default is parameter.empty else "="
            stated.append(parameter.name + default)
    return {"parameters": stated, **extra}


def widget_classes():
    import ctk
    import mrml_widgets

    return [*mrml_widgets.WIDGETS, *(getattr(ctk, name) for name in ctk.__all__)]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_stand_ins_widgets_have_nothing_that_the_real_ones_lack(host, version):
    import qt

    for cls in widget_classes():
        real = FACTS.interface(version, cls.__name__)
        assert next(b for b in cls.__mro__ if qt_class(b.__name__) is b).__name__ == real.qt
        for name, member in own_members(cls):
            if isinstance(member, qt.Property):
                assert name in real.properties, (cls, name)
            elif isinstance(member, qt.Signal):
                assert name in real.signals, (cls, name)
            else:
                assert name in real.methods, (cls, name)
                stated = parameters_of(member)["parameters"][1:]
                takes = set(range(sum("=" not in part for part in stated), len(stated) + 1))
                assert not real.methods[name] or takes <= real.methods[name], (cls, name)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_stand_ins_application_has_nothing_that_the_real_one_lacks(host, version):
    import application

    for ours, theirs in APPLICATION_CLASSES.items():
        real, cls = FACTS.interface(version, theirs), getattr(application, ours)
        known = {*real.properties, *real.signals, *real.methods, "connect", "disconnect"}
        known |= FACTS.decorators(version, "qSlicerCoreApplication")
        known |= set(dir(qt_class(real.qt)))
        assert {name for name, _ in own_members(cls)} <= known, ours
    made = {name for name in vars(host.app) if not name.startswith("_")} - {"keep"}
    assert made <= set(FACTS.interface(version, "qSlicerApplication").properties)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_stand_ins_python_functions_have_exactly_the_real_parameters(host, version):
    import loading
    import parameter_wrapper
    import python_layer
    import sample_data

    for module, place in (
        ("ScriptedLoadableModule", python_layer),
        ("SampleData", sample_data),
    ):
        for class_name, content in FACTS.python(version, module).items():
            cls = getattr(place, class_name, None)
            if cls is None:
                continue
            for name, member in own_members(cls):
                function = member.__func__ if isinstance(member, staticmethod) else member
                assert parameters_of(function) == content["methods"][name], (class_name, name)
            if "__init__" in vars(cls):
                assert parameters_of(cls.__init__) == content["methods"]["__init__"], class_name
    functions = (
        ("i18n", "tr", python_layer.tr),
        ("i18n", "translate", python_layer.translate),
        ("parameterNodeWrapper.wrapper", "parameterNodeWrapper",
         parameter_wrapper.parameterNodeWrapper),
        ("util", "loadUI", loading.load_ui),
        ("util", "childWidgetVariables", loading.child_widget_variables),
        ("util", "mainWindow", loading.main_window),
    )  # fmt: skip
    for module, name, function in functions:
        assert parameters_of(function) == FACTS.python(version, module)[name], name


def test_no_stand_in_takes_just_anything():
    """`*name` and `**name` may take what is ignored (`*_event`), or what the real one passes on."""
    passed_on = {"runTest": "kwargs", "_module": "content"}
    for path in HOST.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for extra in (node.args.vararg, node.args.kwarg):
                    ignored = extra is None or extra.arg.startswith("_")
                    assert ignored or passed_on.get(node.name) == extra.arg, (path.name, node.name)
                assert node.args.kwarg is None or node.name in passed_on, (path.name, node.name)


def test_the_stand_in_outlives_any_number_of_disconnections():
    """PySide takes a reference to True away at each, and Python ends with the last one."""
    lines = (
        f"import sys; sys.path.insert(0, {str(HOST)!r}); import qt; button = qt.QPushButton()",
        "for _ in range(20000): button.clicked.connect(print); button.clicked.disconnect(print)",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


UNUSED_WIDGETS = """
import gc, sys, threading
sys.path[:0] = {paths!r}
import qt
from panel_bench import destroyed_here

def make(count):
    for _ in range(count):
        widget = qt.QWidget()
        widget.unused = widget
        widget.destroyed.connect(more)

def more(_widget):
    if not asked:
        asked.append(True)
        make(40)
        look_elsewhere()

def look_elsewhere():
    other = threading.Thread(target=gc.collect)
    other.start()
    other.join()

asked = []
with destroyed_here():
    make(3)
assert asked
look_elsewhere()
for _ in range(1000):
    pass  # Python lets the list be gone through
"""


def test_the_stand_in_outlives_widgets_that_nothing_uses():
    """PySide goes through a list of those that another thread found, while it grows."""
    script = UNUSED_WIDGETS.format(paths=[str(HOST.parent), str(HOST)])
    overwritten = {**os.environ, "MALLOC_PERTURB_": "165"}  # what was given back
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=overwritten
    )
    assert done.returncode == 0, done.stderr


def test_the_tests_of_the_panel_leave_no_unused_widget_to_others(host):
    assert not gc.isenabled()


def test_the_facts_are_those_of_the_full_list(shared: Path):
    full = json.loads((shared / "notes" / "slicer_api.json").read_text())
    assert FILE.read_text() == text_of(reduced(full))
