"""Pages of the documentation's site that are kept elsewhere: the README, cards, decisions.

A hook of MkDocs (`mkdocs.yml`). Links to files of the checkout that are no pages lead to the
repository.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "Resources" / "Models"
LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)#\s]+)((?:#[^)]*)?\))")
MERMAID = re.compile(r"^```mermaid\n.*?^```", re.DOTALL | re.MULTILINE)
DRAWN = "![Who imports whom](docs/images/architecture.svg)"
"""In place of the text, which needs a script from the internet (architecture_picture.py)."""

TOP = {"README.md": "index.md"} | {
    f"{name}.md": f"{name.lower()}.md" for name in ("CONTRIBUTING", "CHANGELOG", "SECURITY")
}
"""Pages at the top of the checkout, and what they are called on the site."""


def on_config(config: Any) -> Any:
    """Add a page a model and a page a decision to the navigation."""
    for entry in config["nav"]:
        if "Models" in entry:
            entry["Models"] += [
                {_title(card): f"models/{card.parent.name}.md"} for card in _cards()
            ]
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    config["nav"].append({"Decisions": [f"decisions/{path.name}" for path in decisions]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie outside of `docs`, and their pictures."""
    for source, name in TOP.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text("utf-8")))
    for card in _cards():
        model = card.parent.name
        content = card.read_text("utf-8") + _failures(model)
        files.append(File.generated(config, f"models/{model}.md", content=content))
        for picture in (*card.parent.glob("*.png"), *card.parent.glob("*.jpg")):
            files.append(
                File.generated(config, f"models/{picture.name}", abs_src_path=str(picture))
                if picture.name.startswith(model)
                else File.generated(
                    config, f"models/{model}/{picture.name}", abs_src_path=str(picture)
                )
            )
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Have links lead to the site's pages, those to other files to the repository."""
    name = page.file.src_uri
    source = _source(name)
    here = posixpath.dirname(name) or "."

    def replaced(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        on_site = _on_site(target)
        if on_site is not None and files.get_file_from_path(on_site) is not None:
            return f"{match[1]}{posixpath.relpath(on_site, here)}{match[3]}"
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return f"{match[1]}{config['repo_url']}/{kind}/main/{target}{match[3]}"

    return LINK.sub(replaced, MERMAID.sub(DRAWN, markdown))


def _source(name: str) -> str:
    """Return where a page of the site lies in the checkout."""
    for source, page in TOP.items():
        if name == page:
            return source
    if name.startswith("models/"):
        return f"Resources/Models/{Path(name).stem}/README.md"
    return f"docs/{name}"


def _on_site(target: str) -> str | None:
    """Return what a file of the checkout is called on the site, None if it is not there."""
    if target in TOP:
        return TOP[target]
    parts = target.split("/")
    if parts[:2] == ["Resources", "Models"] and len(parts) == 4:
        card = parts[3] == "README.md"
        return f"models/{parts[2]}.md" if card else f"models/{parts[2]}/{parts[3]}"
    return target.removeprefix("docs/") if target.startswith("docs/") else None


def _failures(model: str) -> str:
    """Return what the page of failures has of a model, as a part of its card; "" if nothing."""
    page = (ROOT / "docs" / "failures.md").read_text("utf-8")
    _, heading, rest = page.partition(f"\n## {model}\n")
    if not heading:
        return ""
    part = rest.partition("\n## ")[0].replace("](images/", "](../../../docs/images/")
    about = "[What these pictures are](../../../docs/failures.md)"
    return f"\n## Where it fails, on phantoms\n{part}\n{about}\n"


def _cards() -> list[Path]:
    return sorted(MODELS.glob("*/README.md"))


def _title(card: Path) -> str:
    content = json.loads((card.parent / "model.json").read_text("utf-8"))
    return f"{content['title']} {content['version']}"
