"""The models' cards: a list with search, and all that is known of the one looked at."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets.vuetify3 import (
    Template,
    VBtn,
    VCard,
    VCardActions,
    VCardText,
    VCardTitle,
    VDialog,
    VImg,
    VList,
    VListItem,
    VSpacer,
    VTable,
    VTextField,
)

STYLE = """
.model-card h1 { display: none; }
.model-card h2 { font-size: 1rem; margin: 12px 0 4px; }
.model-card p, .model-card ul, .model-card table { margin-bottom: 6px; }
.model-card ul { padding-left: 20px; }
.model-card td, .model-card th { padding: 2px 8px 2px 0; text-align: left; vertical-align: top; }
"""

SEARCHED = "ts_card_search.toLowerCase().split(' ').every(word => %s.includes(word))"
FOUND, UNUSABLE = SEARCHED % "one.searched", SEARCHED % "line.toLowerCase()"


def build_cards() -> None:
    """Build the dialog."""
    with (
        VDialog(v_model=("ts_cards_open",), max_width=1000, scrollable=True),
        VCard(id="cards", height="85vh"),
    ):
        VCardTitle("Models")
        with VCardText(classes="d-flex pt-0", style="overflow: hidden;"):
            with html.Div(style="flex: 0 0 340px; overflow-y: auto;", classes="pr-3"):
                VTextField(
                    v_model=("ts_card_search", ""),
                    label="Search",
                    density="compact",
                    variant="outlined",
                    hide_details=True,
                    clearable=False,
                    classes="my-1",
                )
                with (
                    VList(density="compact", lines="two"),
                    VListItem(
                        v_for=f"one in ts_cards.filter(one => {FOUND})",
                        key="one.id",
                        active=("one.id === ts_card",),
                        title=("one.title",),
                        subtitle=("one.headline",),
                        click="ts_card = one.id",
                        classes="card",
                    ),
                    Template(v_slot_prepend=True),
                ):
                    VImg(src=("one.picture",), width=40, height=40, classes="mr-3", alt="")
                with html.Div(
                    v_for=f"line in ts_unusable.filter(line => {UNUSABLE})",
                    key="line",
                    style="overflow-wrap: anywhere;",
                    classes="unusable text-body-2 px-4 py-2",
                ):
                    html.Div("Cannot be used", classes="font-weight-bold")
                    html.Div("{{ line }}")
            with html.Div(
                v_for="one in ts_cards.filter(one => one.id === ts_card)",
                key="one.id",
                style="flex: 1 1 0; min-width: 0; overflow-y: auto;",
                raw_attrs=['tabindex="0"', 'aria-label="Model card"'],
                id="card",
            ):
                html.Div("{{ one.title }}", classes="text-h6")
                with (
                    VTable(density="compact"),
                    html.Tbody(),
                    html.Tr(v_for="row in one.details", key="row[0]"),
                ):
                    html.Td("{{ row[0] }}", classes="font-weight-bold", style="width: 110px;")
                    html.Td("{{ row[1] }}")
                html.Div(v_html=("one.card",), classes="model-card text-body-2 mt-2")
        with VCardActions():
            VSpacer()
            VBtn("Close", click="ts_cards_open = false", classes="text-none")
            VBtn(
                "Use this model",
                click="ts_model = ts_card; ts_cards_open = false",
                disabled=("!ts_card",),
                color="primary",
                classes="text-none",
                id="use-model",
            )
