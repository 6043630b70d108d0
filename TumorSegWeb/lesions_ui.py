"""The section Lesions: totals, and a row for each."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets.vuetify3 import VBtn, VDivider, VIcon, VTable
from trame_server import Server


def build_lesions(server: Server) -> None:
    """Build the section; what it does is in `lesions`."""
    with html.Div(v_if=("ts_totals.length",), id="lesions"):
        VDivider(classes="my-3")
        html.Div("Lesions", classes="text-subtitle-2")
        with (
            html.Table(classes="text-body-2 my-1"),
            html.Tr(v_for="pair in ts_totals", key="pair[0]"),
        ):
            html.Td("{{ pair[0] }}", classes="pr-3")
            html.Td("{{ pair[1] }}")
        with html.Div(v_if=("ts_lesions.length",), style="overflow-x: auto;"):
            _build_table(server)
        html.Div("{{ ts_lesion_line }}", classes="text-caption")


def _build_table(server: Server) -> None:
    control = server.controller

    async def change(place: int) -> None:
        control.ts_lesion_change(place)

    async def go_to(place: int) -> None:
        control.ts_lesion_go_to(place)

    changing, going = server.trigger_name(change), server.trigger_name(go_to)
    with VTable(density="compact", hover=True):
        with html.Thead(), html.Tr():
            html.Th(
                "{{ head.text }}",
                v_for="head in ts_lesion_heads",
                key="head.text",
                title=("head.meaning",),
                style="white-space: pre; padding: 0 4px;",
            )
            html.Th()
        with (
            html.Tbody(),
            html.Tr(
                v_for="(row, index) in ts_lesions",
                key="index",
                click=(control.ts_lesion_go_to, "[index]"),
                style=(
                    "'cursor: pointer; opacity: ' + (row.absent ? 0.5 : 1)"
                    " + (index === ts_lesion ? '; font-weight: bold' : '')",
                ),
                title=("row.meaning",),
                classes="lesion",
                raw_attrs=[
                    'tabindex="0"',
                    ':aria-current="index === ts_lesion"',
                    f"@keydown.enter.self.prevent=\"trigger('{going}', [index])\"",
                    f"@keydown.space.self.prevent=\"trigger('{going}', [index])\"",
                ],
            ),
        ):
            html.Td(
                "{{ text }}",
                v_for="(text, column) in row.texts",
                key="column",
                style="padding: 0 4px; white-space: nowrap;",
            )
            with (
                html.Td(style="padding: 0 2px;"),
                VBtn(
                    icon=True,
                    size="x-small",
                    variant="text",
                    raw_attrs=[
                        f"@click.stop=\"trigger('{changing}', [index])\"",
                        ":aria-label=\"(row.absent ? 'Add back' : 'Remove') + ' lesion '"
                        ' + (index + 1)"',
                    ],
                    title=("row.absent ? 'Add back' : 'Remove'",),
                    classes="change",
                ),
            ):
                VIcon("{{ row.absent ? 'mdi-plus' : 'mdi-delete-outline' }}")
