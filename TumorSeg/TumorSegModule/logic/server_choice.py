"""Where runs take place: on this computer, or on a server; kept for the user, not in a scene.

A scene from elsewhere must not decide where voxels are sent.
"""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError

WHERE, ADDRESS = "TumorSeg/WhereToRun", "TumorSeg/ServerAddress"
HERE, SERVER = "here", "server"


def where() -> str:
    """Return `HERE` or `SERVER`."""
    if not hasattr(slicer, "app"):  # the page, which keeps no settings
        return HERE
    return SERVER if slicer.app.userSettings().value(WHERE) == SERVER else HERE


def address() -> str:
    """Return the server's address as the user wrote it, "" if none was written."""
    return str(slicer.app.userSettings().value(ADDRESS) or "")


def wished() -> str | None:
    """Return the address of the server to run on, None for this computer."""
    return address() if where() == SERVER else None


def checked(server: str | None) -> str:
    """Return an address that was `wished` for, "" for this computer.

    Raises:
        InputError: it is empty.
    """
    if server == "":
        raise InputError(
            _("Enter the server's address under Advanced, or choose This computer there.")
        )
    return server or ""


def choose(place: str) -> None:
    """Keep where to run, `HERE` or `SERVER`."""
    slicer.app.userSettings().setValue(WHERE, place)


def keep_address(text: str) -> None:
    """Keep the server's address."""
    slicer.app.userSettings().setValue(ADDRESS, text.strip())
