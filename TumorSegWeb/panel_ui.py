"""TumorSeg's panel in the page's drawer: input, model, run, review, lesions, downloads."""

from __future__ import annotations

from typing import Any

from trame.widgets import html
from trame.widgets.vuetify3 import (
    VBtn,
    VDivider,
    VIcon,
    VProgressLinear,
    VSelect,
    VSlider,
    VSwitch,
    VTable,
)
from trame_slicer.app.ui.flex_container import FlexContainer

DOWNLOADS = (
    ("segmentation", ".seg.nrrd", "Segments"),
    ("labels", " labels.nii.gz", "Label map"),
    ("scene", ".mrb", "Scene"),
    ("lesions", " lesions.csv", "Lesions"),
    ("dicom", ".dcm", "DICOM"),
)
"""What can be saved: its name for the logic, the end of the file's name, and what it is called."""

FIELD = {"density": "compact", "variant": "outlined", "hide_details": True, "classes": "mb-2"}

BAR = (
    "'flex: 1 1 0; min-width: 1px; cursor: pointer; display: flex; flex-direction: column;"
    " border-top: 3px solid ' + (index === ts_slice ? '#d32f2f' : bar.seen ? '#43a047'"
    " : 'transparent')"
)
UPPER = "'height: ' + bar.area + '%; background: #5b8fc7'"
LOWER = "'height: ' + bar.correction + '%; background: ' + (bar.unsure ? '#ff8f00' : '#bfa680')"


class PanelUI(FlexContainer):
    """Widgets; what they do is in `runs`, `review`, `lesions` and `page_logic`."""

    def __init__(self, **kwargs: Any) -> None:
        """Build them."""
        super().__init__(classes="pa-3", **kwargs)
        with self:
            self._build_input()
            self._build_run()
            self._build_review()
            self._build_lesions()
            self._build_downloads()

    def _build_input(self) -> None:
        control = self.server.controller
        VSelect(v_model=("ts_volume", None), items=("ts_volumes", []), label="Volume", **FIELD)
        VSelect(v_model=("ts_model", ""), items=("ts_models", []), label="Model", **FIELD)
        html.Div("{{ ts_model_line }}", classes="text-caption text-medium-emphasis mb-2")
        VSelect(
            v_for="sequence in ts_sequences",
            key="sequence.name",
            model_value=("sequence.node",),
            update_modelValue=(control.ts_sequence, "[sequence.name, $event]"),
            items=("ts_volumes",),
            label=("sequence.title",),
            clearable=True,
            **FIELD,
        )
        html.Div("{{ ts_input_line }}", v_if=("ts_input_line",), classes="text-error mb-2")

    def _build_run(self) -> None:
        control = self.server.controller
        VBtn(
            "Segment",
            v_if=("!ts_busy",),
            click=control.ts_segment,
            disabled=("!ts_can_start || !!ts_question",),
            color="primary",
            size="large",
            block=True,
            id="segment",
        )
        VBtn("Cancel", v_if=("ts_busy",), click=control.ts_cancel, block=True, id="cancel")
        VProgressLinear(
            v_if=("ts_busy",),
            model_value=("ts_progress", 0),
            indeterminate=("!ts_progress",),
            height=6,
            color="primary",
            classes="mt-2",
        )
        html.Div("{{ ts_stage }}", v_if=("ts_busy",), classes="text-caption", id="stage")
        html.Div(
            "{{ ts_line }}",
            v_if=("ts_line",),
            classes=("ts_failed ? 'text-error mt-2' : 'mt-2'",),
            style="white-space: pre-line;",
            id="line",
        )
        with html.Div(v_if=("ts_adjustable",), classes="mt-2"):
            html.Div("Sensitivity", classes="text-caption")
            VSlider(
                v_model=("ts_sensitivity", 0),
                min=-100,
                max=100,
                step=5,
                hide_details=True,
                density="compact",
                id="sensitivity",
            )

        VSwitch(
            v_model=("ts_volume_3d", False),
            label="Volume in 3-D (slow without a graphics card)",
            density="compact",
            color="primary",
            hide_details=True,
            id="volume-3d",
        )

    def _build_review(self) -> None:
        control = self.server.controller
        with html.Div(v_if=("ts_strip.length",), id="review"):
            VDivider(classes="my-3")
            html.Div("Review", classes="text-subtitle-2")
            with (
                html.Div(classes="d-flex my-1", style="height: 76px; gap: 1px;"),
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

    def _build_lesions(self) -> None:
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
                self._build_table()
            html.Div("{{ ts_lesion_line }}", classes="text-caption")

    def _build_table(self) -> None:
        control = self.server.controller
        change = self.server.trigger_name(self._change)
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
                        raw_attrs=[f"@click.stop=\"trigger('{change}', [index])\""],
                        title=("row.absent ? 'Add back' : 'Remove'",),
                        classes="change",
                    ),
                ):
                    VIcon("{{ row.absent ? 'mdi-plus' : 'mdi-delete-outline' }}")

    def _build_downloads(self) -> None:
        trigger = self.server.trigger_name(self._download)
        with html.Div(v_if=("ts_has_segments",), id="downloads"):
            VDivider(classes="my-3")
            html.Div("Save", classes="text-subtitle-2 mb-1")
            for kind, ending, text in DOWNLOADS:
                VBtn(
                    text,
                    prepend_icon="mdi-download",
                    click=f"utils.download(ts_name + '{ending}', trigger('{trigger}', ['{kind}']),"
                    " 'application/octet-stream')",
                    disabled=("ts_busy" if kind != "dicom" else "ts_busy || !ts_from_dicom",),
                    size="small",
                    variant="tonal",
                    classes="mr-2 mb-2 text-none",
                    id=f"save-{kind}",
                )

    async def _change(self, place: int) -> None:
        self.server.controller.ts_lesion_change(place)

    async def _download(self, kind: str) -> Any:
        return self.server.controller.ts_download(kind)
