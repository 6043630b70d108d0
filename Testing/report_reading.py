"""What a browser makes of a report's page, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "rect"}


@dataclass
class Page:
    """A page's tags with their attributes, its text, its tables and whether all tags are closed."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""
    style: str = ""
    tables: list[list[list[str]]] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    def named(self, *names: str) -> list[dict[str, str]]:
        """The attributes of the tags of these names."""
        return [attributes for name, attributes in self.tags if name in names]


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.page = Page()
        self._what = ""

    def handle_starttag(self, tag, attrs):
        page = self.page
        page.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            page.open.append(tag)
        if tag == "table":
            page.tables.append([])
        elif tag == "tr":
            page.tables[-1].append([])
        elif tag in ("td", "th"):
            page.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.page.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.page.open.pop() == tag

    def handle_data(self, data):
        page, around = self.page, [tag for tag in self.page.open if tag != "bdi"]
        inside = around[-1] if around else ""
        if inside == "style":
            page.style += data
            return
        page.text += data
        if inside in ("td", "th"):
            page.tables[-1][-1][-1] += data
        elif inside == "dt":
            self._what = data
            page.facts[data] = ""
        elif inside == "dd":
            page.facts[self._what] += data


def read_page(html: str) -> Page:
    """Read a page; one whose tags are not closed in order fails."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.page.open == []
    return reader.page
