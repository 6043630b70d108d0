"""Everything that a user reads goes through Slicer's translation."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parent.parent / "TumorSeg"
SOURCES = sorted(MODULE.rglob("*.py"))

PROSE = re.compile(r"[A-Za-z]{2,}[,;:]? [A-Za-z]{2,}")
"""Two words one after the other."""

TRANSLATED = {"_", "tr", "translate"}

SHOWN_BY = {
    "setText", "setInformativeText", "setWindowTitle", "setToolTip", "setStatusTip", "setTitle",
    "addItem", "addButton", "addRow", "showStatusMessage", "errorDisplay", "infoDisplay",
    "warningDisplay", "confirmOkCancelDisplay", "confirmYesNoDisplay", "QLabel", "QPushButton",
    "QListWidgetItem", "QCheckBox", "QGroupBox", "InputError", "ModelError", "OutputError",
}  # fmt: skip
"""Calls whose texts a user reads, be it one word."""

SHOWN_AS = {
    "text", "toolTip", "title", "format", "placeholderText", "noneDisplay", "windowTitle",
    "helpText", "acknowledgementText", "html",
}  # fmt: skip
"""Attributes whose texts a user reads."""

NOT_FOR_USERS = {
    "TumorSeg.py": {"TumorSeg", "The TumorSeg authors"},
    "dialogs.py": {"TumorSeg"},
    "ending.py": {"volume removed", "scene closed", "worker ended"},
    "given_up_lesions.py": "why a stored value is not believed, which nobody is told",
    "install_advice.py": "words that pip prints, in English in every language",
    "install_process.py": {"Installing collected packages"},
    "installation.py": {"TumorSeg"},
    "model_picker.py": {"<tr><td style='padding-right:10px'><b>"},
    "own_models.py": {"TumorSeg"},
    "settings.py": {"whole volume", "this slice"},
    "registration.py": "lines of the log, and names of nodes",
    "requirements.py": "names of packages",
    "retrain_process.py": {"one run at a time"},
    "retrain_section.py": {"TumorSeg"},
    "runner.py": {"one job at a time"},
    "segments.py": {"new segmentation"},
    "self_test.py": "for developers",
    "slice_figures.py": "why a stored value is not believed, which nobody is told",
    "status_section.py": "style sheets; its messages are looked through by eye",
}
"""Texts that are no messages: names, keys, what is kept in a scene, errors of ours."""


def untranslated(source):
    """Yield line and text of what a user may read without translation."""
    tree = ast.parse(source)
    exempt = set()
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id in TRANSLATED:
            exempt |= {id(child) for child in ast.walk(node)}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            exempt.add(id(node.value))  # a docstring
    shown = {id(child) for owner in _shown(tree) for child in _texts(owner)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in exempt
        ):
            pattern = re.compile("[A-Za-z]{2,}") if id(node) in shown else PROSE
            if pattern.search(node.value):
                yield node.lineno, node.value


def _shown(tree):
    """Yield the expressions whose texts are shown."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in SHOWN_BY:
                yield from node.args[:1]
        elif isinstance(node, ast.Assign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Attribute) and t.attr in SHOWN_AS for t in targets):
                yield node.value


def _texts(expression):
    """Yield the texts of an expression, but for those that only choose or look up something."""
    if isinstance(expression, ast.Constant):
        yield expression
    elif isinstance(expression, ast.JoinedStr):
        yield from expression.values
    elif isinstance(expression, ast.IfExp):
        yield from _texts(expression.body)
        yield from _texts(expression.orelse)
    elif isinstance(expression, ast.BoolOp):
        for value in expression.values:
            yield from _texts(value)
    elif isinstance(expression, ast.BinOp):
        yield from _texts(expression.left)
        yield from _texts(expression.right)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_message_is_translated(path):
    known = NOT_FOR_USERS.get(path.name, set())
    if isinstance(known, str):
        return
    lines = [(line, text) for line, text in untranslated(path.read_text()) if text not in known]
    assert not lines, f"{path.name}: {lines}"


@pytest.mark.parametrize(
    "line",
    [
        "raise InputError('the region lies outside')",
        "raise InputError(f'{name}: holds no voxels')",
        "label.text = 'Stop'",
        "label.text = 'Stop' if busy else _('Start')",
        "box.addButton('Replace', role)",
        "slicer.util.errorDisplay('No')",
        "self.fail('Cancelled; nothing was changed.')",
        "x = {'a': 'being segmented'}",
    ],
)
def test_the_search_finds_what_is_not(line):
    assert list(untranslated(line))


@pytest.mark.parametrize(
    "line",
    [
        "raise InputError(_('the region lies outside'))",
        "label.text = _('Stop {name}').format(name=name)",
        "label.text = words[state]",
        "def f():\n    '''Two words.'''",
        "node.SetAttribute('key', 'value')",
        "category = translate('qSlicerAbstractCoreModule', 'Two words')",
    ],
)
def test_the_search_passes_what_is(line):
    assert not list(untranslated(line))


def test_no_message_is_put_together_before_it_is_translated():
    """A text with its values in it is in no dictionary of translations."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in TRANSLATED:
                for argument in node.args:
                    assert isinstance(argument, ast.Constant) or path.name == "translation.py", (
                        f"{path.name}:{node.lineno}"
                    )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_takes_the_translations_name(path):
    """A `for _ in …` in a function makes `_("…")` there a call of a number."""
    assert not list(_shadows(ast.parse(path.read_text())))


def _shadows(tree):
    """Yield the lines at which a function that translates binds `_`."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            nodes = list(ast.walk(function))
            if any(isinstance(node, ast.Call) and _is_translation(node.func) for node in nodes):
                yield from (node.lineno for node in nodes if _binds(node))


def _is_translation(called):
    return isinstance(called, ast.Name) and called.id == "_"


def _binds(node):
    return isinstance(node, ast.Name) and node.id == "_" and isinstance(node.ctx, ast.Store)


def test_the_search_for_its_name_finds_it():
    assert list(_shadows(ast.parse("def f():\n    for _ in x:\n        g(_('a b'))")))
    assert not list(_shadows(ast.parse("def f():\n    for _ in x:\n        g()")))
