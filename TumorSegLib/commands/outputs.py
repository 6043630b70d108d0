"""Files that a command writes its segmentation to: checked before the run, which may be long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from TumorSegLib.errors import OutputError
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.labelled_volume import LabelledVolume

if TYPE_CHECKING:
    from TumorSegLib.writing.dicom_source import SourceImages


@dataclass(frozen=True)
class Outputs:
    """Where a segmentation goes.

    Attributes:
        paths: of its files, each of another place.
        dicom: those that are DICOM segmentations.
        source: the images that these refer to; none if there are none.
        report: of the DICOM structured report that refers to the one DICOM segmentation.
    """

    paths: tuple[Path, ...]
    dicom: tuple[Path, ...] = ()
    source: SourceImages | None = None
    report: Path | None = None

    @classmethod
    def checked(cls, volume: Volume, paths: Sequence[Path], report: Path | None = None) -> Outputs:
        """Return where the segmentation of a volume goes, if all of it can be written.

        Raises:
            OutputError: see `check_output` and `source_images`; a place is named twice; the
                report's name is another kind of file's, or that of the segmentation, or there is
                not one DICOM segmentation that it could refer to.
        """
        from TumorSegLib.writing import DICOM_ENDING, check_output

        dicom = tuple(path for path in paths if check_output(path) == DICOM_ENDING)
        _check_distinct(paths)
        if report is not None:
            _check_report(report, dicom)
        source = None
        if dicom:
            from TumorSegLib.writing.dicom_output import source_images

            source = source_images(volume)
        return cls(tuple(paths), dicom, source, report)

    def write(self, labelled: LabelledVolume) -> None:
        """Write every file, in place of what is there.

        Raises:
            OutputError: one cannot be written.
        """
        from TumorSegLib.writing import write_segmentation

        for path in self.paths:
            if self.source is not None and path in self.dicom:
                from TumorSegLib.writing.dicom_output import write_dicom

                write_dicom(labelled, self.source, path, self.report)
            else:
                write_segmentation(labelled, path, overwrite=True)


def _check_distinct(paths: Sequence[Path]) -> None:
    for number, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:number]]:
            raise OutputError(f"-o {path}: is named twice; leave one out")


def _check_report(report: Path, dicom: Sequence[Path]) -> None:
    from TumorSegLib.writing import DICOM_ENDING, check_output

    if len(dicom) != 1:
        raise OutputError(
            f"--sr {report}: refers to a DICOM segmentation, found {len(dicom)}; give -o with"
            f" a name that ends in {DICOM_ENDING} once"
        )
    if check_output(report) != DICOM_ENDING:
        raise OutputError(f"--sr {report}: expected a name that ends in {DICOM_ENDING}")
    if report.resolve() == dicom[0].resolve():
        raise OutputError(f"--sr {report}: is the segmentation's place, too; name another")
