"""The present figures of a segmentation: lesions, derived values, follow-up. MRML, no Qt.

    found = present_findings(segmentation, catalogue)
    found.segments, found.derived, found.changes     # the library's records

The panel has them measured in a process of its own, see `measuring`; scripts and reports, which can
wait, call `present_findings`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from TumorSegLib.image.grid import AxialView, Grid
from TumorSegLib.inference.given_up import GivenUp
from TumorSegLib.measurement.component import Component
from TumorSegLib.measurement.derived import DerivedValue, derive
from TumorSegLib.measurement.follow_up import FollowUp
from TumorSegLib.measurement.recist import Assessment, assess
from TumorSegLib.measurement.records import component_of, reading_follow_up, reading_measurement
from TumorSegLib.measurement.segment import Measurement
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.slicer_io.geometry import placement_of
from TumorSegLib.slicer_io.images import Box
from TumorSegLib.slicer_io.nodes import volume_of
from TumorSegLib.support.steps import finished
from TumorSegLib.worker.measure_protocol import Measured
from TumorSegModule.logic.follow_up_pairs import earlier_of
from TumorSegModule.logic.given_up_lesions import given_up_of
from TumorSegModule.logic.measure_request import Lattice, Memory, Prepared, Request, prepare
from TumorSegModule.logic.segment_roles import Role, roles_of, specification_of
from TumorSegModule.logic.segments import Stamps, stamps_of


@dataclass(frozen=True)
class Lesion:
    """A component of a segment of lesions.

    Attributes:
        role: of its segment.
        part: its figures.
    """

    role: Role
    part: Component


@dataclass(frozen=True)
class Absent:
    """What the filter of false positives gave up, and nobody put back.

    Attributes:
        role: of the segment that it would belong to.
        item: its mask.
        part: its figures.
    """

    role: Role
    item: GivenUp
    part: Component


@dataclass(frozen=True)
class Findings:
    """Figures of a segmentation's segments as they were at one moment.

    Attributes:
        segmentation: node.
        lattice: on which its segments were read.
        roles: of the segments.
        segments: figures of the segments, in the order of the roles.
        derived: what the model derives from them.
        absent: what the filter gave up, the likeliest first.
        changes: since an earlier segmentation, by id of the segment; empty without one.
        assessment: RECIST 1.1's, as computed from `changes`; None without an earlier one.
        box: of the volume that holds the segments, () if they are empty.
        numbers: (z, y, x) of that box: numbers of the components, by segment id.
        stamps: what differs as soon as anybody writes to the segments.
        earlier_problem: why the earlier segmentation cannot be compared, "" if it can.
        alone: names of segments of lesions, of either one, that have no counterpart.
    """

    segmentation: slicer.vtkMRMLSegmentationNode
    lattice: Lattice
    roles: tuple[Role, ...]
    segments: tuple[Measurement, ...]
    derived: tuple[DerivedValue, ...]
    absent: tuple[Absent, ...]
    changes: Mapping[str, FollowUp]
    assessment: Assessment | None
    box: Box
    numbers: Mapping[str, NDArray[np.uint16]]
    stamps: Stamps
    earlier_problem: str = ""
    alone: tuple[str, ...] = ()

    @property
    def lesions(self) -> list[Lesion]:
        """All lesions, the largest first."""
        pairs = zip(self.roles, self.segments, strict=True)
        found = [Lesion(role, part) for role, one in pairs if role.lesions for part in one.parts]
        return sorted(found, key=lambda lesion: -lesion.part.voxels)

    @property
    def lesion_segments(self) -> list[Measurement]:
        """Figures of the segments whose components are lesions."""
        pairs = zip(self.roles, self.segments, strict=True)
        return [one for role, one in pairs if role.lesions]

    @property
    def current(self) -> bool:
        """Whether nobody has written to the segments since."""
        return slicer.mrmlScene.IsNodePresent(self.segmentation) and self.stamps == stamps_of(
            self.segmentation
        )

    def role(self, name: str) -> Role:
        """Return the role of a segment, by its id."""
        return next(role for role in self.roles if role.id == name)


def request_of(
    segmentation: slicer.vtkMRMLSegmentationNode,
    specification: ModelSpecification | None,
    *,
    earlier: slicer.vtkMRMLSegmentationNode | None = None,
    probabilities: NDArray[np.uint8] | None = None,
) -> Request:
    """Return what to measure of a segmentation.

    Args:
        segmentation: node.
        specification: of the model that drew it, None if none did.
        earlier: segmentation node to compare with.
        probabilities: uint8 (labels, z, y, x) of the model on the segmentation's volume.

    Raises:
        InputError: a transform warps the volume.
    """
    volume = volume_of(segmentation)
    there = volume is not None and volume.GetImageData() is not None
    given_up = given_up_of(segmentation, placement_of(volume) if there else None)
    roles = roles_of(segmentation, specification)
    ids = {role.id for role in roles}
    return Request(
        segmentation,
        roles,
        probabilities if there else None,
        {name: found for name, found in given_up.items() if name in ids},
        earlier_of(roles, earlier, specification) if earlier is not None else None,
    )


def findings_of(
    request: Request,
    prepared: Prepared,
    answer: Measured,
    specification: ModelSpecification | None,
    stamps: Stamps,
) -> Iterator[Findings | None]:
    """Yield None while the answer of whoever measured is read, at last the findings."""
    roles, segments = request.roles, []
    for values in answer.segments:
        measurement = yield from reading_measurement(values)
        segments.append(measurement)
    absent = [
        Absent(role, request.given_up[role.id][place], component_of(values))
        for role in roles
        for place, values in answer.given_up.get(role.id, ())
    ]
    yield None
    changes = {}
    alone = _without_counterpart(request, segments)
    if request.earlier is not None and not prepared.earlier_problem:
        for name in request.earlier.pairs.values():
            changes[name] = yield from reading_follow_up(answer.changes[name])
    yield Findings(
        request.segmentation,
        prepared.lattice,
        roles,
        tuple(segments),
        tuple(_derived(roles, segments, specification)),
        tuple(sorted(absent, key=lambda one: -one.item.likelihood)),
        changes,
        _assessment(roles, changes, prepared.earlier_grid),
        prepared.box,
        prepared.numbers,
        stamps,
        prepared.earlier_problem,
        alone,
    )


def present_findings(
    segmentation: slicer.vtkMRMLSegmentationNode,
    catalogue: Catalogue,
    *,
    earlier: slicer.vtkMRMLSegmentationNode | None = None,
    probabilities: NDArray[np.uint8] | None = None,
) -> Findings:
    """Measure a segmentation here and now; arguments as of `request_of`.

    A liver with 30 lesions on 512x512x200 takes a few tenths of a second.

    Raises:
        InputError: a transform warps the volume, or the segments are surfaces.
    """
    from TumorSegLib.worker.measure_command import answer

    specification = specification_of(segmentation, catalogue)
    request = request_of(segmentation, specification, earlier=earlier, probabilities=probabilities)
    memory: dict[str, NDArray[np.uint8]] = {}

    def array(name: str, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        return memory[name].view(dtype).reshape(shape)

    def allocate(size: int) -> Generator[None, None, Memory]:
        yield from ()
        name = str(len(memory))
        memory[name] = np.zeros(size, np.uint8)
        return name, lambda shape, dtype: array(name, shape, dtype)

    stamps = stamps_of(segmentation)
    prepared = finished(prepare(request, 0, allocate))
    measured = answer(prepared.command, array)
    *_, found = findings_of(request, prepared, measured, specification, stamps)
    assert found is not None
    return found


def with_certainties(found: Findings, known: Mapping[tuple[str, int, float], float]) -> Findings:
    """Return findings whose lesions without certainty have those that are known, by `lesion_key`.

    Probabilities are kept for the last run only; a lesion that nobody changed is as certain as
    before.
    """
    segments = [
        replace(
            one,
            parts=tuple(
                replace(part, certainty=known.get(lesion_key(role.id, part)))
                if part.certainty is None
                else part
                for part in one.parts
            ),
        )
        for role, one in zip(found.roles, found.segments, strict=True)
    ]
    return replace(found, segments=tuple(segments))


def lesion_key(segment: str, part: Component) -> tuple[str, int, float]:
    """Return what is the same for the same lesion, whatever its number is now."""
    return segment, part.voxels, round(sum(part.centroid_mm), 2)


def _derived(
    roles: tuple[Role, ...], segments: list[Measurement], specification: ModelSpecification | None
) -> list[DerivedValue]:
    """Return the derived values, which name labels as the model does, not as the user may."""
    if specification is None:
        return []
    pairs = zip(roles, segments, strict=True)
    named = [replace(one, name=role.label) for role, one in pairs if role.label]
    return derive(specification.derived, named)


def _without_counterpart(request: Request, segments: Sequence[Measurement]) -> tuple[str, ...]:
    """Return the names of segments of lesions that are compared with none; empty ones may be."""
    if request.earlier is None:
        return ()
    pairs = request.earlier.pairs
    now = [
        role.name
        for role, one in zip(request.roles, segments, strict=True)
        if role.lesions and role.id not in pairs.values() and one.voxels
    ]
    before = [role.name for role in request.earlier.roles if role.lesions and role.id not in pairs]
    return (*now, *before)


def _assessment(
    roles: tuple[Role, ...], changes: Mapping[str, FollowUp], earlier: Grid | None
) -> Assessment | None:
    if not changes or earlier is None:
        return None
    by_name: dict[str, FollowUp] = {}
    for role in roles:
        if role.id in changes:
            same = [other for other in roles if other.name == role.name and other.id in changes]
            number = f" ({same.index(role) + 1})" if len(same) > 1 else ""
            by_name[f"{role.name}{number}"] = changes[role.id]
    return assess(by_name, slice_mm=AxialView.of(earlier).spacing_zyx[0])
