"""What Slicer's index of extensions asks of a repository: names, addresses, licence, description.

After the checks that the index runs on a new entry, as far as they need no network, and the list of
what its pull requests must fulfil (https://github.com/Slicer/ExtensionsIndex).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CATEGORY = "Segmentation"
LICENCES = ("LICENSE", "LICENSE.txt", "License.txt", "COPYING")
PICTURES = (".png", ".jpg", ".jpeg", ".gif")
SCHEMA = "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/"

KEYS: dict[str, type] = {
    "$schema": str,
    "category": str,
    "scm_url": str,
    "scm_revision": str,
    "scm_type": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "enabled": bool,
    "tier": int,
}
"""Of a description file, with what their values are."""

REQUIRED = ("$schema", "category", "scm_url", "scm_revision")


def check_index(tree: Path) -> Iterator[str]:
    """Yield a line for each rule of the index that the tree breaks."""
    if not any((tree / name).is_file() for name in LICENCES):
        yield f"the root holds no licence, expected {LICENCES[0]}"
    cmake = tree / "CMakeLists.txt"
    text = cmake.read_text("utf-8") if cmake.is_file() else ""
    project = re.search(r"project\s*\(\s*\"?([\w-]+)", text)
    if project is None:
        yield "CMakeLists.txt: names no project(); the index compares it with the extension's name"
        return
    name = project[1]
    if name.lower().startswith("slicer"):
        yield f"CMakeLists.txt: the extension {name} must not begin with Slicer"
    path = tree / f"{name}.json"
    try:
        description = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        yield f"{path.name}: {error}; expected the description file of the project {name}"
        return
    if faults := list(_check_keys(path.name, description)):
        yield from faults
        return
    yield from _check_repository(path.name, name, description["scm_url"])
    yield from _check_metadata(tree, text, description)
    yield from _check_addresses(tree, description["scm_url"])


def metadata(cmake: str) -> dict[str, str]:
    """Return the EXTENSION_... variables of a CMakeLists.txt, without that prefix."""
    return dict(re.findall(r'set\s*\(\s*EXTENSION_(\w+)\s+"([^"]*)"\s*\)', cmake))


def _check_keys(file: str, description: Any) -> Iterator[str]:
    if not isinstance(description, dict):
        yield f"{file}: expected a JSON object"
        return
    for key in REQUIRED:
        if key not in description:
            yield f"{file}: {key} is missing"
    for key, value in description.items():
        if key not in KEYS:
            yield f"{file}: {key} is no key of the index"
        elif type(value) is not KEYS[key]:
            yield f"{file}: {key} is {value!r}, expected {KEYS[key].__name__}"
    if not str(description.get("$schema", SCHEMA)).startswith(SCHEMA):
        yield f"{file}: $schema is {description['$schema']!r}, expected {SCHEMA}..."
    if description.get("category", CATEGORY) != CATEGORY:
        yield f"{file}: category is {description['category']!r}, expected {CATEGORY}"
    if description.get("tier", 1) not in (1, 3, 5):
        yield f"{file}: tier is {description['tier']!r}, expected 1, 3 or 5"


def _check_repository(file: str, name: str, url: str) -> Iterator[str]:
    parts = urlsplit(url)
    repository = parts.path.rstrip("/").rpartition("/")[2].removesuffix(".git")
    if parts.scheme not in ("https", "git"):
        yield f"{file}: scm_url is {url!r}, expected https://... or git://..."
    if repository != f"Slicer{name}":
        yield f"{file}: scm_url names the repository {repository!r}, expected 'Slicer{name}'"


def _check_metadata(tree: Path, cmake: str, description: dict[str, Any]) -> Iterator[str]:
    found = metadata(cmake)
    home = description["scm_url"].removesuffix(".git")
    for key in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS"):
        if not found.get(key, "").strip():
            yield f"CMakeLists.txt: EXTENSION_{key} is missing"
    if found.get("HOMEPAGE", home) != home:
        yield f"CMakeLists.txt: EXTENSION_HOMEPAGE is {found['HOMEPAGE']}, expected {home}"
    needed = found.get("DEPENDS", "").split()
    if sorted(needed) != sorted(description.get("build_dependencies", [])):
        yield f"CMakeLists.txt: EXTENSION_DEPENDS is {needed}, the description file says otherwise"
    raw = (
        home.replace("github.com", "raw.githubusercontent.com") + f"/{description['scm_revision']}/"
    )
    for url in (found.get("ICONURL", "") + " " + found.get("SCREENSHOTURLS", "")).split():
        picture = tree / url.removeprefix(raw)
        if not url.startswith(raw):
            yield f"CMakeLists.txt: the picture {url} is not below {raw}"
        elif not picture.is_file() or picture.suffix.lower() not in PICTURES:
            yield f"CMakeLists.txt: there is no picture for {url}"
    for path in sorted(tree.glob("Resources/Models/*/model.json")):
        licence = json.loads(path.read_text("utf-8")).get("licence", "")
        if not licence or licence not in found.get("DESCRIPTION", ""):
            place = path.relative_to(tree).as_posix()
            yield f"{place}: EXTENSION_DESCRIPTION does not name its licence, {licence or 'none'}"


def _check_addresses(tree: Path, url: str) -> Iterator[str]:
    """Addresses of another repository of the same owner are of an earlier name of this one."""
    owner, _, repository = urlsplit(url).path.strip("/").removesuffix(".git").partition("/")
    pattern = re.compile(
        rf"(?:github|raw\.githubusercontent)\.com/{re.escape(owner)}/([\w-]+)".encode()
    )
    for path in sorted(tree.rglob("*")):
        if path.is_file():
            for other in {name.decode() for name in pattern.findall(path.read_bytes())}:
                if other != repository:
                    place = path.relative_to(tree).as_posix()
                    yield f"{place}: names {owner}/{other}, expected {owner}/{repository}"
