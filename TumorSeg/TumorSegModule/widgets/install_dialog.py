"""The window of an installation: what is done, a bar, the output, cancel. It blocks nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegModule.logic.install_advice import advice
from TumorSegModule.logic.install_process import InstallProcess, State

POLL_MILLISECONDS = 200
LAST_LINES = 4
"""Lines of the output that are part of the message about a failure."""


class InstallDialog:
    """Follows an `InstallProcess` from start to end.

    Attributes:
        process: that is followed.
        window: the dialog, which blocks nothing.
        message: label that tells what is being done, or why it failed and what to do.
        bar: of the download under way; it runs to and fro where nothing is known.
        output: what pip printed.
        cancel_button, copy_button, close_button: of the window.
    """

    def __init__(self, process: InstallProcess, ended: Callable[[bool], None]) -> None:
        """Make the window for `process`, which `start` starts.

        Args:
            process: an `InstallProcess`.
            ended: called with whether it went well; after a failure when the window was closed.
        """
        self.process = process
        self._ended: Callable[[bool], None] | None = ended
        self._shown = 0
        self.window = qt.QDialog(slicer.util.mainWindow())
        self.window.setWindowTitle(_("TumorSeg: installing packages"))
        self.window.minimumWidth = 560
        layout = qt.QVBoxLayout(self.window)
        self.message = qt.QLabel()
        self.message.wordWrap = True
        self.bar = qt.QProgressBar()
        self.output = qt.QPlainTextEdit()
        self.output.readOnly = True
        self.output.minimumHeight = 160
        self.cancel_button = qt.QPushButton(_("Cancel"))
        self.copy_button = qt.QPushButton(_("Copy details"))
        self.close_button = qt.QPushButton(_("Close"))
        buttons = qt.QHBoxLayout()
        buttons.addStretch(1)
        for button in (self.copy_button, self.cancel_button, self.close_button):
            buttons.addWidget(button)
        for widget in (self.message, self.bar, self.output):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        self.copy_button.visible = self.close_button.visible = False
        self.cancel_button.clicked.connect(lambda *_checked: self.window.reject())
        self.close_button.clicked.connect(lambda *_checked: self.window.reject())
        self.copy_button.clicked.connect(self._copy)
        self.window.rejected.connect(self._rejected)
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MILLISECONDS)
        self._timer.timeout.connect(self.poll)

    def start(self) -> None:
        """Start the installation and show it."""
        self.process.start()
        self._show()
        self.window.show()
        self._timer.start()

    def poll(self) -> None:
        """Show how the installation stands; the timer calls this."""
        process = self.process
        process.poll()
        self._show()
        if process.state.stage == "done":
            self._end(well=True)
        elif process.state.stage == "failed":
            self._timer.stop()

    def cancel(self) -> None:
        """End the installation; the panel stays as it was."""
        self.window.reject()

    def _show(self) -> None:
        process, state = self.process, self.process.state
        lines = list(process.lines)
        if len(lines) > self._shown:
            self.output.setPlainText("\n".join(lines))
            self.output.moveCursor(qt.QTextCursor.End)
            self._shown = len(lines)
        failed = state.stage == "failed"
        self.message.text = failure_text(process) if failed else progress_text(state)
        self.bar.setRange(0, 1000 if state.total else 0)
        self.bar.value = 1000 * state.got // state.total if state.total else 0
        self.bar.visible = self.cancel_button.visible = not failed
        self.copy_button.visible = self.close_button.visible = failed

    def _copy(self, *_checked: Any) -> None:
        qt.QApplication.clipboard().setText("\n".join([self.message.text, "", *self.process.lines]))

    def _rejected(self) -> None:
        self.process.cancel()
        self._end(well=False)

    def _end(self, *, well: bool) -> None:
        self._timer.stop()
        ended, self._ended = self._ended, None
        if ended is None:  # closing the window rejects it, too
            return
        self.window.hide()
        self.window.deleteLater()
        ended(well)


def progress_text(state: State) -> str:
    """Return what is being done, in a line or two."""
    lines = [state.title]
    if state.total:
        lines.append(
            _("{got} of {total} MB").format(got=state.got // 10**6, total=state.total // 10**6)
        )
    elif state.doing:
        lines.append(state.doing[:100])
    return "\n".join(lines)


def failure_text(process: InstallProcess) -> str:
    """Return what failed, the last lines that were printed, and what to do."""
    lines = list(process.lines)
    return _("{step}: failed.\n\n{lines}\n\n{advice}").format(
        step=process.state.title,
        lines="\n".join(line[:200] for line in lines[-LAST_LINES:]),
        advice=advice("\n".join(lines)),
    )
