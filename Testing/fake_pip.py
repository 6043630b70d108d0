"""Stands in for an interpreter that runs pip: `python fake_pip.py FOLDER -m pip install …`.

In FOLDER, `site` holds the packages, `calls.jsonl` gets every call, and `plan.json` says by module
what is printed, with which status it ends, and how long it waits first.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path


def make_package(site: Path, name: str, version: str = "99.9", *, record=True, code="") -> None:
    """Install a package: its folder, unless `code` is None, and pip's record of it."""
    if code is not None:
        (site / name).mkdir(parents=True, exist_ok=True)
        (site / name / "__init__.py").write_text(code)
    for old in site.glob(f"{name}-*.dist-info/METADATA"):
        old.unlink()
    if record:
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )


def main(folder: Path, words: list[str]) -> int:
    """Do what the plan says."""
    module = words[1] if words[0] == "-m" else "python"
    call = {"module": module, "words": words[2:] if words[0] == "-m" else words}
    if "-c" in call["words"] and module != "python":
        call["constraints"] = Path(call["words"][call["words"].index("-c") + 1]).read_text().split()
    with (folder / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(call) + "\n")
    plan = json.loads((folder / "plan.json").read_text()).get(module, {})
    print(plan.get("print", f"{module} at work"), flush=True)
    time.sleep(plan.get("seconds", 0))
    if plan.get("status"):
        return plan["status"]
    if module != "python" and not plan.get("nothing"):
        target = words[words.index("--target") + 1] if "--target" in words else folder / "site"
        told = words[3 : words.index("-c")] if "-c" in words else words[3:]
        for word in told:
            if word == target or (word.startswith("-") or "=" not in word):
                continue
            make_package(Path(target), re.split("[<>=]", word)[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
