"""One case of a cohort: its images by channel, before anything of them is decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from TumorSegLib.errors import escaped
from TumorSegLib.writing.file_name import file_name_of

FIRST = ""
"""Stands for the model's first channel, whatever that is called."""


@dataclass(frozen=True)
class Source:
    """One image of a case.

    Attributes:
        path: of a file, or of a folder of DICOM.
        series: SeriesInstanceUID, where it is one of several in a folder.
        files: what is read, for telling whether it has changed.
    """

    path: Path
    series: str | None = None
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Case:
    """What is to be segmented.

    Attributes:
        name: of its folder and row; nothing else names it in what is written.
        sources: images by the model's channel, the segmented one first; `FIRST` where it is not
            known yet how a model calls it.
        modality: "CT" or "MR", where the header says so.
        model: id or folder that was asked for; None: the default for what the image is.
        chosen: why these images.
        is_private: whether the names of its files may tell who the patient is.
    """

    name: str
    sources: Mapping[str, Source]
    modality: str | None = None
    model: str | None = None
    chosen: str = ""
    is_private: bool = False

    def absolute(self) -> Case:
        """Return the case for a process that works in another folder."""
        sources = {
            channel: Source(
                source.path.absolute(),
                source.series,
                tuple(file.absolute() for file in source.files),
            )
            for channel, source in self.sources.items()
        }
        return replace(self, sources=sources)


@dataclass(frozen=True)
class Refused:
    """What cannot be segmented, and why in a line.

    Attributes:
        name: as that of a case.
        reason: why.
        folders: in which its images lie, for the list that its owner alone sees.
    """

    name: str
    reason: str
    folders: tuple[Path, ...] = field(default=(), compare=False)


def named_apart(cases: Iterable[Case | Refused]) -> Iterator[Case | Refused]:
    """Yield cases under names that every system takes for folders, each another one."""
    taken: set[str] = set()
    for case in cases:
        name = plain = file_name_of(case.name)[:120].lstrip(".") or "unnamed"
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name.casefold())
        yield replace(case, name=name)


def discreet(line: str, case: Case) -> str:
    """Return a line without folders, and without any word of paths that may name the patient.

    Args:
        line: a warning, or the message of an error.
        case: that it is about.
    """
    line = escaped(line)
    if not case.is_private:
        for source in case.sources.values():
            line = line.replace(escaped(str(source.path)), escaped(source.path.name))
        return line
    for source in case.sources.values():
        for path in (escaped(str(source.path)), escaped(str(source.path.resolve()))):
            for word in line.split():
                if word.startswith(path):
                    line = line.replace(word, f"{case.name}{':' * word.endswith(':')}")
            line = line.replace(path, case.name)
        for text in {source.path.resolve().name, source.path.name, source.series or ""} - {""}:
            line = line.replace(escaped(text), case.name)
        for file in source.files:
            line = line.replace(escaped(file.name), "a file")
    return line
