"""What models are installed from: a file or folder here, or a file that is downloaded."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from TumorSegLib.errors import ModelError, OutputError, TumorSegError
from TumorSegLib.support import leftovers
from TumorSegLib.support.archive import PART_BYTES
from TumorSegLib.support.download import downloaded

LARGEST_ARCHIVE = 4 << 30
SILENCE_SECONDS = 60.0
IMPORT, REMOVED = ".import-", ".removed-"
"""Begin the names of folders beside the user's models that are there while models come or go."""


@contextmanager
def temporary_folder(models_folder: Path, prefix: str = IMPORT) -> Iterator[Path]:
    """Yield a new folder beside the user's own models, gone when the block ends.

    What processes that were killed left goes, too.

    Raises:
        OSError: it cannot be made.
    """
    models_folder.mkdir(parents=True, exist_ok=True)
    for left in (IMPORT, REMOVED):
        leftovers.remove_left_over(models_folder, left)
    with tempfile.TemporaryDirectory(
        dir=models_folder, prefix=f"{prefix}{leftovers.owner()}-", ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


@contextmanager
def model_source(
    source: str,
    models_folder: Path,
    *,
    sha256: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[tuple[Path, str | None]]:
    """Yield the path of a file or folder to take models from, and the SHA-256 of a file.

    Args:
        source: a path, or the https address of a .zip file, which is downloaded to a place beside
            the user's own models and gone when the block ends.
        models_folder: folder of the user's own models.
        sha256: what the file's SHA-256 must be.
        progress: is told the bytes that were downloaded and are promised (0: nothing is).

    Raises:
        ModelError: the file's SHA-256 is another one, or there is no file.
        DownloadError: it cannot be downloaded.
        OutputError: what is downloaded cannot be written.
    """
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise ModelError(f"SHA-256 {sha256}: expected 64 hexadecimal digits")
    if "://" not in source:
        path = Path(source)
        yield path, _checked(source, path, sha256)
        return
    try:
        with temporary_folder(models_folder) as folder:
            path = folder / "model.zip"
            with path.open("xb") as file:
                for part in downloaded(
                    source, largest=LARGEST_ARCHIVE, silence=SILENCE_SECONDS, progress=progress
                ):
                    file.write(part)
            try:
                yield path, _checked(source, path, sha256)
            except ModelError as error:  # the user knows nothing of the place
                raise ModelError(str(error).replace(str(path), source)) from None
    except TumorSegError:
        raise
    except OSError as error:
        raise OutputError(
            f"{models_folder}: {error.strerror or error}; nothing was installed"
        ) from error


def _checked(source: str, path: Path, sha256: str | None) -> str | None:
    """Return the SHA-256 of a file; of a folder there is none, of what is not there neither."""
    if not path.is_file():
        if sha256 is not None:
            raise ModelError(f"{source}: is no file, expected the one whose SHA-256 is given")
        return None
    try:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while part := file.read(PART_BYTES):
                digest.update(part)
    except OSError as error:
        raise ModelError(f"{source}: {error.strerror or error}") from None
    checksum = digest.hexdigest()
    if sha256 is not None and checksum != sha256.lower():
        raise ModelError(
            f"{source}: SHA-256 is {checksum[:12]}..., expected {sha256[:12].lower()}...; it is"
            " damaged or another file, and was not installed"
        )
    return checksum
