"""RECIST 1.1 as far as it can be computed from a table of lesions.

E. A. Eisenhauer et al., New response evaluation criteria in solid tumours: revised RECIST guideline
(version 1.1), Eur J Cancer 2009; 45: 228-247; sections in brackets. What takes a reader is left to
them, and said: lymph nodes (measured across, not along), whether other lesions progress
unequivocally, whether a new lesion is one, what lies outside the segmented organs, and, of more
than two examinations, whether the sum was smaller at one between: progression is an increase of the
smallest sum so far [4.3.1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from TumorSegLib.measurement.follow_up import FollowUp, percent

Category = Literal["CR", "PR", "SD", "PD", "Non-CR/non-PD", "NE"]

NAMES: Mapping[Category, str] = {
    "CR": "complete response",
    "PR": "partial response",
    "SD": "stable disease",
    "PD": "progressive disease",
    "Non-CR/non-PD": "lesions that are there, none of them a target",
    "NE": "not evaluable",
}

MEASURABLE_MM = 10.0
"""Least longest diameter of a target lesion [3.1.1]; on slices thicker than 5 mm twice these."""

THIN_SLICES_MM = 5.0
MOST_TARGETS, MOST_IN_ORGAN = 5, 2  # [3.2.1]
RESPONSE_PERCENT = -30.0  # of the baseline's sum [4.3.1]
PROGRESS_PERCENT, PROGRESS_MM = 20.0, 5.0  # of the smallest sum so far, both [4.3.1]
ROUND_OFF = 1e-9


@dataclass(frozen=True)
class Target:
    """A target lesion: the organ's name, its number at baseline, its longest diameter there."""

    organ: str
    number: int
    mm: float


@dataclass(frozen=True)
class Assessment:
    """A category as computed from the table, no more.

    Attributes:
        category: RECIST 1.1's.
        targets: lesions of the baseline that are followed.
        baseline_mm: sum of their longest diameters.
        current_mm: sum now.
        arithmetic: how the category follows, a line each.
    """

    category: Category
    targets: tuple[Target, ...]
    baseline_mm: float
    current_mm: float
    arithmetic: tuple[str, ...]

    @property
    def text(self) -> str:
        """The category with its arithmetic, for a report."""
        title = f"RECIST 1.1, computed from the table: {self.category} ({NAMES[self.category]})"
        return "\n".join([title, *self.arithmetic])


def target_lesions(follow_ups: Mapping[str, FollowUp], slice_mm: float) -> tuple[Target, ...]:
    """Return the lesions of the baseline to follow: the largest, five at most, two an organ.

    Args:
        follow_ups: by organ.
        slice_mm: distance of the baseline's slices.
    """
    least = MEASURABLE_MM if slice_mm <= THIN_SLICES_MM else max(MEASURABLE_MM, 2 * slice_mm)
    large = [
        Target(organ, part.number, part.longest_axial_diameter_mm)
        for organ, found in follow_ups.items()
        for part in found.earlier
        if part.longest_axial_diameter_mm >= least - ROUND_OFF
    ]
    targets: list[Target] = []
    for target in sorted(large, key=lambda lesion: -lesion.mm):
        in_organ = sum(other.organ == target.organ for other in targets)
        if len(targets) < MOST_TARGETS and in_organ < MOST_IN_ORGAN:
            targets.append(target)
    return tuple(targets)


def assess(follow_ups: Mapping[str, FollowUp], *, slice_mm: float) -> Assessment:
    """Return the category of now against the baseline, whose sum is taken as the smallest so far.

    Args:
        follow_ups: from the baseline to now, by organ.
        slice_mm: distance of the baseline's slices.
    """
    targets = target_lesions(follow_ups, slice_mm)
    baseline = sum(target.mm for target in targets)
    current, now = _sum_now(targets, follow_ups)
    new = [
        f"{organ} {change.later[0]} ({change.later_mm:.1f} mm)"
        for organ, found in follow_ups.items()
        for change in found.changes
        if change.change == "new"
    ]
    others = _others(targets, follow_ups)
    stayed = sum(others)
    listed = ", ".join(f"{target.organ} {target.number} ({target.mm:.1f} mm)" for target in targets)
    lines = [f"Target lesions at baseline: {listed or 'none'}"]
    if targets:
        lines += [
            f"Sum at baseline: {_sum([target.mm for target in targets])} mm",
            f"Sum now: {_sum(now) if now else '0'} mm",
            f"Against the baseline: {_against(baseline, current)}; response from"
            f" {RESPONSE_PERCENT:.0f} %",
            f"Against the earlier image, taken as the smallest sum: {_against(baseline, current)};"
            f" progression from +{PROGRESS_PERCENT:.0f} % and +{PROGRESS_MM:.0f} mm",
        ]
    lines.append(f"New lesions: {', '.join(new)}" if new else "New lesions: none")
    lines.append(f"Other lesions: {len(others)} at baseline, {stayed} of them still there")
    lines.append(
        "For the reader: whether new lesions are real, whether others have progressed, whether the"
        " sum was smaller between"
    )
    category = categorised(
        baseline,
        baseline,
        current,
        targets=len(targets),
        new=len(new),
        others=len(others),
        others_now=stayed,
    )
    return Assessment(category, targets, baseline, current, tuple(lines))


def categorised(
    baseline: float,
    nadir: float,
    current: float,
    *,
    targets: int,
    new: int = 0,
    others: int = 0,
    others_now: int = 0,
) -> Category:
    """Return the category of sums in mm [4.3.1, 4.3.3, tables 1 and 2].

    Args:
        baseline: sum of the targets' diameters at baseline.
        nadir: smallest sum so far.
        current: sum now.
        targets: how many target lesions there are.
        new: how many lesions are new.
        others: how many lesions of the baseline are no targets.
        others_now: how many of these are still there.
    """
    if new:
        return "PD"
    if not targets:
        if not others:
            return "NE"
        return "Non-CR/non-PD" if others_now else "CR"
    if nadir == 0 and current > 0:
        return "PD"  # after a complete response lesions have come back
    if current == 0:
        return "PR" if others_now else "CR"
    grown = percent(nadir, current) or 0.0
    if grown >= PROGRESS_PERCENT - ROUND_OFF and current - nadir >= PROGRESS_MM - ROUND_OFF:
        return "PD"
    return "PR" if (percent(baseline, current) or 0.0) <= RESPONSE_PERCENT + ROUND_OFF else "SD"


def _sum_now(
    targets: Sequence[Target], follow_ups: Mapping[str, FollowUp]
) -> tuple[float, list[float]]:
    """Return the sum of what has become of the targets, and its terms.

    Fragments of a target count each, what targets have merged to counts once [appendix II].
    """
    now = []
    for organ, found in follow_ups.items():
        numbers = {target.number for target in targets if target.organ == organ}
        for change in found.changes:
            if numbers & set(change.earlier):
                now += [
                    found.later[number - 1].longest_axial_diameter_mm for number in change.later
                ]
    return sum(now), now


def _others(targets: Sequence[Target], follow_ups: Mapping[str, FollowUp]) -> list[bool]:
    """Return of each lesion of the baseline that is no target whether it is still there."""
    stayed = []
    for organ, found in follow_ups.items():
        numbers = {target.number for target in targets if target.organ == organ}
        for change in found.changes:
            stayed += [bool(change.later)] * len(set(change.earlier) - numbers)
    return stayed


def _sum(terms: Sequence[float]) -> str:
    shown = " + ".join(f"{term:.1f}" for term in terms)
    return shown if len(terms) == 1 else f"{shown} = {sum(terms):.1f}"


def _against(before: float, now: float) -> str:
    relative = percent(before, now)
    share = "" if relative is None else f" ({relative:+.1f} %)"
    return f"{now:.1f} - {before:.1f} = {now - before:+.1f} mm{share}"
