"""The folder of a data set, in which every case is whole at any time.

A case is written to a folder of its own below `.export`, whose renaming decides that it will be
there; its files then move to their places, and `dataset.json`, which lists the whole cases for
nnU-Net and for us, is replaced last. A process that is killed before that renaming leaves nothing
but `.export/new`; one that is killed after it leaves moves that the next export makes up for.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.export.dataset_name import dataset_name, is_dataset_name
from TumorSegLib.export.identity import ExportKey, key_file
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.support.atomic_write import ensure_makeable, flush, write_whole
from TumorSegLib.support.schema import parsed

FILE_ENDING = ".nii.gz"
DESCRIPTION = "dataset.json"
IMAGES, LABELS, CASES, SEGMENTS = "imagesTr", "labelsTr", "cases", "segments"

STAGING = ".export"
NEW = "new"
APART = ".segments"
"""Ends the name of a staged case that has one file a segment."""


@dataclass(frozen=True)
class Dataset:
    """A data set's folder, for cases of one kind of model.

    Attributes:
        folder: its name is DatasetNNN_Name.
        key: with which its ids are made.
        channels: titles of the sequences, in order; nnU-Net normalises a channel "CT" as CT.
        labels: values by name, from 0 without gaps, as nnU-Net wants them.
    """

    folder: Path
    key: ExportKey
    channels: tuple[str, ...]
    labels: dict[str, int]

    @classmethod
    def of(cls, folder: Path, specification: ModelSpecification, key: ExportKey) -> Dataset:
        """Return the data set in `folder`, which need not be there yet.

        Label values are the model's; values between them that it does not use get a name, too.

        Raises:
            OutputError: the name is none of nnU-Net's, or the folder cannot be made.
        """
        folder = folder.absolute()
        if not is_dataset_name(folder.name):
            raise OutputError(
                f"{folder}: nnU-Net expects a folder DatasetNNN_Name, such as"
                f" {folder / dataset_name(specification)}"
            )
        ensure_makeable(folder)
        names = {label.value: label.name for label in specification.labels}
        values = range(1, max(names) + 1)
        labels = {names.get(value, f"not used {value}"): value for value in values}
        channels = tuple(channel.title for channel in specification.input.channels)
        return cls(folder, key, channels, {"background": 0, **labels})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other exports out, make the folders, and finish what a killed export has begun.

        Raises:
            InputError: the folder holds a data set of another kind, or made with another key.
            OutputError: the folder cannot be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f"{STAGING}.lock"):
                self._begin()
                shutil.rmtree(self._staging / NEW, ignore_errors=True)
                for staged in sorted(self._staging.iterdir()):
                    self._finish(staged)
                yield
        except OSError as error:
            raise OutputError(
                f"{self.folder}: cannot be written: {error.strerror or error}"
            ) from error

    def holds(self, case: str) -> bool:
        """Tell whether a case is there, with a label map or with one file a segment."""
        return self.label(case).exists() or (self.folder / SEGMENTS / case).exists()

    def label(self, case: str) -> Path:
        """Return where a case's label map is."""
        return self.folder / LABELS / f"{case}{FILE_ENDING}"

    def record(self, case: str) -> Path:
        """Return where a case's side file is."""
        return self.folder / CASES / f"{case}.json"

    def cases(self) -> list[str]:
        """Return the ids of the cases that `dataset.json` lists."""
        return sorted(self._read()["dataset"])

    @contextmanager
    def staged(self, case: str, *, apart: bool) -> Iterator[Path]:
        """Yield a folder for the files of a case, at their paths within the data set.

        When the block ends well, the case is in the data set, in the place of an earlier one with
        the same id; otherwise nothing has changed. Only within `locked`.

        Args:
            case: its id.
            apart: it has one file a segment.
        """
        new = self._staging / NEW
        try:
            new.mkdir()
            yield new
            for path in new.rglob("*"):
                if path.is_file():
                    flush(path)
            staged = self._staging / f"{case}{APART if apart else ''}"
            new.rename(staged)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        self._finish(staged)

    @property
    def _staging(self) -> Path:
        return self.folder / STAGING

    def _begin(self) -> None:
        """Make what a new data set has, or check that an old one is of this kind."""
        path = self.folder / DESCRIPTION
        if path.exists():
            self._check(self._read())
        elif any(self.folder.glob("*Tr")):
            raise InputError(f"{path}: is missing, though there are cases; choose another folder")
        else:
            self._write({})
        for name in (IMAGES, LABELS, CASES, STAGING):
            (self.folder / name).mkdir(exist_ok=True)

    def _check(self, content: dict[str, Any]) -> None:
        path = self.folder / DESCRIPTION
        expected = self._head()
        for key in ("channel_names", "labels", "file_ending"):
            if content.get(key) != expected[key]:
                raise InputError(
                    f"{path}: {key} is {_shown(content.get(key))}, this model's is"
                    f" {_shown(expected[key])}; choose another data set"
                )
        if content.get("key") != self.key.mark:
            raise InputError(
                f"{self.folder}: was begun by another user, computer or program, so the same"
                f" patient would get another id; bring that user's export-key to {key_file()}, or"
                " choose another data set"
            )

    def _finish(self, staged: Path) -> None:
        """Move a staged case's files to their places, the label map last, and list the case."""
        apart = staged.name.endswith(APART)
        case = staged.name.removesuffix(APART)
        if apart:
            self.label(case).unlink(missing_ok=True)
            for image in (self.folder / IMAGES).glob(f"{case}_*{FILE_ENDING}"):
                image.unlink()
        elif (self.folder / SEGMENTS / case).exists():
            shutil.rmtree(self.folder / SEGMENTS / case)
        for path in sorted(path for path in staged.rglob("*") if path.is_file()):
            target = self.folder / path.relative_to(staged)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        self._write(self._read()["dataset"])
        shutil.rmtree(staged)

    def _write(self, listed: dict[str, Any]) -> None:
        """Replace `dataset.json`; its list is what is there and whole."""
        cases = {case: entry for case, entry in listed.items() if self._is_whole(entry)}
        for label in sorted((self.folder / LABELS).glob(f"*{FILE_ENDING}")):
            case = label.name.removesuffix(FILE_ENDING)
            numbers = range(len(self.channels))
            images = [f"{IMAGES}/{case}_{number:04d}{FILE_ENDING}" for number in numbers]
            entry = {"images": images, "label": f"{LABELS}/{label.name}"}
            if self._is_whole(entry):
                cases[case] = entry
        content = {**self._head(), "numTraining": len(cases), "dataset": cases}
        write_whole(self.folder / DESCRIPTION, json.dumps(content, indent=2, ensure_ascii=False))

    def _is_whole(self, entry: dict[str, Any]) -> bool:
        return all((self.folder / path).exists() for path in (entry["label"], *entry["images"]))

    def _head(self) -> dict[str, Any]:
        return {
            "channel_names": {str(number): name for number, name in enumerate(self.channels)},
            "labels": self.labels,
            "file_ending": FILE_ENDING,
            "name": self.folder.name.partition("_")[2],
            "key": self.key.mark,
        }

    def _read(self) -> dict[str, Any]:
        path = self.folder / DESCRIPTION
        try:
            content = parsed(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path}: not JSON: {error}; choose another data set") from None
        if not isinstance(content, dict) or not isinstance(content.get("dataset", {}), dict):
            raise InputError(f"{path}: not nnU-Net's; choose another data set")
        return {"dataset": {}, **content}


def _shown(value: Any) -> str:
    return "missing" if value is None else json.dumps(value, ensure_ascii=False)
