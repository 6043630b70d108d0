"""The section Save, and what it asks before a report or a case for retraining is made."""

from __future__ import annotations

from typing import Any

from trame.widgets import client, html
from trame.widgets.vuetify3 import (
    VBtn,
    VCard,
    VCardActions,
    VCardText,
    VCardTitle,
    VCheckbox,
    VDialog,
    VDivider,
    VProgressCircular,
    VSelect,
    VSpacer,
    VSwitch,
)
from trame_server import Server

from TumorSegWeb.looks import FIELD, SWITCH

FILES = (
    ("segmentation", "Segments", "The segments with names and colours, for 3D Slicer (.seg.nrrd)"),
    ("labels", "Label map", "The segments on the volume's grid, as the model's values (.nii.gz)"),
    ("scene", "Scene", "Volumes, segments and what is known of them, for 3D Slicer (.mrb)"),
    ("lesions", "Lesions", "The table of lesions (.csv)"),
    ("dicom", "DICOM SEG", "A DICOM Segmentation, for a PACS; of volumes from DICOM"),
    ("dicom-report", "DICOM SEG + SR", "With a structured report of the measurements (.zip)"),
)
"""What is saved at once: its name for the logic, what it is called, what it is."""

FROM_DICOM = ("dicom", "dicom-report")

BUTTON = {"size": "small", "variant": "tonal", "classes": "mr-2 mb-2 text-none"}

SAVED = "window.ts_fetch(ts_saved, '%s')"


def build_saving(server: Server) -> None:
    """Build the section; what it does is in `saving`."""
    control = server.controller
    with html.Div(v_if=("ts_has_segments",), id="downloads"):
        VDivider(classes="my-3")
        html.Div("Save", classes="text-subtitle-2 mb-1")
        for kind, text, meaning in FILES:
            of_dicom = kind in FROM_DICOM
            missing = " || !!ts_no_dicom" if of_dicom else ""
            VBtn(
                text,
                prepend_icon="mdi-download",
                click=(control.ts_save, f"['{kind}', window.ts_tab]"),
                disabled=(f"ts_busy || !!ts_saving{missing}",),
                title=(f"ts_no_dicom || '{meaning}'",) if of_dicom else meaning,
                id=f"save-{kind}",
                **BUTTON,
            )
        for kind, text, icon, call, meaning in (
            (
                "report",
                "Report …",
                "mdi-file-document-outline",
                control.ts_open_report,
                "Figures, pictures, corrections and the model's accuracy, as a page or PDF",
            ),
            (
                "training",
                "Case for retraining …",
                "mdi-school-outline",
                control.ts_open_training,
                "The corrected case as a data set for tumorseg retrain (.zip)",
            ),
        ):
            VBtn(
                text,
                prepend_icon=icon,
                click=call,
                disabled=("ts_busy || !!ts_saving",),
                title=meaning,
                id=f"save-{kind}",
                **BUTTON,
            )
        with html.Div(v_if=("ts_saving",), classes="d-flex align-center", id="saving"):
            VProgressCircular(indeterminate=True, size=20, classes="mr-2")
            html.Span("Making {{ ts_saving }} …", classes="flex-grow-1")
            VBtn("Stop", click=control.ts_stop_saving, **BUTTON)


def build_saving_dialogs(server: Server) -> None:
    """Build what is asked, and what fetches a file that was made."""
    control = server.controller

    async def fetch(number: int) -> Any:
        return control.ts_fetch(number)

    saved = SAVED % server.trigger_name(fetch)
    client.ClientStateChange(value="ts_saved", change=saved)
    client.ClientTriggers(mounted=saved)  # made while the page was loaded again
    with VDialog(v_model=("ts_report_open",), max_width=480), VCard(id="report"):
        VCardTitle("Report")
        with VCardText():
            html.P("Nothing names patient or image unless it is ticked.", classes="mb-2")
            VCheckbox(
                v_for="item in ts_report_items",
                key="item.key",
                v_model=("ts_ticked", []),
                value=("item.key",),
                label=("item.title + ': ' + item.text",),
                density="compact",
                hide_details=True,
                multiple=True,
            )
        with VCardActions():
            VSpacer()
            VBtn("Cancel", click="ts_report_open = false", classes="text-none")
            VBtn(
                "PDF",
                click=(control.ts_report, "['pdf', window.ts_tab]"),
                disabled=("!ts_pdf",),
                title=("ts_pdf ? '' : 'Needs reportlab, which is not installed'",),
                classes="text-none",
                id="report-pdf",
            )
            VBtn(
                "Page (.html)",
                click=(control.ts_report, "['html', window.ts_tab]"),
                color="primary",
                classes="text-none",
                id="report-html",
            )
    with VDialog(v_model=("ts_training_open",), max_width=560), VCard(id="training"):
        VCardTitle("Case for retraining")
        with VCardText():
            html.P(
                "An archive that unpacks to a data set for tumorseg retrain. Nothing in it names"
                " the patient but the voxels themselves.",
                classes="mb-2",
            )
            html.P("{{ ts_training_note }}", classes="mb-2")
            html.P("{{ ts_correction }}", v_if=("ts_correction",), classes="mb-2")
            VSwitch(
                v_model=("ts_reviewed", False),
                label="Case reviewed",
                **SWITCH,
            )
            VSwitch(
                v_if=("ts_training_count > 1",),
                v_model=("ts_training_all", False),
                label=("'All ' + ts_training_count + ' segmentations of the scene'",),
                **SWITCH,
            )
            html.P(
                "Which of the model's labels is each of these segments?",
                v_if=("ts_training_segments.length",),
                classes="mt-3 mb-2",
            )
            VSelect(
                v_for="one in ts_training_segments",
                key="one.name",
                model_value=("one.label",),
                update_modelValue=(control.ts_choose_label, "[one.name, $event]"),
                items=("ts_training_labels",),
                label=("one.name",),
                **FIELD,
            )
        with VCardActions():
            VSpacer()
            VBtn("Cancel", click="ts_training_open = false", classes="text-none")
            VBtn(
                "Save (.zip)",
                click=(control.ts_training, "[window.ts_tab]"),
                disabled=("!ts_training_ready",),
                color="primary",
                classes="text-none",
                id="training-zip",
            )
