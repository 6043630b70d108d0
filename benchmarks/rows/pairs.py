"""Contenders measured in turn within one run, and the rows that pair them.

On a machine that others use, too, times vary by half; the ratio of two that were taken one after
the other hardly does. Rows therefore keep every sample, and ratios are taken round by round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


class LeftOut(Exception):
    """A contender cannot be measured here; its rows say why."""


@dataclass(frozen=True)
class Sample:
    """One run of a contender.

    Attributes:
        seconds: by the clock.
        processor_seconds: of all its threads; other work on the machine hardly moves them.
        peak_bytes: most memory that it held; none where the system does not say.
    """

    seconds: float
    processor_seconds: float
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Contender:
    """Something that is measured.

    Attributes:
        name: in the table.
        run: does it once.
        gflop: arithmetic of its networks in 10^9 operations; none: it is no matter of them.
        precision: whose convolution rate it is held against, "fp32" or "bf16".
    """

    name: str
    run: Callable[[], Sample]
    gflop: float | None = None
    precision: str = "fp32"


@dataclass(frozen=True)
class Group:
    """Contenders that do the same, measured in turn.

    Attributes:
        what: they do.
        contenders: those that can be measured.
        pairs: names of ours and the peer beside it; no peer: ours alone.
        left_out: why others cannot be measured, by name.
        notes: of a pair, shown beneath the table.
    """

    what: str
    contenders: Sequence[Contender]
    pairs: Sequence[tuple[str, str | None]]
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[tuple[str, str | None], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Series:
    """All samples of a contender, round by round.

    Attributes:
        name: of the contender.
        seconds: of each round, by the clock.
        processor_seconds: of each round, of all threads; empty: not known.
        peak_bytes: the most of all rounds.
        shares: of the machine's convolution rate in the same round; empty: not applicable.
    """

    name: str
    seconds: tuple[float, ...]
    processor_seconds: tuple[float, ...] = ()
    peak_bytes: int | None = None
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Row:
    """A pair, or a figure alone.

    Attributes:
        what: was done.
        ours: our samples; none if we are left out.
        peer: those beside them; none if there is no peer or it is left out.
        left_out: the name of what is left out, and why.
        note: for the reader.
    """

    what: str
    ours: Series | None
    peer: Series | None = None
    left_out: str = ""
    note: str = ""

    @property
    def ratios(self) -> tuple[float, ...]:
        """How many times as fast ours was by the clock, round by round."""
        if self.ours is None or self.peer is None:
            return ()
        return _quotients(self.peer.seconds, self.ours.seconds)

    @property
    def processor_ratios(self) -> tuple[float, ...]:
        """How many times less processor time ours took, round by round."""
        if self.ours is None or self.peer is None:
            return ()
        return _quotients(self.peer.processor_seconds, self.ours.processor_seconds)

    def to_json(self) -> dict[str, Any]:
        """Return what the JSON holds of it."""
        ratio = median(self.ratios) if self.ratios else None
        return asdict(self) | {"ratio": ratio}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Row:
        """Return the row that `to_json` wrote."""
        ours, peer = (
            None
            if content[side] is None
            else Series(
                content[side]["name"],
                tuple(content[side]["seconds"]),
                tuple(content[side]["processor_seconds"]),
                content[side]["peak_bytes"],
                tuple(content[side]["shares"]),
            )
            for side in ("ours", "peer")
        )
        return cls(content["what"], ours, peer, content["left_out"], content["note"])


def _quotients(above: Sequence[float], below: Sequence[float]) -> tuple[float, ...]:
    return tuple(one / other for one, other in zip(above, below, strict=True))


Rates = Callable[[], Mapping[str, float]]
"""Measures the machine's convolution rate in GFLOP/s by precision."""


def measured(group: Group, rounds: int, rates: Rates | None = None) -> list[Row]:
    """Run a group's contenders in turn, `rounds` times, and pair them.

    Every other round goes backwards, so that none profits from coming after another. The rate is
    measured before and after each contender.
    """
    samples: dict[str, list[Sample]] = {one.name: [] for one in group.contenders}
    shares: dict[str, list[float]] = {one.name: [] for one in group.contenders}
    left_out = dict(group.left_out)
    if all(one.gflop is None for one in group.contenders):
        rates = None
    for number in range(rounds):
        before = rates() if rates else {}
        for one in group.contenders[:: -1 if number % 2 else 1]:
            if one.name in left_out:
                continue
            try:
                sample = one.run()
            except LeftOut as reason:
                left_out[one.name] = str(reason)
                continue
            samples[one.name].append(sample)
            after = rates() if rates else {}
            if one.gflop is not None and one.precision in after:
                rate = (before[one.precision] + after[one.precision]) / 2
                shares[one.name].append(one.gflop / sample.seconds / rate)
            before = after
    series = {
        name: Series(
            name,
            tuple(sample.seconds for sample in own),
            tuple(sample.processor_seconds for sample in own),
            max((s.peak_bytes for s in own if s.peak_bytes is not None), default=None),
            tuple(shares[name]),
        )
        for name, own in samples.items()
        if own and name not in left_out
    }
    return list(_paired(group, series, left_out))


def _paired(
    group: Group, series: Mapping[str, Series], left_out: Mapping[str, str]
) -> Iterable[Row]:
    for pair in group.pairs:
        missing = [name for name in pair if name in left_out]
        yield Row(
            group.what,
            series.get(pair[0]),
            series.get(pair[1] or ""),
            "; ".join(f"{name}: {left_out[name]}" for name in missing),
            group.notes.get(pair, ""),
        )
