"""What the worker process does with a panel's command to export."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from TumorSegLib.export.case import ExportCase, append_case
from TumorSegLib.export.errors import CaseExistsError, OverlapError
from TumorSegLib.export.identity import export_key
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.bundle import read_bundle
from TumorSegLib.worker.protocol import Export, Exported, Refused
from TumorSegLib.worker.shared_mask import ArrayOf, named_mask


def answer(
    command: Export,
    volumes: Mapping[str, Volume],
    array: ArrayOf,
) -> Exported | Refused:
    """Append the case and return what to tell the panel.

    Args:
        command: of the panel.
        volumes: by channel name, the volume itself first.
        array: see `ArrayOf`.

    Raises:
        TumorSegError: see `append_case`.
    """
    masks = tuple(named_mask(mask, array) for mask in command.masks)
    case = ExportCase(
        volumes, masks, command.mapping, command.patient, command.reviewed, command.correction
    )
    try:
        done = append_case(
            Path(command.dataset),
            case,
            read_bundle(Path(command.model)).specification,
            export_key(),
            replace=command.replace,
            one_file_a_segment=command.one_file_a_segment,
        )
    except CaseExistsError as error:
        return Refused(command.job, "exists", str(error))
    except OverlapError as error:
        return Refused(command.job, "overlap", str(error))
    return Exported(command.job, done.case, done.count, done.replaced, done.warnings)
