"""Holds the module's code to PythonQt's side of what stand-in and application have in common."""

from __future__ import annotations

import ast
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parent.parent / "TumorSeg"
SOURCES = sorted(MODULE.rglob("*.py"))
UI = MODULE / "Resources" / "UI" / "TumorSeg.ui"

GETTERS = {
    "isChecked", "isEnabled", "isVisible", "isHidden", "isCollapsed", "text",
    "plainText", "value", "minimum", "maximum", "currentText", "currentIndex", "currentData",
    "currentRow", "count", "title", "toolTip", "objectName", "width", "height", "styleSheet",
    "noneEnabled", "currentNodeID", "currentPath", "interval", "decimals", "singleStep",
    "placeholderText", "temporaryPath", "slicerHome",
}  # fmt: skip
"""PythonQt makes properties attributes; calling these getters fails in Slicer."""

STOCK = {"numpy", "vtk", "qt", "ctk", "slicer", "SampleData"}
"""What Slicer brings, and our own packages: nothing else may be imported at a file's top."""


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_properties_are_not_called(path):
    for call in calls(ast.parse(path.read_text())):
        if isinstance(call.func, ast.Attribute) and call.func.attr in GETTERS:
            assert _is_of_settings(call), f"{path.name}:{call.lineno}: {call.func.attr}()"


def _is_of_settings(call):
    owner = call.func.value
    return (
        call.func.attr == "value"
        and isinstance(owner, ast.Call)
        and isinstance(owner.func, ast.Attribute)
        and owner.func.attr == "userSettings"
    )


def test_the_lint_finds_what_it_bans(tmp_path):
    bad = tmp_path / "bad.py"
    for line in ("x = w.text()", "if w.isChecked(): pass", "y = s.value()", "c.currentText()"):
        bad.write_text(line)
        with pytest.raises(AssertionError):
            test_properties_are_not_called(bad)
    for line in ("x = w.text", "s.userSettings().value('a')", "w.layout()", "w.setText('a')"):
        bad.write_text(line)
        test_properties_are_not_called(bad)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_only_stock_packages_are_imported_at_file_scope(path):
    for node in ast.parse(path.read_text()).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        for name in names:
            root = name.partition(".")[0]
            assert root in STOCK | set(sys.stdlib_module_names) or root.startswith("TumorSeg"), (
                f"{path.name}: {name}"
            )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_signals_are_connected_in_the_form_that_both_have(path):
    for call in calls(ast.parse(path.read_text())):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "connect":
            first = call.args[0] if call.args else None
            assert not (isinstance(first, ast.Constant) and isinstance(first.value, str)), (
                f"{path.name}:{call.lineno}: connect by signature"
            )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_parts_of_the_panel_are_given_objects_not_functions(path):
    """What a section tells, and whom, says a protocol; see `TumorSegModule.logic.listeners`."""
    if path.parent.name != "widgets":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            for argument in node.args.args[1:]:
                kind = ast.unparse(argument.annotation)
                assert "Callable" not in kind or path.name in TIMERS, argument.arg


TIMERS = {"idle_work.py", "install_dialog.py"}
"""Files of the widgets that are given what to call later."""

WITHOUT_SCENE = {
    "ending.py", "install_process.py", "job.py", "pipes.py", "requirements.py",
    "retrain_process.py", "run_status.py", "runner.py", "work_queue.py", "worker_client.py",
}  # fmt: skip
"""Files of the logic that know no scene either: they serve any front end and any test."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_layers_hold(path):
    """The logic knows no Qt and no widgets; nothing but Slicer's entry knows both."""
    if path.parent.name != "logic":
        return
    banned = {"qt", "ctk"} | ({"slicer", "vtk"} if path.name in WITHOUT_SCENE else set())
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not banned & {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in banned
            assert not (node.module or "").startswith("TumorSegModule.widgets")


def test_files_without_a_scene_are_there():
    logic = MODULE / "TumorSegModule" / "logic"
    assert {path.name for path in logic.glob("*.py")} > WITHOUT_SCENE


def test_widgets_of_the_parameter_node_have_the_classes_that_slicer_connects():
    from_slicer = {"qMRMLNodeComboBox", "QCheckBox"}
    for widget in ElementTree.parse(UI).iter("widget"):
        names = {child.get("name") for child in widget.findall("property")}
        if "SlicerParameterName" in names:
            assert widget.get("class") in from_slicer


def test_every_widget_that_the_code_uses_is_in_the_ui():
    there = {widget.get("name") for widget in ElementTree.parse(UI).iter("widget")}
    used = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(
                node.value, (ast.Name, ast.Attribute)
            ):
                owner = node.value
                name = owner.id if isinstance(owner, ast.Name) else owner.attr
                if name in ("ui", "_ui"):
                    used.add(node.attr)
    assert used
    assert used <= there, used - there


def test_every_file_of_the_module_is_installed():
    listed = (MODULE / "CMakeLists.txt").read_text()
    missing = [
        path.relative_to(MODULE).as_posix()
        for path in MODULE.rglob("*")
        if path.is_file()
        and path.suffix in (".py", ".ui", ".png", ".txt", ".html")
        and path.name != "CMakeLists.txt"
        and path.relative_to(MODULE).as_posix() not in listed
    ]
    assert not missing
