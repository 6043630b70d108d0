"""`tumorseg serve`: this computer segments for others."""

from __future__ import annotations

import json
import logging
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from TumorSegLib.commands.terminal import terminal
from TumorSegLib.commands.work_options import count, port, share
from TumorSegLib.errors import InputError
from TumorSegLib.server.limits import Limits
from TumorSegLib.server.tokens import TokenFile, default_file
from TumorSegLib.support.version import JSON_FORMAT

DAYS = 365
GIB, MIB = 1 << 30, 1 << 20


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg serve`."""
    limits = Limits()
    where = parser.add_argument_group("where it listens")
    where.add_argument(
        "--host",
        default="127.0.0.1",
        help="interface, such as 0.0.0.0 for all (default: this computer alone)",
    )
    where.add_argument("--port", type=port, default=8443, help="(default: %(default)s)")
    where.add_argument(
        "--certificate", metavar="FILE", type=Path, help="for TLS: certificate chain, PEM"
    )
    where.add_argument("--key", metavar="FILE", type=Path, help="its private key, PEM")
    where.add_argument(
        "--in-the-clear",
        action="store_true",
        help="listen to other computers without TLS, behind a proxy that has it",
    )
    who = parser.add_argument_group("who may use it")
    who.add_argument(
        "--tokens", metavar="FILE", type=Path, help="their hashes (default: in the data folder)"
    )
    who.add_argument("--add-token", metavar="USER", help="print a new token for a user, and end")
    who.add_argument(
        "--days", metavar="N", type=count, help=f"with --add-token: it counts (default: {DAYS})"
    )
    who.add_argument("--list-tokens", action="store_true", help="list users and expiry, and end")
    who.add_argument(
        "--revoke-token", metavar="USER|ID", help="let tokens count no more, at once, and end"
    )
    work = parser.add_argument_group("what it works with")
    work.add_argument(
        "--replicas",
        metavar="N",
        type=count,
        help="processes that segment, at most; started as needed (default: one a GPU, or one)",
    )
    work.add_argument("--threads", metavar="N", type=count, help="cores of each")
    work.add_argument(
        "--gpu-share", metavar="F", type=share, help="part of a GPU of each, such as 0.5"
    )
    most = parser.add_argument_group("what it takes at most")
    most.add_argument(
        "--largest",
        metavar="MIB",
        type=count,
        default=limits.body_bytes // MIB,
        help="voxels of one case (default: %(default)s MiB)",
    )
    most.add_argument(
        "--memory",
        metavar="GIB",
        type=count,
        default=limits.memory_bytes // GIB,
        help="of all cases together, in shared memory (default: %(default)s GiB)",
    )
    most.add_argument(
        "--queue", metavar="N", type=count, default=limits.queue, help="(default: %(default)s)"
    )
    most.add_argument(
        "--per-user",
        metavar="N",
        type=count,
        default=limits.a_user,
        help="cases of one user (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="with --list-tokens: one JSON object")


def run(arguments: Namespace) -> int:
    """See to tokens, or serve until told to end.

    Raises:
        TumorSegError: see `TumorSegLib.server.serving.serve` and `TokenFile`.
    """
    tokens = TokenFile(arguments.tokens or default_file())
    if arguments.days is not None and arguments.add_token is None:
        raise InputError("--days: has no effect without --add-token; add --add-token USER")
    if arguments.add_token is not None:
        print(tokens.add(arguments.add_token, arguments.days or DAYS))  # noqa: T201
        return 0
    if arguments.revoke_token is not None:
        count = tokens.revoke(arguments.revoke_token)
        terminal(stderr=True).print(f"{count} revoked")
        return 0
    if arguments.list_tokens:
        return _list(tokens, as_json=arguments.json)
    return _serve(arguments, tokens)


def _list(tokens: TokenFile, *, as_json: bool) -> int:
    now = datetime.now(UTC)
    listed = tokens.tokens()
    if as_json:
        rows = [
            {key: value for key, value in asdict(token).items() if key != "sha256"}
            | {"valid": token.is_valid(now)}
            for token in listed
        ]
        print(json.dumps({"format": JSON_FORMAT, "tokens": rows}, indent=2))  # noqa: T201
        return 0
    console = terminal()
    for token in listed:
        state = "until" if token.is_valid(now) else "expired"
        console.print(f"{token.id}  {token.user}  {state} {token.expires[:10]}", soft_wrap=True)
    if not listed:
        console.print("no tokens; --add-token USER makes one")
    return 0


def _serve(arguments: Namespace, tokens: TokenFile) -> int:
    from TumorSegLib.server.address import Address
    from TumorSegLib.server.serving import ReplicaOptions, Serving, serve

    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    serve(
        Serving(
            tokens,
            Address(
                arguments.host,
                arguments.port,
                arguments.certificate,
                arguments.key,
                arguments.in_the_clear,
            ),
            Limits(
                body_bytes=arguments.largest * MIB,
                memory_bytes=arguments.memory * GIB,
                queue=arguments.queue,
                a_user=arguments.per_user,
            ),
            ReplicaOptions(arguments.replicas, arguments.threads, arguments.gpu_share),
        ),
        ready=lambda url: print(f"listening on {url}", flush=True),  # noqa: T201
    )
    return 0
