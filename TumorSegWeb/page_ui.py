"""The page's frame: trame-slicer's, with TumorSeg's panel, a welcome, questions and problems."""

from __future__ import annotations

from typing import Any

from trame.widgets import client, html
from trame.widgets.vuetify3 import (
    Template,
    VBtn,
    VCard,
    VCardActions,
    VCardText,
    VCardTitle,
    VDialog,
    VMain,
    VNavigationDrawer,
    VProgressCircular,
    VSnackbar,
    VSpacer,
)
from trame_server import Server
from trame_slicer.app.ui import SegmentationAppUI
from trame_slicer.core import LayoutManager

from TumorSegWeb.cards_ui import STYLE as CARD_STYLE
from TumorSegWeb.cards_ui import build_cards
from TumorSegWeb.life_ui import build_life, build_log_out
from TumorSegWeb.names import name_buttons
from TumorSegWeb.opening_ui import STYLE as OPENING_STYLE
from TumorSegWeb.opening_ui import build_open_buttons
from TumorSegWeb.panel_ui import PanelUI
from TumorSegWeb.saving_ui import build_saving_dialogs

NOT_A_DEVICE = "Not a medical device. Look at every slice before you rely on a number."

PANEL_WIDTH = 440
"""Pixels: the table of lesions fits."""

BAR_WIDTH = 40
"""Of the bar of tools, as trame-slicer has it."""

NARROW = f"""
@media (max-width: 959px) {{ .v-main {{ --v-layout-left: {BAR_WIDTH}px !important; }} }}
"""
"""In a narrow window, or one that is enlarged, the panel lies over the views."""

ABOVE = ".v-dialog.v-overlay--active, .v-menu.v-overlay--active"
"""What lies above the views and takes the keyboard: dialogs, open lists."""

KEYS = """
window.ts_focus = (ids) => window.setTimeout(() => {
  const page = window.document;
  if (page.activeElement === page.body) page.querySelector(ids)?.focus();
}, 100);
window.addEventListener('keydown', (event) => {
  if (event.target.closest('input, textarea') || event.ctrlKey || event.altKey || event.metaKey
    || window.document.querySelector('%(above)s')) return;
  const by = { n: 1, p: -1 }[event.key.toLowerCase()];
  if (by) trame.trigger('%(step)s', [by]);
});
window.addEventListener('dragover', (event) => event.preventDefault());
window.addEventListener('drop', (event) => {
  event.preventDefault();
  window.ts_drop(event.dataTransfer);
});
if (!window.matchMedia('(prefers-color-scheme: dark)').matches) ts_theme = 'light';
"""
"""N and P as in the panel, where nothing lies above the views; files dropped anywhere are opened;
light where the system is light; the focus goes to what takes the place of a button that went away.
"""

FOCUS = """
:focus-visible { outline: 3px solid #ff9100 !important; outline-offset: -2px; }
.v-slider-thumb:focus-visible, .v-selection-control__input:has(:focus-visible) {
  outline: 3px solid #ff9100 !important; outline-offset: 2px; }
"""

REASONS = """
.v-btn--disabled[title] { pointer-events: auto; }
"""
"""What cannot be used says why, as long as it is asked."""

LONG_NAMES = """
.v-select__selection-text, .v-list-item-title {
  white-space: normal !important; overflow-wrap: anywhere; }
"""
"""What names of sequences differ in stands at their end."""

CALM = """
.v-slider * { transition: none !important; }
.v-progress-linear__indeterminate *, .v-progress-circular--indeterminate * {
  animation-timing-function: steps(4) !important; }
"""
"""A slice view's slider jumps after the wheel, and what turns or runs does so in steps: for smooth
motion the browser would draw sixty times a second, on the processor where the model runs."""


class PageUI(SegmentationAppUI):
    """Widgets; what they do is in `page_logic`."""

    @staticmethod
    def tool() -> str:
        """Return the name by which trame-slicer's drawer knows TumorSeg's panel."""
        return PanelUI.__name__

    def __init__(self, server: Server, layout_manager: LayoutManager) -> None:
        """Build them."""
        super().__init__(server, layout_manager)
        layout = self.layout
        layout.title.set_text("TumorSeg")
        layout.root.theme = ("ts_theme", "dark")
        layout.drawer.width = (f"Math.min({PANEL_WIDTH}, $vuetify.display.width - {BAR_WIDTH})",)
        _take_off(layout.appbar, self.download_scene_button)  # Save has it, and tells of problems
        with layout.drawer:
            self._register_tool_ui(PanelUI)
        with layout.toolbar:
            button = self._create_tool_button("TumorSeg", "mdi-target", PanelUI)
            layout.toolbar.children.remove(button)
            layout.toolbar.children.insert(0, button)
        replaced = self.load_volume_items_buttons
        with next(part for part in layout.appbar.children if replaced in part.children) as head:
            build_open_buttons()
        head.children[head.children.index(replaced)] = head.children.pop()
        with layout.appbar, Template(v_slot_append=True):
            build_log_out()
            VBtn(
                icon=("ts_theme === 'dark' ? 'mdi-weather-sunny' : 'mdi-weather-night'",),
                click="ts_theme = ts_theme === 'dark' ? 'light' : 'dark'",
                raw_attrs=['aria-label="Light or dark"'],
            )
        layout.footer.clear()
        with layout.footer:
            html.Span(NOT_A_DEVICE, classes="text-caption")
            VSpacer()
            html.Span("TumorSeg · trame-slicer by Kitware", classes="text-caption text-grey")
        with layout.content:
            self._build_welcome()
            layout.content.children.insert(0, layout.content.children.pop())  # the first to tab to
        with layout:
            client.Style(FOCUS + REASONS + LONG_NAMES + CALM + NARROW + CARD_STYLE + OPENING_STYLE)
            self._build_question()
            self._build_problem()
            build_life(server)
            build_cards()
            build_saving_dialogs(server)
            for value, ids in (("ts_busy", "#cancel, #segment"), ("ts_volume", "#segment")):
                client.ClientStateChange(value=value, change=f"window.ts_focus('{ids}')")
            keys = {"step": server.trigger_name(self._step), "above": ABOVE}
            client.ClientTriggers(mounted=KEYS % keys)
            _before_the_views(layout.root)
            name_buttons(layout.root)

    def _register_undo_redo_ui(self, undo_redo_ui_type: type, tool_ui_type: type) -> None:
        """Offer Undo whichever panel is open."""
        undo_redo_ui_type(
            editor_ui=self.tool_registry[tool_ui_type], v_if=(self.name.is_volume_loaded,)
        )

    async def _step(self, by: int) -> None:
        self.layout.server.controller.ts_step(by)

    def _build_welcome(self) -> None:
        control = self.layout.server.controller
        with (
            html.Div(
                v_if=(f"!{self.name.is_volume_loaded}",),
                classes="d-flex align-center justify-center",
                style="position: absolute; inset: 0; z-index: 5;"
                " background: rgb(var(--v-theme-background));",
            ),
            VCard(classes="pa-4", max_width=620, id="welcome"),
        ):
            VCardTitle("Open a CT or MRI volume")
            with VCardText():
                html.P(
                    "Drop it here, or browse: NIfTI, NRRD, MetaImage, a scene (.mrb), or DICOM as"
                    " a folder or .zip. It is read by the computer that runs TumorSeg, and stays"
                    " in its memory."
                )
                with html.Div(classes="d-flex align-center my-2"):
                    build_open_buttons()
                    html.Span("files · folder", classes="text-medium-emphasis ml-2")
                html.P("Or try it on a made-up patient:", classes="mt-4 mb-2")
                VBtn(
                    "{{ title }}",
                    v_for="title in ts_phantoms",
                    key="title",
                    click=(control.ts_phantom, "[title]"),
                    disabled=("ts_opening",),
                    variant="tonal",
                    classes="mr-2 mb-2 text-none phantom",
                )
                with html.Div(v_if=("ts_opening",), classes="d-flex align-center mt-2"):
                    VProgressCircular(indeterminate=True, size=20, classes="mr-2")
                    html.Span("Opening …")

    def _build_question(self) -> None:
        control = self.layout.server.controller
        with (
            VDialog(model_value=("!!ts_question",), persistent=True, max_width=560),
            VCard(v_if=("ts_question",), id="question"),
        ):
            VCardTitle("{{ ts_question.title }}", classes="text-wrap")
            with VCardText():
                html.P("{{ line }}", v_for="line in ts_question.lines", classes="mb-2")
            with VCardActions():
                VSpacer()
                VBtn(
                    "{{ choice.text }}",
                    v_for="choice in ts_question.choices",
                    key="choice.value",
                    click=(control.ts_answer, "[choice.value]"),
                    classes="text-none",
                )

    def _build_problem(self) -> None:
        for name, colour in (("problem", "error"), ("note", "info")):
            with VSnackbar(
                model_value=(f"!!ts_{name}",),
                timeout=-1,
                multi_line=True,
                color=colour,
                id=name,
            ):
                html.Span(f"{{{{ ts_{name} }}}}", style="white-space: pre-line;")
                with Template(v_slot_actions=True):
                    VBtn("Close", click=f"ts_{name} = ''", variant="text")


def _before_the_views(root: Any) -> None:
    """Have the keyboard come to the panel and its tools before it comes to the views."""
    drawers = [one for one in root.children if isinstance(one, VNavigationDrawer)]
    others = [one for one in root.children if one not in drawers]
    views = next(place for place, one in enumerate(others) if isinstance(one, VMain))
    root.children = [*others[:views], *drawers, *others[views:]]


def _take_off(root: Any, widget: Any) -> None:
    """Take a widget off whatever of `root` has it."""
    for element in root.children:
        if element is widget:
            root.children.remove(widget)
            return
        if hasattr(element, "children"):
            _take_off(element, widget)
