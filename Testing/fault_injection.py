"""Every write of every scenario fails at every call in turn; nothing that was whole may be lost.

    python Testing/fault_injection.py                      all, many minutes
    python Testing/fault_injection.py --sample segment     a few calls of the scenarios so named

After each fault: what was there is there byte for byte, or replaced by something whole; no half
file has its final name; the status is right and one line says why; nothing temporary is left (after
a kill: after the next run); the next run without a fault works. A folder that is replaced may lie
whole beside its place after a kill, if the next run brings it back.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]

# ruff: noqa: E402
from fault_scenarios import SCENARIOS, copy, enter, is_whole
from faulty_disk import FAULTS, GROWING, KILLED, ON_PATHS, FaultyDisk, stand_on

SECONDS = 600
"""After which a process has hung."""

KNOWN = r"config|cache|local|lock$|export$|export\.lock$"
TEMPORARY = re.compile(rf"(^|/)(\.(?!{KNOWN})|[^/]*\.partial|tmp/.|.*\.old$)")
ASIDE = re.compile(r"(?<=/)\.([^/]+)\.[0-9a-f]{8}-\d+-\w+\.old(?=/)")
"""A folder while another takes its place, `.<folder>.<owner>.old`."""
OF_OTHERS = re.compile(
    r"tmp/(pymp-|torch|[a-z0-9_]{8}$)|home/(mpl|\.cache/(matplotlib|torch)|\.config/matplotlib)"
)
"""Libraries' own; of eight letters is the file by which Python tries a temporary folder."""
REMOVALS = ("unlink", "remove", "rmdir")


@dataclass(frozen=True)
class Outcome:
    """How a process ended: its exit status, negative for a signal; what it said; its calls."""

    status: int
    out: str
    err: str
    calls: list[str]
    sites: list[str]
    modules: list[str]


def in_child(action: Callable[[], int], folder: Path, disk: FaultyDisk | None = None) -> Outcome:
    """Do `action` in a forked process whose files lie in `folder`."""
    with tempfile.TemporaryDirectory(prefix="tumorseg-faults-") as scratch:
        said = [Path(scratch, name) for name in ("out", "err", "report")]
        process = os.fork()
        if process == 0:
            os._exit(_child(action, folder, disk, said))
        status = _wait(process)
        out, err = (path.read_text(errors="replace") for path in said[:2])
        report = json.loads(said[2].read_text()) if said[2].exists() else {}
        lists = (report.get(name, []) for name in ("calls", "sites", "modules"))
        return Outcome(status, out, err, *lists)


def _child(
    action: Callable[[], int], folder: Path, disk: FaultyDisk | None, said: list[Path]
) -> int:
    status = 1
    try:
        for number, path in enumerate(said[:2], start=1):
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
            os.dup2(descriptor, number)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
        enter(folder)
        if disk is not None:
            stand_on(disk)
        status = action()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    with suppress(OSError):
        sys.stdout.flush()
    report = {"modules": sorted(sys.modules)}
    if disk is not None:
        report |= {"calls": disk.calls, "sites": disk.sites}
    said[2].write_text(json.dumps(report))
    return status


def _wait(process: int) -> int:
    """Return how a process ends; one that hangs is killed and counts as ended by SIGALRM."""
    descriptor = os.pidfd_open(process)
    try:
        ended, _, _ = select.select([descriptor], [], [], SECONDS)
    finally:
        os.close(descriptor)
    if not ended:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status) if ended else -signal.SIGALRM


def names_in(folder: Path, *, own_key: bool = False) -> set[str]:
    """Return all paths in a folder, relative; of names by time or a new key what is the same."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    names = {re.sub(r"tfevents\.[^/]*", "tfevents", name) for name in names}
    if not own_key:
        names = {re.sub(r"case_[0-9a-f]{12}", "case", name) for name in names}
    return {name for name in names if not OF_OTHERS.match(name)}


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def can_happen(call: str, fault: str) -> bool:
    """Tell whether a call fails like that: rights are asked of names, room of what grows."""
    if fault == "killed after":
        return call in ("rename", "replace")
    if call == "native":  # its failing is always that of a full disk
        return fault in ("full once", "killed before")
    if fault == "permission denied":
        return call in {"open", "create", *ON_PATHS}
    if fault.startswith("full"):
        return call in GROWING | {"fsync", "close"}
    return True


class Trial:
    """A scenario, prepared once, and what a run of it without a fault leaves."""

    def __init__(self, name: str, scratch: Path) -> None:
        self.name, self.scenario = name, SCENARIOS[name]
        self.scratch = scratch
        self.template = scratch / "template"
        (self.template / "tmp").mkdir(parents=True)
        prepared = in_child(self._prepare, self.template)
        assert prepared.status == 0, prepared.err
        self.before = digests(self.template)
        with self._copy() as folder:
            disk = FaultyDisk(folder)
            clean = in_child(lambda: self.scenario.act(folder), folder, disk)
            assert clean.status == 0, clean.err
            self.calls, self.sites = clean.calls, clean.sites
            self.left = self._names(folder)
            self.results = digests(folder)
        for module in clean.modules:  # so that children need not import them
            with suppress(Exception):
                import_module(module)

    def _prepare(self) -> int:
        self.scenario.prepare(self.template)
        for path in self.template.glob("tmp/*"):
            shutil.rmtree(path, ignore_errors=True)
        return 0

    def _copy(self) -> _Copy:
        return _Copy(self.template, self.scratch / "copy")

    def faults(self, *, sample: int | None) -> Iterator[tuple[int, str]]:
        """Yield what is to fail and how: everything in every way, or about `sample` of it.

        Of a heavy scenario's calls from the same lines of ours, the first and the last are tried.
        """
        every = [
            (number, fault)
            for number, call in enumerate(self.calls)
            if not self.scenario.heavy or self._first_or_last(number)
            for fault in FAULTS
            if can_happen(call.split()[0], fault)
        ]
        if sample is None or sample >= len(every):
            yield from every
            return
        for index in range(sample):
            yield every[index * len(every) // sample]

    def _first_or_last(self, number: int) -> bool:
        site = self.sites[number]
        return site not in self.sites[:number] or site not in self.sites[number + 1 :]

    def inject(self, number: int, fault: str) -> list[str]:
        """Have a call fail; return what is wrong afterwards."""
        with self._copy() as folder:
            disk = FaultyDisk(folder, number, fault)
            outcome = in_child(lambda: self.scenario.act(folder), folder, disk)
            failed = [*outcome.calls[number : number + 1], self.calls[number]][0]
            wrong = self._ended(outcome, fault) + self._kept(folder, aside=fault in KILLED)
            if fault not in KILLED and failed.split()[0] not in REMOVALS:
                later = self.scenario.finishes or "\0"
                left = [name for name in self._temporary(folder) if not name.startswith(later)]
                wrong += [f"left by {failed}: {name}" for name in left]
            again = in_child(
                lambda: (self.scenario.again or self.scenario.act)(folder),
                folder,
                FaultyDisk(folder),
            )
            if again.status != 0:
                wrong.append(f"the next run ends with {again.status}: {again.err.strip()[-300:]}")
            wrong += [f"after the next run, {line}" for line in self._kept(folder)]
            wrong += [f"left after the next run: {name}" for name in self._temporary(folder)]
            wrong += self._other_results(folder)
            missing = {name for name in self.left if not TEMPORARY.search(name)} - self._names(
                folder
            )
            wrong += [f"the next run does not make {name}" for name in sorted(missing)]
            return wrong

    def _names(self, folder: Path) -> set[str]:
        return names_in(folder, own_key=any(self.template.rglob("export-key")))

    def _ended(self, outcome: Outcome, fault: str) -> list[str]:
        if fault in KILLED:
            return [] if outcome.status in (-signal.SIGKILL, 0) else [f"status {outcome.status}"]
        wrong = []
        if "Traceback" in outcome.err or "Exception ignored" in outcome.err:
            wrong.append(f"traceback: {outcome.err.strip()[-600:]}")
        if outcome.status not in (0, 2):
            wrong.append(f"status {outcome.status}: {outcome.err.strip()[-200:]}")
        said = [line for line in outcome.err.splitlines() if line.startswith("tumorseg: ")]
        if outcome.status == 2 and len(said) != 1:
            wrong.append(f"expected one line, found {outcome.err.strip()[-300:]!r}")
        return wrong

    def _kept(self, folder: Path, *, aside: bool = False) -> list[str]:
        """Return what was lost, changed, or is not whole; what is whole `aside` is not lost."""
        wrong = []
        after = digests(folder)
        there = {ASIDE.sub(r"\1", name): digest for name, digest in after.items()}
        for name, digest in self.before.items():
            if name not in after:
                is_kept = aside and there.get(name) == digest
                if not is_kept and not name.startswith(self.scenario.removes or "\0"):
                    wrong.append(f"gone: {name}")
            elif after[name] != digest and not name.startswith(self.scenario.replaces or "\0"):
                wrong.append(f"changed: {name}")
        for name, digest in after.items():
            if digest == self.before.get(name) or TEMPORARY.search(name):
                continue
            if (reason := is_whole(folder / name)) is not None:
                wrong.append(f"not whole: {name}: {reason[:200]}")
        return wrong

    def _other_results(self, folder: Path) -> list[str]:
        """Return what the next run made otherwise than one without a fault before it."""
        if self.scenario.heavy:  # times and dates are in those
            return []
        found = digests(folder)
        return [
            f"after the next run, another {name}"
            for name, digest in self.results.items()
            if name.startswith(self.scenario.replaces or "\0")
            and not name.endswith((".mrb", ".dcm", ".html", ".pdf"))  # dates are in those
            if found.get(name, digest) != digest
        ]

    def _temporary(self, folder: Path) -> list[str]:
        found = {name for name in self._names(folder) if TEMPORARY.search(name)}
        tops = found - self.left
        return sorted(name for name in tops if not any(name.startswith(f"{o}/") for o in tops))


class _Copy:
    """A copy of a template, there as long as the block."""

    def __init__(self, template: Path, folder: Path) -> None:
        self._template, self._folder = template, folder

    def __enter__(self) -> Path:
        copy(self._template, self._folder)
        return self._folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def run(name: str, *, sample: int | None, shown: bool = False) -> tuple[int, int, list[str]]:
    """Return a scenario's calls, the faults tried, and a line for everything wrong."""
    with tempfile.TemporaryDirectory(prefix="tumorseg-faults-") as scratch:
        trial = Trial(name, Path(scratch).resolve())
        wrong, tried = [], 0
        for number, fault in trial.faults(sample=sample):
            tried += 1
            for line in trial.inject(number, fault):
                where = f"{name}: call {number} ({trial.calls[number]}), {fault}"
                wrong.append(f"{where}: {' '.join(line.split())}")
                if shown:
                    print(wrong[-1], flush=True)
        return len(trial.calls), tried, wrong


def main() -> int:
    """Run the scenarios and print a table; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="beginnings of scenarios' names; all if none")
    parser.add_argument("--sample", type=int, metavar="N", help="so many faults a scenario")
    options = parser.parse_args()
    chosen = [
        name for name in SCENARIOS if not options.names or name.startswith(tuple(options.names))
    ]
    failed = 0
    rows = []
    for name in chosen:
        began = time.monotonic()
        calls, tried, wrong = run(name, sample=options.sample, shown=True)
        failed += len(wrong)
        rows.append((name, calls, tried, len(wrong), time.monotonic() - began))
        print(f"{name:24}  {calls:5} calls  {tried:5} faults  {len(wrong):4} wrong", flush=True)
    print(f"\n{'scenario':24}  {'calls':>6}  {'faults':>6}  {'wrong':>6}  {'seconds':>8}")
    for name, calls, tried, wrong_count, seconds in rows:
        print(f"{name:24}  {calls:6}  {tried:6}  {wrong_count:6}  {seconds:8.0f}")
    print(f"{'together':24}  {'':6}  {sum(row[2] for row in rows):6}  {failed:6}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
