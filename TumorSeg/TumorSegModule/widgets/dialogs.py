"""The questions that a run or an export may ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegLib.model.bundle import Bundle
from TumorSegModule.logic.frame_shown import Frames
from TumorSegModule.logic.segments import ADD, NEW, REPLACE

Question = Callable[[str, str, str], bool]
"""Asks with a text, an explanation and what yes is called; see `confirm`."""


def ask_about_edits(names: Sequence[str]) -> str | None:
    """Ask what becomes of segments that were edited by hand; None: nothing, do not run."""
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setWindowTitle("TumorSeg")
    box.setText(_("Edited by hand since the model ran: {names}.").format(names=", ".join(names)))
    box.setInformativeText(
        _(
            "Replace: the new result takes the place of the edited segments; Undo brings them"
            " back.\nAdd: what the model finds is added to them.\nNew segmentation: they stay as"
            " they are."
        )
    )
    buttons = {
        REPLACE: box.addButton(_("Replace"), qt.QMessageBox.DestructiveRole),
        ADD: box.addButton(_("Add"), qt.QMessageBox.AcceptRole),
        NEW: box.addButton(_("New segmentation"), qt.QMessageBox.AcceptRole),
    }
    box.addButton(qt.QMessageBox.Cancel)
    box.setDefaultButton(buttons[NEW])
    box.exec_()
    clicked = box.clickedButton()
    return next((mode for mode, button in buttons.items() if button == clicked), None)


def ask_about_frames(name: str, frames: Frames) -> bool | None:
    """Ask whether all frames of a volume over time are meant; None: nothing, do not run.

    Args:
        name: of the volume.
        frames: see `TumorSegModule.logic.frames.Frames`.
    """
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setWindowTitle("TumorSeg")
    box.setText(
        _("{name} has {count} frames; number {number} is shown.").format(
            name=name, count=frames.count, number=frames.shown + 1
        )
    )
    box.setInformativeText(
        _(
            "All frames: one after the other, into a sequence of segmentations that is browsed"
            " together with the volume.\nThis frame: only the one that is shown."
        )
    )
    every = box.addButton(_("All frames"), qt.QMessageBox.AcceptRole)
    this = box.addButton(_("This frame"), qt.QMessageBox.AcceptRole)
    box.addButton(qt.QMessageBox.Cancel)
    box.setDefaultButton(every)
    box.exec_()
    clicked = box.clickedButton()
    return True if clicked == every else False if clicked == this else None


def segment_all_the_same(doubts: Sequence[str], bundle: Bundle) -> bool:
    """Ask whether to run a model that may not fit; in tests of the application nobody is asked.

    Args:
        doubts: why, a line each.
        bundle: the model.
    """
    if slicer.app.testingEnabled():
        return True
    return confirm(
        _("Is {title} the right model?").format(title=bundle.specification.title),
        "\n\n".join([*doubts, _("If it is not, cancel, and choose another model with Change.")]),
        _("Segment all the same"),
    )


def confirm(text: str, explanation: str, yes: str) -> bool:
    """Ask a question; return whether the button called `yes` was clicked."""
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setWindowTitle("TumorSeg")
    box.setText(text)
    box.setInformativeText(explanation)
    button = box.addButton(yes, qt.QMessageBox.AcceptRole)
    box.setDefaultButton(box.addButton(qt.QMessageBox.Cancel))
    box.exec_()
    return bool(box.clickedButton() == button)


def choose_new_file(title: str, kind: str, suffix: str, name: str) -> str:
    """Ask where to save a file; return its path, "" for nowhere.

    Args:
        title: of the dialog.
        kind: of the file, for people.
        suffix: of its name, without a dot.
        name: to begin with; a name of a node may hold what no file's name can.
    """
    dialog = qt.QFileDialog(slicer.util.mainWindow(), title)
    dialog.setAcceptMode(qt.QFileDialog.AcceptSave)
    dialog.setNameFilter(f"{kind} (*.{suffix})")
    dialog.setDefaultSuffix(suffix)
    dialog.selectFile(f"{file_name(name)}.{suffix}")
    chosen = dialog.selectedFiles() if dialog.exec_() else []
    return chosen[0] if chosen else ""


def file_name(name: str) -> str:
    """Return a name as every system takes it for a file: letters, digits, spaces, - and _."""
    return " ".join(re.sub(r"[^\w\- ]", " ", name).split())[:80] or "lesions"
