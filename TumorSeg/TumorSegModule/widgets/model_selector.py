"""Selectors of models, beside the panel's first choice of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from TumorSegLib.model.bundle import Bundle
from TumorSegModule.logic.model_choice import called


def list_models(selector: Any, bundles: Sequence[Bundle], *, first: int = 0) -> None:
    """List models in a QComboBox by their ids; what is chosen there stays so, and nobody hears.

    Args:
        selector: to fill.
        bundles: in their order.
        first: place of the model to choose where the one that was chosen is no more.
    """
    model_id = selector.itemData(selector.currentIndex)
    selector.blockSignals(True)
    selector.clear()
    for bundle in bundles:
        selector.addItem(called(bundle.specification), bundle.id)
    index = selector.findData(model_id)
    selector.currentIndex = index if index >= 0 else min(first, len(bundles) - 1)
    selector.blockSignals(False)
