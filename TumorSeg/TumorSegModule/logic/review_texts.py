"""What the section Review says of slices and corrections."""

from __future__ import annotations

from collections.abc import Callable

from slicer.i18n import tr as _

from TumorSegModule.logic.correction import Change, Comparison
from TumorSegModule.logic.slice_figures import SliceFigures


def review_text(figures: SliceFigures, current: int | None) -> str:
    """Return which slice is shown and how many unsure ones were looked at."""
    parts = []
    if current is not None:
        parts.append(_("Slice {number} of {count}").format(number=current + 1, count=len(figures)))
    unsure = figures.unsure
    parts.append(
        _("{seen} of {count} unsure slices looked at").format(
            seen=len(figures.seen & set(unsure)), count=len(unsure)
        )
        if unsure
        else _("no slice is unsure")
    )
    return " · ".join(parts)


def correction_text(correction: Comparison | None, name_of: Callable[[str], str]) -> str:
    """Return how far a segmentation was corrected, "" where that is not known.

    Args:
        correction: by segment id and as a whole.
        name_of: returns a segment's name.
    """
    if correction is None:
        return ""
    if not correction.whole.slices:
        return _("Not corrected so far.")
    lines = [_("Corrected: {change}").format(change=_in_words(correction.whole))]
    if len(correction.segments) > 1:
        lines += [
            f"{name_of(segment)}: {_in_words(change)}"
            for segment, change in correction.segments.items()
            if change.slices
        ]
    return "\n".join(lines)


def _in_words(change: Change) -> str:
    slices = _("1 slice") if change.slices == 1 else _("{n} slices").format(n=change.slices)
    return _("{slices}, {ml:.1f} ml, Dice {dice:.3f} with the model's mask").format(
        slices=slices, ml=change.millilitres, dice=change.dice
    )
