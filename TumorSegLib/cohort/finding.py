"""What is to be segmented: cases of folders, files and manifests, each under a name of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from TumorSegLib.cohort import manifest
from TumorSegLib.cohort.case import FIRST, Case, Refused, Source, named_apart
from TumorSegLib.cohort.dicom_cases import Studies, Study, cases_of, has_candidates
from TumorSegLib.cohort.file_cases import cases_in, is_image, stem_of
from TumorSegLib.cohort.models import Models
from TumorSegLib.errors import InputError, escaped
from TumorSegLib.reading.file_path import readable
from TumorSegLib.reading.image_file import FORMATS
from TumorSegLib.reading.source_files import folder_and_series, is_dicom_file

LABEL_FOLDERS = ("labelsTr", "labelsTs")
"""Of nnU-Net, beside the images: what is in them is no image."""

Pseudonym = Callable[[str], str]
"""Makes of a UID or path the name of a case that tells nothing."""

Looked = Callable[[int], None]
"""Told how many folders have been looked through."""


def find_cases(
    inputs: Iterable[str],
    models: Models,
    *,
    pseudonym: Pseudonym | None,
    without: Path | None = None,
    exclude: Sequence[str] = (),
    looked: Looked = lambda count: None,
) -> list[Case | Refused]:
    """Return all cases below some inputs, sorted by name, and what is none and why.

    Args:
        inputs: folders, image files and manifests.
        models: of the run, by which series and channels are chosen.
        pseudonym: names cases of DICOM, whose folders often are called like the patient; None:
            they are named by their folders, too.
        without: folder of results, which is not looked through.
        exclude: patterns such as "MASKS*"; folders and files of such names are left out.
        looked: told about the progress.

    Raises:
        InputError: an input is missing, or a manifest cannot be used.
    """
    search = _Search(models, pseudonym, without, exclude, looked)
    found = [case for named in inputs for case in search.cases(named)]
    found += search.of_studies()
    found.sort(key=lambda case: case.name)
    return list(named_apart(found))


class _Search:
    def __init__(
        self,
        models: Models,
        pseudonym: Pseudonym | None,
        without: Path | None,
        exclude: Sequence[str],
        looked: Looked,
    ) -> None:
        self._models, self._pseudonym, self._looked = models, pseudonym, looked
        self._exclude = tuple(exclude)
        self._without = None if without is None else without.resolve()
        self._studies = Studies()
        self._seen: set[Path] = set()

    def cases(self, named: str) -> Iterator[Case | Refused]:
        """Yield the cases of one input but for those of DICOM, which are kept."""
        path, series = folder_and_series(named)
        readable(path)
        if path.is_dir() and series is None:
            yield from self._of_tree(path)
        elif path.is_dir():
            self._studies.add(path, path.resolve().name, only=series)
        elif path.name.lower().endswith(manifest.ENDINGS):
            yield from manifest.read_manifest(path, self._models)
        elif is_dicom_file(path):
            self._studies.add(path.parent, path.resolve().parent.name)
        elif path.name.lower().endswith(tuple(FORMATS)):
            yield Case(stem_of(path), {FIRST: Source(path, files=(path,))}, chosen="the file")
        else:
            raise InputError(
                f"{path}: expected a folder, an image ({', '.join(FORMATS)}) or a manifest"
                f" ({', '.join(manifest.ENDINGS)})"
            )

    def of_studies(self) -> Iterator[Case | Refused]:
        """Yield the cases of all DICOM that was found."""
        for study in self._studies:
            for case in cases_of(study, self._models):
                yield self._named(case, study)

    def _of_tree(self, top: Path) -> Iterator[Case | Refused]:
        for folder, folders, names in os.walk(top, followlinks=False):
            here = Path(folder)
            has_data_set = "dataset.json" in names
            folders[:] = sorted(
                name
                for name in folders
                if self._is_meant(name)
                and not (has_data_set and name in LABEL_FOLDERS)
                and (here / name).resolve() != self._without
            )
            real = here.resolve()
            if real in self._seen:
                continue
            self._seen.add(real)
            self._looked(len(self._seen))
            names = [name for name in names if self._is_meant(name)]
            place = here.relative_to(top).as_posix()
            place = "" if place == "." else place
            images = [name for name in names if is_image(name)]
            yield from cases_in(here, images, place, self._models)
            if has_candidates(names, FORMATS):
                yield from self._of_dicom(here, place or top.resolve().name)

    def _is_meant(self, name: str) -> bool:
        return not name.startswith(".") and not any(fnmatch(name, one) for one in self._exclude)

    def _of_dicom(self, folder: Path, place: str) -> Iterator[Refused]:
        try:
            self._studies.add(folder, place)
        except InputError as error:
            yield self._refused(folder, place, str(error))

    def _refused(self, folder: Path, place: str, reason: str) -> Refused:
        """Return why a folder cannot be used, without its name if that is not to be told."""
        if self._pseudonym is None:
            return Refused(place, reason, (folder,))
        name = self._pseudonym(str(folder.resolve()))
        for word in reason.split():
            if word.startswith(escaped(str(folder))):
                reason = reason.replace(word, "a file:" if word.endswith(":") else "a file")
        return Refused(name, reason.replace(escaped(folder.name), name), (folder,))

    def _named(self, case: Case | Refused, study: Study) -> Case | Refused:
        if self._pseudonym is None:
            return replace(case, is_private=False) if isinstance(case, Case) else case
        modality = case.modality or "" if isinstance(case, Case) else ""
        several = case.name != study.place
        return replace(case, name=self._pseudonym(f"{study.key} {modality if several else ''}"))
