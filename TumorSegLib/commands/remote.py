"""The option --server: a server segments in place of this computer."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING

from TumorSegLib.commands.common import Told, progress_bar, run_options
from TumorSegLib.errors import InputError, ServerError
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue

if TYPE_CHECKING:
    from TumorSegLib.inference.result import SegmentationResult

HERE = "leave out --server to run here"


def check_server_options(arguments: Namespace) -> None:
    """Refuse options that have no effect.

    Raises:
        InputError: there is one.
    """
    if arguments.server is None and arguments.token_file is not None:
        raise InputError("--token-file: has no effect without --server; add --server URL")
    if arguments.server is not None and arguments.device != "auto":
        raise InputError("--device: is the server's choice; leave out --device or --server")


def segmented_by_server(
    arguments: Namespace,
    bundle: Bundle,
    catalogue: Catalogue,
    volumes: Mapping[str, Volume],
    told: Told,
) -> SegmentationResult:
    """Return what the server has segmented.

    Raises:
        InputError: the server is away, refuses, or has another model; or the volumes or the token
            cannot be used.
    """
    from TumorSegLib.remote.credentials import place_of
    from TumorSegLib.remote.segmenter import RemoteSegmenter

    place = place_of(arguments.server, arguments.token_file)
    shown = not (arguments.quiet or arguments.json)
    try:
        segmenter = RemoteSegmenter(place, bundle, run_options(arguments), catalogue=catalogue)
        with progress_bar(bundle.specification.title, shown=shown) as bar:
            return segmenter.segment(
                volumes,
                progress=bar,
                on_warnings=told,
                on_place=lambda number: bar.say(f"waiting, place {number}"),
                on_start=lambda *_: bar.say(bundle.specification.title),
            )
    except ServerError as error:
        raise InputError(f"{error}; {HERE}") from None
