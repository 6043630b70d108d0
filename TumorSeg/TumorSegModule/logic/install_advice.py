"""What a user can do about an installation that failed, by what was printed. No Qt, no MRML."""

from __future__ import annotations

from slicer.i18n import tr as _


def advice(text: str) -> str:
    """Return what to do, by the first known cause that `text`, the output, names."""
    lowered = text.lower()
    for words, line in _causes():
        if any(word in lowered for word in words):
            return line
    return _(
        "Click Segment to try again; if it fails again, restart Slicer first. The details tell"
        " what pip, Python's installer, said."
    )


def explain_import_failure(message: str, details: str) -> str:
    """Return a line about a package that cannot be loaded, or `message` if `details` name none.

    Args:
        message: the line that there is.
        details: a traceback of the worker's.
    """
    last = details.strip().splitlines()[-1] if details.strip() else ""
    if not last.startswith(("ImportError", "ModuleNotFoundError", "OSError: [WinError")):
        return message
    return _("A package that the segmentation needs cannot be loaded ({error}). {advice}").format(
        error=last.partition(": ")[2][:200], advice=advice(f"{last}\n{_MODULE_LOST}")
    )


_MODULE_LOST = "cannot be loaded"


def _causes() -> tuple[tuple[tuple[str, ...], str], ...]:
    """Return words in the output, and what to do; the first that fits counts."""
    return (
        (
            ("no space left", "errno 28", "not enough space"),
            _("The disk is full: free some gigabytes, then try again."),
        ),
        (
            ("dll load failed", "winerror 126", "winerror 127", "winerror 1114"),
            _(
                "Windows could not load PyTorch: install Microsoft's “Visual C++ Redistributable”"
                " (x64), restart Slicer, and try again. If that does not help, remove PyTorch with"
                " the module PyTorch Utils and let it be installed anew."
            ),
        ),
        (
            ("record file was not found", "no record file"),
            _(
                "A package was left incomplete and cannot be taken out: delete its folders from"
                " Slicer's site-packages by hand (the details name it), then try again."
            ),
        ),
        (
            ("access is denied", "winerror 5]", "winerror 32", "being used by another process"),
            _(
                "Files are in use by this Slicer: restart it and click before any other module"
                " that uses PyTorch is opened."
            ),
        ),
        (
            ("permission denied", "read-only file system"),
            _(
                "Slicer's folder may not be written to: install Slicer into a folder of your own,"
                " or ask your administrator to run this once."
            ),
        ),
        (
            ("certificate_verify_failed", "sslerror", "certificate verify failed"),
            _(
                "The network's certificate is not trusted: ask your administrator for the"
                " certificate and name it in the environment variable PIP_CERT, or install without"
                " internet as the documentation says."
            ),
        ),
        (
            ("proxyerror", "cannot connect to proxy", "407 proxy"),
            _(
                "The network's proxy refused: name it in the environment variable HTTPS_PROXY and"
                " restart Slicer, or install without internet as the documentation says."
            ),
        ),
        (
            (
                "failed to establish a new connection",
                "name resolution",
                "getaddrinfo failed",
                "name or service not known",
                "nodename nor servname",
                "network is unreachable",
                "timed out",
                "connection aborted",
                "connection broken",
            ),
            _(
                "The internet could not be reached: check the connection and try again, or install"
                " without internet as the documentation says."
            ),
        ),
        (
            ("resolutionimpossible", "conflicting dependencies"),
            _(
                "A package that another extension installed does not go with what is needed;"
                " nothing was replaced. The details name it; remove it with"
                " slicer.util.pip_uninstall, then try again."
            ),
        ),
        (
            (_MODULE_LOST,),
            _(
                "Remove PyTorch with the module PyTorch Utils, restart Slicer, and click Segment:"
                " it is installed anew."
            ),
        ),
        (
            ("no matching distribution", "could not find a version"),
            _(
                "There is no such package for this version of Slicer or this computer: take a"
                " newer Slicer, or see the documentation."
            ),
        ),
    )
