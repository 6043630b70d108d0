"""The buttons that open files and folders, in the page's head and on its welcome."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets.vuetify3 import VFileInput, VProgressCircular, VTooltip

from TumorSegWeb.names import FILES

STYLE = ".v-input__prepend .v-icon { opacity: 1; }"


def build_open_buttons() -> html.Div:
    """Build them within what is being built; they turn while their page sends files."""
    with html.Div(classes="d-flex align-center") as buttons:
        for icon, name in FILES.items():
            folder = "folder" in icon
            with html.Div(
                classes="d-flex align-center justify-center", style="width: 50px; height: 50px;"
            ):
                VTooltip(text=name, activator="parent", location="bottom start")
                VFileInput(
                    v_if=("!ts_uploading",),
                    change="window.ts_upload($event.target.files)",
                    prepend_icon=icon,
                    multiple=not folder,
                    hide_input=True,
                    raw_attrs=["webkitdirectory"] if folder else [],
                )
                VProgressCircular(v_else=True, indeterminate=True, size=24)
    return buttons
