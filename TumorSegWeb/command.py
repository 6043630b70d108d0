"""`tumorseg web`: the page for one user on this computer."""

from __future__ import annotations

import asyncio
import os
import webbrowser
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from TumorSegLib.commands.terminal import terminal
from TumorSegLib.errors import InputError
from TumorSegLib.support.extras import pip_install

HOST = "127.0.0.1"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg web`."""
    parser.add_argument(
        "volumes",
        metavar="VOLUME",
        nargs="*",
        type=Path,
        help="what to open: NIfTI, NRRD, MetaImage, a scene (.mrb), a DICOM folder or a .zip;"
        " without one the page offers made-up patients",
    )
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="of the page (default: any that is free)"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address, do not open a browser"
    )


def run(arguments: Namespace) -> int:
    """Serve the page until it is interrupted."""
    for path in arguments.volumes:
        if not path.exists():
            raise InputError(f"{path}: there is no such file or folder")
    for package in ("trame_slicer", "slicer_core"):
        if find_spec(package) is None:
            raise InputError(
                f"the page needs {package}, which is not installed; run {pip_install('web')}"
            )
    from TumorSegWeb.access import Access
    from TumorSegWeb.serving import serve

    access, console = Access(), terminal(stderr=True)

    def ready(port: int) -> None:
        address = f"http://{HOST}:{port}/?token={access.token}"
        console.print(f"TumorSeg is at {address}", soft_wrap=True)
        console.print("Only this computer reaches it. Ctrl-C ends it.")
        if not arguments.no_browser and _has_browser():
            webbrowser.open(address)

    with suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments.volumes, HOST, arguments.port, access, ready))
    return 0


def _has_browser() -> bool:
    """Tell whether there is a browser with a window; one in the terminal cannot show the page."""
    if os.name == "posix" and os.uname().sysname == "Linux":
        screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        if not screen:
            return False
    with suppress(webbrowser.Error):
        webbrowser.get()
        return True
    return False
