"""All targets; those that load PyTorch come last, as each fork copies what is loaded by then."""

from __future__ import annotations

from fuzz import (
    contour_targets,
    data_set_targets,
    dicom_targets,
    image_targets,
    model_targets,
    record_targets,
    scene_targets,
)
from fuzz.target import Target

TARGETS: tuple[Target, ...] = (
    *image_targets.TARGETS,
    *dicom_targets.TARGETS,
    *contour_targets.TARGETS,
    *data_set_targets.TARGETS,
    *scene_targets.TARGETS,
    *model_targets.TARGETS,
    *record_targets.TARGETS,
)


def target_named(name: str) -> Target:
    """Return a target by its name, in any case."""
    for target in TARGETS:
        if target.name.lower() == name.lower():
            return target
    raise SystemExit(f"no target {name}; there are {', '.join(t.name for t in TARGETS)}")
