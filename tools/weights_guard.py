"""Refuses commits that change the weights of shipped models without saying so.

    python tools/weights_guard.py [BASE]

Weights stay in a clone for ever, so that each change of them is to be meant. The commits that HEAD
has beyond BASE, by default its first parent, are looked at: one that changes weights or forests
needs a subject that begins with "weights:".
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ":(glob)Resources/Models/**/*.safetensors"
MARK = "weights:"


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Look at the commits of the checkout `root`; return the exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    base = words[0] if words else "HEAD^1"
    if not _is_commit(root, "HEAD"):
        print("weights: no git repository with a commit; cannot tell whether weights changed")
        return 0
    if not _is_commit(root, base):
        first = not words and _git(root, "rev-parse", "--is-shallow-repository") == "false"
        reason = "the first commit" if first else f"{base} is not in this clone, cannot tell"
        print(f"weights: {reason}; no change of weights was looked for")
        return 0
    faults = list(unmarked(root, base))
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        return 1
    print(f"weights: no change since {base} but by commits that say so")
    return 0


def unmarked(root: Path, base: str) -> list[str]:
    """Return a line for each commit since `base` that changes weights without saying so.

    A merge is asked only for what it does that none of its parents did.
    """
    log = _git(
        root, "log", "--full-history", "--diff-merges=combined", "--name-only", "--no-renames",
        "--format=%x01%h%x02%s%x02", f"{base}..HEAD", "--", WEIGHTS,
    )  # fmt: skip
    faults = []
    for entry in log.split("\1")[1:]:
        commit, subject, files = entry.split("\2")
        if files.split() and not subject.startswith(MARK):
            faults.append(
                f"commit {commit} ({subject}) changes {', '.join(files.split())}; weights change"
                f' only in commits whose subject begins with "{MARK}"'
            )
    return faults


def _is_commit(root: Path, name: str) -> bool:
    words = ["git", "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"]
    return subprocess.run(words, cwd=root, capture_output=True, check=False).returncode == 0


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)
    return done.stdout.decode("utf-8", "replace").strip()


if __name__ == "__main__":
    sys.exit(main())
