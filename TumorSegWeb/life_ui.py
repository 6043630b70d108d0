"""What the page says of its session's end, and what it asks before it is closed."""

from __future__ import annotations

from pathlib import Path

from trame.widgets import html
from trame.widgets.vuetify3 import (
    VBtn,
    VCard,
    VCardActions,
    VCardText,
    VCardTitle,
    VDialog,
    VSpacer,
)
from trame_server import Server

SCRIPTS = {
    "serve": {"__tumorseg": str(Path(__file__).parent / "scripts")},
    "scripts": [f"__tumorseg/{name}.js" for name in ("life", "save", "upload", "wheel")],
}
"""Say that the page is used, ask before unsaved work is left, take and send files, hold the wheel
back."""

LOST = """
<div id="ended" role="alert" style="position: fixed; inset: 0; display: flex; align-items: center;
  justify-content: center; background: #121212; color: #eee; font: 16px/1.5 sans-serif;">
  <div style="max-width: 32em; padding: 2em;">
    <h1 style="font-size: 1.4em; margin-bottom: 0.7em;">{{
      ts_ends_in ? 'This session has ended' : 'The connection to TumorSeg is lost' }}</h1>
    <p v-if="ts_ends_in">Nobody has used it for {{ ts_idle_minutes }} minutes. Images and results
      are gone from the computer that runs TumorSeg.</p>
    <p v-else-if="ts_hosted">Either the network failed for a while, then all is still there; or
      the session has ended.</p>
    <p v-else>If tumorseg web still runs, all is still there. Else start it again: its new address
      is printed.</p>
    <p style="margin-top: 1em;"><a href="/" style="color: #8ab4f8;">Open the page again</a></p>
  </div>
</div>
"""
"""In place of the page when its socket is closed."""


def build_life(server: Server) -> None:
    """Build it within the layout that is being built."""
    server.state.trame__template_error = LOST
    server.enable_module(SCRIPTS)
    server.controller.trigger("ts_used")(server.controller.ts_used)
    with (
        VDialog(model_value=("!!ts_ends_in", False), persistent=True, max_width=480),
        VCard(id="ends"),
    ):
        VCardTitle("Are you still there?")
        with VCardText():
            html.P(
                "Nobody has used this session for a while. It ends in {{ ts_ends_in }} s, and what"
                " was not saved is lost."
            )
        with VCardActions():
            VSpacer()
            VBtn("Go on", click=server.controller.ts_used, variant="tonal", id="go-on")


def build_log_out() -> None:
    """Build the button that ends a session that the user has logged in to."""
    with html.Form(v_if=("ts_hosted",), action="/logout", method="post"):
        VBtn(
            "Log out",
            raw_attrs=['type="submit"'],
            variant="text",
            classes="text-none",
            id="log-out",
        )
