"""What a node is told, in lines to check before it starts."""

from __future__ import annotations

from collections.abc import Iterator

from TumorSegLib.node.rules import Rules
from TumorSegLib.node.settings import NodeSettings


def described(settings: NodeSettings, rules: Rules) -> Iterator[str]:
    """Yield whom the node hears, what each rule does, and where results go."""
    receive, watch = settings.receive, settings.watch
    if receive is not None:
        who = ", ".join(receive.callers) if receive.titles else "everybody"
        where = f" at {', '.join(receive.addresses)}" if receive.addresses else ""
        tls = ", TLS" if receive.tls else ""
        yield (
            f"hears {who}{where} as {receive.ae_title} on {receive.host}:{receive.port}{tls};"
            f" a series is complete {receive.quiet_seconds:g} s after its last image"
        )
    if watch is not None:
        yield f"looks for series at {watch.url} every {watch.every_seconds:g} s"
    yield from rules.described()
    what = "a segmentation and a report" if settings.run.report else "a segmentation"
    yield f"sends {what} to {settings.send}; gives up after {settings.give_up_hours:g} h"
