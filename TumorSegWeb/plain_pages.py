"""The pages that people see who are in no session: small, without a script, ours alone."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from TumorSegLib.support.page_templates import page_templates, policy_hash
from TumorSegWeb.access import HEADERS

FOLDER = Path(__file__).parent / "templates"
STYLE = (FOLDER / "plain.css").read_text("utf-8")
POLICY = (
    f"default-src 'none'; style-src 'sha256-{policy_hash(STYLE)}'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)


def plain_page(
    line: str = "", *, status: int = 200, form: bool = False, refresh: int | None = None
) -> web.Response:
    """Return a page with a line.

    Args:
        line: what to say.
        status: of HTTP.
        form: ask for the password.
        refresh: seconds after which the browser opens the first page.
    """
    template = page_templates(FOLDER).get_template("plain.html")
    text = template.render(line=line, form=form, refresh=refresh, style=STYLE)
    headers = {**HEADERS, "Content-Security-Policy": POLICY}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)
