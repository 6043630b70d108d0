"""`tumorseg web`: the page for one user on this computer, or for several on others."""

from __future__ import annotations

import asyncio
import os
import webbrowser
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from TumorSegLib.commands.terminal import say, terminal
from TumorSegLib.commands.work_options import count, port
from TumorSegLib.errors import InputError
from TumorSegLib.support.extras import pip_install

HOST = "127.0.0.1"
HOSTED_PORT = 8443
IDLE_MINUTES = 30.0
CORES_A_SESSION, GIB_A_SESSION = 1, 3


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
        "--no-browser", action="store_true", help="print the address, do not open a browser"
    )
    where = parser.add_argument_group("where it listens")
    where.add_argument(
        "--host",
        default=HOST,
        help="interface, such as 0.0.0.0 for all (default: this computer alone)",
    )
    where.add_argument(
        "--port",
        type=port,
        metavar="N",
        help=f"(default: any that is free; for several people {HOSTED_PORT})",
    )
    where.add_argument(
        "--certificate", metavar="FILE", type=Path, help="for TLS: certificate chain, PEM"
    )
    where.add_argument("--key", metavar="FILE", type=Path, help="its private key, PEM")
    several = parser.add_argument_group("several people")
    several.add_argument(
        "--password-file",
        metavar="FILE",
        type=Path,
        help="ask for the password in it, and give each who has it a session of their own",
    )
    several.add_argument(
        "--set-password",
        metavar="FILE",
        type=Path,
        help="ask for a new password, keep it in a file for --password-file, and end",
    )
    several.add_argument(
        "--sessions", metavar="N", type=count, help="at once (default: as cores and memory allow)"
    )
    several.add_argument(
        "--idle-minutes",
        metavar="N",
        type=_minutes,
        help=f"end sessions that nobody uses (default: {IDLE_MINUTES:g})",
    )


def run(arguments: Namespace) -> int:
    """Serve the page until it is interrupted, or keep a password.

    Raises:
        InputError: an option or a volume cannot be used, or a package is missing.
    """
    if arguments.set_password is not None:
        from TumorSegWeb.password import PasswordFile, ask_for_new

        PasswordFile(arguments.set_password).set(ask_for_new)
        terminal(stderr=True).print(f"wrote {arguments.set_password}", soft_wrap=True)
        return 0
    for path in arguments.volumes:
        if not path.exists():
            raise InputError(f"{path}: there is no such file or folder")
    for package in ("trame_slicer", "slicer_core"):
        if find_spec(package) is None:
            raise InputError(
                f"the page needs {package}, which is not installed; run {pip_install('web')}"
            )
    if arguments.password_file is not None:
        return _for_several(arguments)
    _check_alone(arguments)
    return _for_one(arguments)


def _for_one(arguments: Namespace) -> int:
    from TumorSegWeb.access import Access
    from TumorSegWeb.ending import asked_to_end
    from TumorSegWeb.serving import serve
    from TumorSegWeb.temporary import remove_left_over

    access, console = Access(), terminal(stderr=True)

    def ready(port: int) -> None:
        address = f"http://{arguments.host}:{port}/?token={access.token}"
        console.print(f"TumorSeg is at {address}", soft_wrap=True)
        console.print("Only this computer reaches it. Ctrl-C ends it.")
        if not arguments.no_browser and _has_browser():
            webbrowser.open(address)

    async def page() -> None:
        port = arguments.port or 0
        await serve(arguments.volumes, arguments.host, port, access, ready, asked_to_end())

    remove_left_over()
    with suppress(KeyboardInterrupt):
        asyncio.run(page())
    return 0


def _for_several(arguments: Namespace) -> int:
    from TumorSegLib.server.address import Address
    from TumorSegWeb.hosting import Hosting, host
    from TumorSegWeb.password import PasswordFile

    sessions = arguments.sessions or _sessions_here()
    minutes = arguments.idle_minutes or IDLE_MINUTES
    port = HOSTED_PORT if arguments.port is None else arguments.port
    console = terminal(stderr=True)

    def ready(address: str) -> None:
        console.print(f"TumorSeg is at {address}", soft_wrap=True)
        console.print(
            f"{sessions} sessions at most, each until nobody has used it for {minutes:g} minutes."
            " Ctrl-C ends it.",
            soft_wrap=True,
        )

    hosting = Hosting(
        Address(arguments.host, port, arguments.certificate, arguments.key),
        PasswordFile(arguments.password_file),
        sessions,
        minutes,
        arguments.volumes,
    )
    with suppress(KeyboardInterrupt):
        host(hosting, ready, say)
    return 0


def _check_alone(arguments: Namespace) -> None:
    """Refuse options for several people where there is no password.

    Raises:
        InputError: there is one.
    """
    from TumorSegLib.remote.credentials import is_loopback

    make = "make a password with --set-password FILE, and add --password-file FILE"
    if not is_loopback(arguments.host):
        raise InputError(f"--host {arguments.host}: others would reach the page; {make}")
    for option in ("certificate", "key", "sessions", "idle_minutes"):
        if getattr(arguments, option) is not None:
            name = f"--{option.replace('_', '-')}"
            raise InputError(f"{name}: has no effect without --password-file; {make}")


def _sessions_here() -> int:
    """Return how many sessions this computer has cores and memory for."""
    cores = os.cpu_count() or 1
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 30
    except (AttributeError, ValueError, OSError):  # Windows
        memory = cores * GIB_A_SESSION
    return max(1, min(cores // CORES_A_SESSION, memory // GIB_A_SESSION))


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


def _minutes(text: str) -> float:
    number = float(text)
    if not 0 < number <= 7 * 24 * 60:
        raise ValueError
    return number
