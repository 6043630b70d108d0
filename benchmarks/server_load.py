"""A server under load: 50 clients at once, of whom some cancel and some break off.

    python benchmarks/server_load.py [--minutes 5] [--clients 50] [--write docs/scale.md]

Clients of ten users send CT phantoms one after the other to `tumorseg serve`, a process of its own
on this computer, with a model that takes next to no time: what is measured is all around the
network. One order in ten is cancelled at some moment, one in ten loses its connection, and one
process that segments is killed in the middle. If an order is neither answered rightly nor refused
with a reason, or memory stays behind, the status is 1.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]

import numpy as np  # noqa: E402
from bright_models import write_ct_model  # noqa: E402

from TumorSegLib.errors import Cancelled, ServerError  # noqa: E402
from TumorSegLib.image.volume import Volume  # noqa: E402
from TumorSegLib.inference.run_options import RunOptions  # noqa: E402
from TumorSegLib.inference.segmenter import Segmenter  # noqa: E402
from TumorSegLib.model.catalogue import Catalogue  # noqa: E402
from TumorSegLib.phantom import abdomen_phantom  # noqa: E402
from TumorSegLib.remote.connection import welcome  # noqa: E402
from TumorSegLib.remote.credentials import Place, place_of  # noqa: E402
from TumorSegLib.remote.protocol import FORMAT, ORDER_HEADER, Order, to_text  # noqa: E402
from TumorSegLib.remote.segmenter import RemoteSegmenter, _sent  # noqa: E402
from TumorSegLib.server.tokens import TokenFile  # noqa: E402

SHAPE = (32, 192, 192)
SPACING = (2.0, 2.0, 6.0)
USERS = 10
REPLICAS = 2
MODEL = "tiny-ct"
MARKS = ("<!-- server: begin -->", "<!-- server: end -->")
GROWTH = 1.1
"""Times as much memory as before that may be left after."""


@dataclass
class Account:
    """What became of all orders."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    again: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def clear(self) -> None:
        """Forget all."""
        for kept in (self.outcomes, self.reasons, self.faults, self.seconds):
            kept.clear()
        self.again = 0

    def note(self, outcome: str, reason: str = "") -> None:
        """Count one order."""
        with self.lock:
            self.outcomes[outcome] += 1
            if outcome == "refused":
                self.reasons[reason] += 1
            elif outcome == "fault":
                self.faults.append(reason)


def main() -> int:
    """Run the server and its clients; print or write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--write", type=Path, help="page in which the figures are replaced")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tumorseg-load-") as folder:
        lines, is_sound = measured(Path(folder), arguments.minutes, arguments.clients)
    table = "\n".join(["| | |", "|---|--:|", *lines])
    print(table)
    if arguments.write is not None:
        page = arguments.write.read_text("utf-8")
        before, _, rest = page.partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        arguments.write.write_text(f"{before}{MARKS[0]}\n{table}\n{MARKS[1]}{after}", "utf-8")
    return 0 if is_sound else 1


def measured(folder: Path, minutes: float, clients: int) -> tuple[list[str], bool]:
    """Return lines of the table, and whether all was as it should be."""
    write_ct_model(folder / "models", MODEL, window=(-100, 250), default=True)
    catalogue = Catalogue.of([folder / "models"])
    bundle = catalogue.find(MODEL)
    volumes = [abdomen_phantom(seed, shape=SHAPE, spacing=SPACING)[0] for seed in range(3)]
    expected = [Segmenter(bundle).segment(volume).labelmap for volume in volumes]
    tokens = TokenFile(folder / "tokens.json")
    secrets = [tokens.add(f"user{number}", 1) for number in range(USERS)]
    server, url = started(folder)
    try:
        os.environ["TUMORSEG_TOKEN"] = secrets[0]
        place = place_of(url)
        places = [replace(place, token=secret) for secret in secrets]
        account = Account()

        def client(number: int, until: float) -> None:
            remote = RemoteSegmenter(
                places[number % USERS], bundle, RunOptions(), catalogue=catalogue
            )
            dice = random.Random(number)  # noqa: S311
            while time.monotonic() < until:
                which = dice.randrange(len(volumes))
                order(remote, volumes[which], expected[which], dice, account)

        load(client, clients, 20.0)  # all that is loaded once is loaded
        level = settled(place, server.pid)
        account.clear()
        threading.Timer(minutes * 30, kill_one, [server.pid, account]).start()
        load(client, clients, minutes * 60)
        after = settled(place, server.pid)
        named = list(Path("/dev/shm").glob(f"tumorseg-*-{server.pid}-*"))  # noqa: S108
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    answered = sorted(account.seconds)
    is_sound = not account.faults and not named
    is_sound = is_sound and all(after[name] < GROWTH * level[name] for name in level)
    for line in account.faults[:5]:
        print(line, file=sys.stderr)
    reasons = ", ".join(f"{reason} {count}" for reason, count in account.reasons.most_common())
    volume = " x ".join(map(str, SHAPE))
    return [
        f"| clients, minutes, processes that segment | {clients}, {minutes:g}, {REPLICAS} |",
        f"| orders (CT of {volume}) | {sum(account.outcomes.values()):,} |",
        f"| answered, byte for byte as here | {account.outcomes['answered']:,} |",
        f"| refused with a reason ({reasons or 'none'}) | {account.outcomes['refused']:,} |",
        f"| cancelled | {account.outcomes['cancelled']:,} |",
        f"| connections broken off | {account.outcomes['broken']:,} |",
        f"| orders begun anew, as a process was killed | {account.again} |",
        f"| neither answered nor refused | {len(account.faults)} |",
        f"| answered orders a minute | {len(answered) / minutes:,.0f} |",
        f"| seconds to an answer: median, 95 %, longest | {quantile(answered, 0.5):.1f},"
        f" {quantile(answered, 0.95):.1f}, {quantile(answered, 1):.1f} |",
        f"| memory of the server's own process before, after | {level['server'] >> 20},"
        f" {after['server'] >> 20} MiB |",
        f"| memory of each process that segments before, after | {level['replica'] >> 20},"
        f" {after['replica'] >> 20} MiB |",
        f"| blocks of shared memory left | {len(named)} |",
        f"| load of the machine at the end ({os.cpu_count()} cores) | {os.getloadavg()[0]:.1f} |",
    ], is_sound


def started(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a server; return it and its address."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    own = {"PYTHONPATH": path, "TUMORSEG_MODELS": str(folder / "models")}
    words = ["serve", "--port", "0", "--tokens", "tokens.json", "--replicas", str(REPLICAS)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "TumorSegLib.cli", *words],
            cwd=folder,
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert server.stdout is not None
    return server, server.stdout.readline().strip().rpartition(" ")[2]


def load(client: object, clients: int, seconds: float) -> None:
    """Run clients for so long."""
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=client, args=[n, until]) for n in range(clients)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def order(
    remote: RemoteSegmenter,
    volume: Volume,
    expected: np.ndarray,
    dice: random.Random,
    account: Account,
) -> None:
    """Send one order, which may be cancelled or broken off."""
    fate = dice.random()
    if fate < 0.1:
        break_off(remote, volume, dice)
        account.note("broken")
        return
    questions = dice.randrange(12) if fate < 0.2 else None
    asked, starts = 0, []

    def unwanted() -> bool:
        nonlocal asked
        asked += 1
        return questions is not None and asked > questions

    began = time.monotonic()
    try:
        result = remote.segment(
            {"ct": volume}, cancelled=unwanted, on_start=lambda *told: starts.append(told)
        )
    except Cancelled:
        account.note("cancelled")
    except ServerError as error:
        reason = str(error).partition(": ")[2].partition("://")[2].partition(": ")[2] or str(error)
        known = next(
            (word for word in ("orders wait", "of yours", "memory left") if word in reason), ""
        )
        account.note("refused" if known else "fault", known or str(error))
        time.sleep(dice.uniform(0.2, 1.0))
    except Exception as error:
        account.note("fault", f"{type(error).__name__}: {error}")
    else:
        same = np.array_equal(result.labelmap, expected)
        account.note("answered" if same else "fault", "another mask")
        with account.lock:
            account.seconds.append(time.monotonic() - began)
            account.again += len(starts) - 1


def break_off(remote: RemoteSegmenter, volume: Volume, dice: random.Random) -> None:
    """Send part of an order or all of it, and close the connection without a word."""
    place: Place = remote._place
    whole = Order(FORMAT, remote._model, {"ct": _sent(volume)})
    head = [
        "POST /v1/segment HTTP/1.1",
        f"Host: {place.host}",
        f"Authorization: Bearer {place.token}",
        f"{ORDER_HEADER}: {to_text(whole)}",
        f"Content-Length: {whole.bytes}",
    ]
    body = np.ascontiguousarray(volume.voxels).tobytes()
    try:
        with socket.create_connection((place.host, place.port), timeout=30) as connection:
            connection.sendall("\r\n".join([*head, "", ""]).encode())
            connection.sendall(body[: int(len(body) * min(1.0, dice.uniform(0, 2)))])
            time.sleep(dice.uniform(0, 2))
    except OSError:
        pass  # refused meanwhile, and closed


def kill_one(server: int, account: Account) -> None:
    """Kill a process that segments."""
    (replica, *_) = replicas(server)
    os.kill(replica, signal.SIGKILL)


def settled(place: Place, server: int) -> dict[str, int]:
    """Wait until no order is left; return the memory of the processes, in bytes."""
    while (there := welcome(place)).running or there.waiting:
        time.sleep(0.5)
    time.sleep(5)
    sizes = [resident(pid) for pid in replicas(server)]
    return {"server": resident(server), "replica": max(sizes)}


def replicas(server: int) -> list[int]:
    """Return the processes that segment."""
    parents, titles = {}, {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid = int(status.parent.name)
            parents[pid] = int(status.read_text().rpartition(")")[2].split()[1])
            titles[pid] = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
    found = [server]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return [pid for pid in found if titles.get(pid, b"").startswith(b"ray::Replica")]


def resident(pid: int) -> int:
    """Return the memory of a process that is no file's, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return (int(fields["RssAnon"].split()[0]) + int(fields["RssShmem"].split()[0])) << 10


def quantile(ordered: list[float], share: float) -> float:
    """Return a quantile of ordered numbers."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


if __name__ == "__main__":
    sys.exit(main())
