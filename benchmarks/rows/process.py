"""A command as a process of its own: how long it took, and the most memory that it held.

The system's figure for a child begins with what its parent holds. Commands are therefore started by
a small process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from rows.pairs import LeftOut, Sample

MISSING = "ModuleNotFoundError: "


def sample_of(words: Sequence[str], *, status: int = 0) -> Sample:
    """Run a command, whose exit `status` is known, and return what it cost.

    Raises:
        LeftOut: a package that it needs is not there.
        RuntimeError: it failed otherwise.
    """
    launched = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LAUNCHER, *words],
        capture_output=True,
        text=True,
    )
    report = json.loads(launched.stdout.splitlines()[-1])
    if report["status"] != status:
        last = (launched.stderr.strip().splitlines() or ["no message"])[-1]
        if MISSING in last:
            raise LeftOut(last.partition(MISSING)[2])
        raise RuntimeError(f"{' '.join(words)}: status {report['status']}, {last}")
    return Sample(report["seconds"], report["processor_seconds"], report["peak_bytes"])


LAUNCHER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
if hasattr(os, "wait4"):
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    processor = usage.ru_utime + usage.ru_stime
else:
    process.wait()
    peak, processor = None, float("nan")
report = {"seconds": time.perf_counter() - started, "processor_seconds": processor}
print(json.dumps(report | {"peak_bytes": peak, "status": process.returncode}))
"""
"""What the small process runs."""
