"""The section Review: the strip of all slices, what the model doubted, what was corrected."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets.vuetify3 import (
    Template,
    VBtn,
    VDivider,
    VList,
    VListItem,
    VMenu,
    VSwitch,
)
from trame_server import Server

from TumorSegWeb.looks import SWITCH

BAR = (
    "'flex: 1 1 0; min-width: 1px; cursor: pointer; display: flex; flex-direction: column;"
    " border-top: 3px solid ' + (index === ts_slice ? '#d32f2f' : bar.changed ? '#3b6fd1'"
    " : bar.seen ? '#43a047' : 'transparent')"
)
UPPER = "'height: ' + bar.area + '%; background: #5b8fc7'"
LOWER = "'height: ' + bar.correction + '%; background: ' + (bar.unsure ? '#ff8f00' : '#bfa680')"

STRIP_KEYS = (
    "@keydown.left.prevent=\"trigger('%(move)s', [-1])\"",
    "@keydown.right.prevent=\"trigger('%(move)s', [1])\"",
    "@keydown.home.prevent=\"trigger('%(go)s', [0])\"",
    "@keydown.end.prevent=\"trigger('%(go)s', [ts_strip.length - 1])\"",
    "@keydown.enter.prevent=\"trigger('%(step)s', [1])\"",
    "@keydown.space.prevent=\"trigger('%(step)s', [1])\"",
)
"""Arrows go slice by slice, Enter and Space to the next unsure slice."""


def build_review(server: Server) -> None:
    """Build the section; what it does is in `review`."""
    control = server.controller
    with html.Div(v_if=("ts_strip.length",), id="review"):
        VDivider(classes="my-3")
        html.Div("Review", classes="text-subtitle-2")
        _build_strip(server)
        html.Div("{{ ts_review }}", classes="text-caption", id="review-line")
        with html.Div(classes="d-flex mt-1"):
            for text, by, icon in (
                ("Previous unsure (P)", -1, "mdi-chevron-left"),
                ("Next unsure (N)", 1, "mdi-chevron-right"),
            ):
                VBtn(
                    text,
                    prepend_icon=icon,
                    click=(control.ts_step, f"[{by}]"),
                    disabled=("!ts_unsure",),
                    size="small",
                    variant="tonal",
                    classes="mr-2 text-none",
                )
        with html.Div(title=("ts_doubts_meaning",)):
            VSwitch(
                v_model=("ts_uncertainty", False),
                label="Uncertainty in the views",
                disabled=("!ts_doubts",),
                id="uncertainty",
                **SWITCH,
            )
        VSwitch(
            v_model=("ts_reviewed", False),
            label="Case reviewed",
            id="reviewed",
            **SWITCH,
        )
        with html.Div(v_if=("ts_correction",), classes="d-flex align-center"):
            html.Div(
                "{{ ts_correction }}",
                classes="text-caption flex-grow-1",
                style="white-space: pre-line;",
                id="correction",
            )
            with VMenu(v_if=("ts_corrected",)):
                with Template(v_slot_activator="{ props }"):
                    VBtn(
                        "Restore",
                        v_bind="props",
                        size="small",
                        variant="tonal",
                        classes="ml-2 text-none",
                        title="Bring back what the model drew; Undo takes it back",
                        id="restore",
                    )
                with VList(density="compact"):
                    VListItem(
                        v_for="one in ts_restorable",
                        key="one.name",
                        title=("one.title",),
                        click=(control.ts_restore, "[one.name]"),
                    )


def _build_strip(server: Server) -> None:
    control = server.controller

    async def go_to(index: int) -> None:
        control.ts_go_to(index)

    async def step(by: int) -> None:
        control.ts_step(by)

    async def move(by: int) -> None:
        control.ts_move(by)

    calls = {"go": go_to, "step": step, "move": move}
    triggers = {name: server.trigger_name(call) for name, call in calls.items()}
    with (
        html.Div(
            classes="d-flex my-1",
            style="height: 76px; gap: 1px;",
            raw_attrs=[
                'tabindex="0"',
                'role="slider"',
                'aria-label="Slices"',
                'aria-valuemin="1"',
                ':aria-valuemax="ts_strip.length"',
                ':aria-valuenow="(ts_slice ?? 0) + 1"',
                ':aria-valuetext="ts_review"',
                *(key % triggers for key in STRIP_KEYS),
            ],
            id="strip",
        ),
        html.Div(
            v_for="(bar, index) in ts_strip",
            key="index",
            style=(BAR,),
            click=(control.ts_go_to, "[index]"),
            title=("'Slice ' + (index + 1)",),
            classes="bar",
        ),
    ):
        with html.Div(style="height: 48px; display: flex; align-items: flex-end;"):
            html.Div(style=(f"'width: 100%; ' + {UPPER}",))
        with html.Div(style="height: 24px; margin-top: 1px;"):
            html.Div(style=(LOWER,))
