"""The licences of weights: shown before their first use, once for each licence."""

from __future__ import annotations

from collections.abc import Sequence

import slicer
from slicer.i18n import tr as _

from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.licences import licences_of
from TumorSegModule.widgets.dialogs import Question, confirm

ACCEPTED = "TumorSeg/AcceptedLicences"
SEPARATOR = "|"


def agreed_to(bundles: Sequence[Bundle], ask: Question = confirm) -> bool:
    """Show the licences of models that were not accepted on this computer yet.

    Args:
        bundles: models that are about to be used or imported.
        ask: see `TumorSegModule.widgets.dialogs.confirm`.

    Returns:
        Whether all are accepted, now or before. In tests of the application nobody is asked.
    """
    if slicer.app.testingEnabled() and ask is confirm:
        return True
    kept = slicer.app.userSettings().value(ACCEPTED) or ""
    accepted = [name for name in kept.split(SEPARATOR) if name]
    for licence in licences_of(bundles):
        if licence.name in accepted:
            continue
        titles = [b.specification.title for b in bundles if b.specification.licence == licence.name]
        text = _("The weights of {titles} have the licence {name}.").format(
            titles=", ".join(titles), name=licence.name
        )
        explanation = "\n\n".join(part for part in (licence.use, licence.url) if part)
        if not ask(text, explanation, _("Accept")):
            return False
        accepted.append(licence.name)
        slicer.app.userSettings().setValue(ACCEPTED, SEPARATOR.join(accepted))
    return True
