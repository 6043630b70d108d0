"""TumorSeg's panel in the page's drawer: input, model and run; review, lesions and files follow."""

from __future__ import annotations

from typing import Any

from trame.widgets import html
from trame.widgets.vuetify3 import VBtn, VProgressLinear, VSelect, VSlider, VSwitch
from trame_slicer.app.ui.flex_container import FlexContainer

from TumorSegWeb.lesions_ui import build_lesions
from TumorSegWeb.looks import FIELD, SWITCH
from TumorSegWeb.review_ui import build_review
from TumorSegWeb.saving_ui import build_saving


class PanelUI(FlexContainer):
    """Widgets; what they do is in `runs`, `review`, `lesions`, `saving` and `page_logic`."""

    def __init__(self, **kwargs: Any) -> None:
        """Build them."""
        super().__init__(classes="pa-3", **kwargs)
        with self:
            self._build_input()
            self._build_run()
            build_review(self.server)
            build_lesions(self.server)
            build_saving(self.server)

    def _build_input(self) -> None:
        control = self.server.controller
        VSelect(v_model=("ts_volume", None), items=("ts_volumes", []), label="Volume", **FIELD)
        with html.Div(
            v_if=("ts_segmentations.length > 1",),
            title="The segmentation that is shown, corrected, reviewed and saved",
            id="segmentation",
        ):
            VSelect(
                v_model=("ts_segmentation", None),
                items=("ts_segmentations", []),
                label="Segmentation",
                **FIELD,
            )
        VSelect(v_model=("ts_model", ""), items=("ts_models", []), label="Model", **FIELD)
        with html.Div(classes="d-flex align-center mb-2"):
            html.Div("{{ ts_model_line }}", classes="text-caption text-medium-emphasis flex-grow-1")
            VBtn(
                "Cards",
                click=control.ts_show_cards,
                size="small",
                variant="tonal",
                classes="ml-2 text-none",
                title="What each model was trained on, how well it does, and where it fails",
                id="show-cards",
            )
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
            raw_attrs=['role="status"'],
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
                raw_attrs=['aria-label="Sensitivity"'],
                id="sensitivity",
            )
        VSwitch(
            v_model=("ts_volume_3d", False),
            label="Volume in 3-D (slow without a graphics card)",
            id="volume-3d",
            **SWITCH,
        )
