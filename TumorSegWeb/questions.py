"""Questions that the page asks before a run: one at a time, answered by a button."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trame_server import Server
    from trame_server.state import State

CANCEL = "cancel"


class Questions:
    """Shows a question, also after the page was loaded again, and waits for the answer."""

    def __init__(self, server: Server) -> None:
        """Ask on the page of `server`."""
        self._state: State = server.state
        self._state.ts_question = None
        self._answer: asyncio.Future[str] | None = None

    async def ask(self, title: str, lines: Sequence[str], choices: Mapping[str, str]) -> str:
        """Return what was chosen: a key of `choices`, or CANCEL, also where another is asked.

        Args:
            title: the question.
            lines: what there is to know.
            choices: words on the buttons by what is returned; a button to cancel is added.
        """
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(CANCEL)
        answer = self._answer = asyncio.get_running_loop().create_future()
        buttons = [{"value": key, "text": text} for key, text in choices.items()]
        with self._state:
            self._state.ts_question = {
                "title": title,
                "lines": list(lines),
                "choices": [*buttons, {"value": CANCEL, "text": "Cancel"}],
            }
        chosen = await answer
        if self._answer is answer:  # what is shown is still this question
            with self._state:
                self._state.ts_question = None
        return chosen

    def leave(self) -> None:
        """Take back what is being asked."""
        self.answer(CANCEL)
        self._state.ts_question = None

    def answer(self, value: str) -> None:
        """Take the answer."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(value)
