"""A report as a PDF on A4, by reportlab: the same content as the page."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any

from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    Image,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)

from TumorSegLib.report.blocks import (
    Block,
    Document,
    Facts,
    Lines,
    Picture,
    Pictures,
    Rows,
    Section,
)
from TumorSegLib.report.pdf_fonts import BOLD, REGULAR, Fonts
from TumorSegLib.report.slice_picture import Colour

LEFT, TOP, BOTTOM = 14 * mm, 14 * mm, 18 * mm
WIDTH = A4[0] - 2 * LEFT
GAP = 2 * mm
LEGEND_GAP = "\N{NO-BREAK SPACE}" * 3 + " "
FACT_WIDTH = 48 * mm
PLOT_WIDTH = 130 * mm
CELL_PADDING, SWATCH, NAME_WIDTH = 4 * mm, 4 * mm, 55 * mm
SHORT_TABLE = 12
"""Rows up to which a table is kept on one page."""

INK, FAINT, LINE = (
    colors.HexColor("#1c2733"),
    colors.HexColor("#4d5b69"),
    colors.HexColor("#d6dde4"),
)
NOTICE_INK, NOTICE_PAPER = colors.HexColor("#7a1f14"), colors.HexColor("#fdecea")
WARNING_PAPER, WARNING_LINE = colors.HexColor("#fff6dd"), colors.HexColor("#d99a00")

TEXT = ParagraphStyle("text", fontName=REGULAR, fontSize=8.5, leading=11.5, textColor=INK)
STYLES = {
    "text": TEXT,
    "note": ParagraphStyle("note", TEXT, fontSize=7.5, leading=10, textColor=FAINT, spaceBefore=2),
    "warning": ParagraphStyle("warning", TEXT),
}
STRONG = ParagraphStyle("strong", TEXT, fontName=BOLD)
LABEL = ParagraphStyle("label", TEXT, textColor=FAINT)
NUMBER = ParagraphStyle("number", TEXT, alignment=TA_RIGHT)
HEADING = ParagraphStyle("heading", STYLES["note"], fontName=BOLD)
HEADING_OF_NUMBERS = ParagraphStyle("numbers", HEADING, alignment=TA_RIGHT)
CAPTION = ParagraphStyle("caption", STYLES["note"], alignment=TA_CENTER)
TITLE = ParagraphStyle("title", TEXT, fontName=BOLD, fontSize=16, leading=20)
SECTION = ParagraphStyle("section", TEXT, fontName=BOLD, fontSize=10.5, leading=13)
NOTICE = ParagraphStyle(
    "notice",
    STRONG,
    textColor=NOTICE_INK,
    backColor=NOTICE_PAPER,
    borderPadding=(3, 5, 3, 5),
    leftIndent=5,
    rightIndent=5,
    spaceBefore=8,
    spaceAfter=6,
)


def pdf_of(report: Document) -> bytes:
    """Return the report as the content of a PDF file."""
    writer = _Writer()
    story = writer.story(report)
    file = io.BytesIO()
    template = BaseDocTemplate(
        file,
        pagesize=A4,
        title=report.title,
        creator=report.footer.split(" · ")[0],
        author="",
        subject=report.notice,
        lang="en",
    )
    frame = Frame(LEFT, BOTTOM, WIDTH, A4[1] - TOP - BOTTOM, 0, 0, 0, 0)
    template.addPageTemplates(PageTemplate("page", [frame], onPage=_footer(report.footer)))
    template.build(story)
    return file.getvalue()


def _footer(text: str) -> Callable[[Any, Any], None]:
    def draw(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont(REGULAR, 7)
        canvas.setFillColor(FAINT)
        canvas.drawString(LEFT, BOTTOM - 8 * mm, text)
        canvas.drawRightString(A4[0] - LEFT, BOTTOM - 8 * mm, f"Page {document.page}")
        canvas.restoreState()

    return draw


class _Kept(KeepTogether):  # type: ignore[misc]
    """A table that is not split over pages."""

    def __init__(self, tables: list[Flowable]) -> None:
        super().__init__(tables)
        self.tables = tables


class _Writer:
    """Turns blocks into what reportlab lays out."""

    def __init__(self) -> None:
        self._fonts = Fonts()

    def story(self, report: Document) -> list[Flowable]:
        parts = [
            self._text(report.title, TITLE),
            self._text(report.subtitle, STYLES["note"]),
            self._text(report.notice, NOTICE),
        ]
        for section in report.sections:
            parts += self._section(section)
        if self._fonts.lacking:
            line = "Letters for which this computer has no font that a PDF can hold are boxes here;"
            parts.append(self._text(f"{line} the page (HTML) shows them.", STYLES["note"]))
        return parts

    def _text(self, text: str, style: ParagraphStyle) -> Paragraph:
        return Paragraph(self._fonts.markup(text), style)

    def _section(self, section: Section) -> list[Flowable]:
        title = Table(
            [[self._text(section.title, SECTION)]],
            colWidths=[WIDTH],
            style=[("LINEBELOW", (0, 0), (-1, -1), 1, LINE), *_padding(0, 2)],
        )
        blocks: list[list[Flowable]] = [self._block(block) for block in section.blocks]
        parts = [part for block in blocks for part in block]
        texts = list(takewhile(lambda part: isinstance(part, (Paragraph, Spacer)), parts[:-1]))
        first, *others = parts[len(texts) :]
        head = [Spacer(0, 4 * mm), title, Spacer(0, 1.5 * mm), *texts]
        if isinstance(first, Table) and getattr(first, "may_split", False):
            return [CondPageBreak(40 * mm), *head, first, *others]
        kept = first.tables if isinstance(first, _Kept) else [first]
        return [KeepTogether([*head, *kept]), *others]

    def _block(self, block: Block) -> list[Flowable]:
        match block:
            case Facts():
                return [self._facts(block)]
            case Lines():
                return self._lines(block)
            case Rows():
                return self._rows(block)
            case Pictures():
                return self._pictures(block)

    def _facts(self, block: Facts) -> Flowable:
        rows = [[self._text(what, LABEL), self._text(said, STRONG)] for what, said in block.rows]
        blank = [index for index, (_, said) in enumerate(block.rows) if not said.strip()]
        rules = [("LINEBELOW", (1, index), (1, index), 0.6, FAINT) for index in blank]
        heights = [9 * mm if index in blank else None for index in range(len(rows))]
        return Table(
            rows,
            colWidths=[FACT_WIDTH, WIDTH - FACT_WIDTH],
            rowHeights=heights,
            style=[
                ("VALIGN", (0, 0), (-1, -1), "BOTTOM" if blank else "TOP"),
                *_padding(0, 1.5),
                *rules,
            ],
        )

    def _lines(self, block: Lines) -> list[Flowable]:
        lines = [self._text(line, STYLES[block.style]) for line in block.lines]
        if block.style != "warning":
            return [*lines, Spacer(0, 1 * mm)]
        box = Table(
            [[line] for line in lines],
            colWidths=[WIDTH],
            style=[
                ("BACKGROUND", (0, 0), (-1, -1), WARNING_PAPER),
                ("LINEBEFORE", (0, 0), (0, -1), 2.5, WARNING_LINE),
                *_padding(6, 2.5),
            ],
        )
        return [box, Spacer(0, 1 * mm)]

    def _rows(self, block: Rows) -> list[Flowable]:
        numeric, texts = block.numeric, block.table.texts
        head = [
            self._text(text, HEADING_OF_NUMBERS if number else HEADING)
            for text, number in zip(block.table.headings, numeric, strict=True)
        ]
        rows: list[list[Any]] = [head]
        for index, row in enumerate(texts):
            colour = block.colours[index] if block.colours else None
            cells: list[Any] = [
                self._text(text, NUMBER if number else TEXT)
                for text, number in zip(row, numeric, strict=True)
            ]
            if colour is not None:
                cells[0] = Paragraph(f"{_swatch(colour)} {self._fonts.markup(row[0])}", TEXT)
            rows.append(cells)
        table = Table(
            rows,
            colWidths=self._widths([block.table.headings, *texts]),
            hAlign="LEFT",
            repeatRows=1,
            style=[
                ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE),
                ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
                ("VALIGN", (0, 1), (-1, -1), "TOP"),
                *_padding(3, 2),
            ],
        )
        table.may_split = len(texts) > SHORT_TABLE
        parts: list[Flowable] = [table if table.may_split else _Kept([table])]
        if block.note:
            parts.append(self._text(block.note, STYLES["note"]))
        return [*parts, Spacer(0, 2 * mm)]

    def _widths(self, texts: Sequence[Sequence[str]]) -> list[float]:
        """Return widths of columns by what they hold, the first with room for names."""
        heads, *rows = texts
        wanted, least = [], []
        for column, head in enumerate(heads):
            cells = [stringWidth(row[column], REGULAR, TEXT.fontSize) for row in rows]
            words = [stringWidth(word, BOLD, HEADING.fontSize) for word in head.split()]
            whole = stringWidth(head, BOLD, HEADING.fontSize)
            widest = min(max(cells, default=0.0), NAME_WIDTH)
            around = CELL_PADDING + (SWATCH if column == 0 else 0)
            wanted.append(max(widest, whole) + around)
            least.append(max([widest, *words]) + around)
        if sum(wanted) > WIDTH:
            wanted = least
        scale = min(1.0, WIDTH / sum(wanted))
        return [width * scale for width in wanted]

    def _pictures(self, block: Pictures) -> list[Flowable]:
        width = (
            PLOT_WIDTH
            if block.columns == 1
            else (WIDTH - (block.columns - 1) * GAP) / block.columns
        )
        rows: list[Flowable] = []
        for start in range(0, len(block.pictures), block.columns):
            row = block.pictures[start : start + block.columns]
            images = [_image(picture, width) for picture in row]
            captions = [self._caption(picture) for picture in row]
            rows.append(
                Table(
                    [images, captions],
                    colWidths=[width + GAP] * len(row),
                    hAlign="LEFT",
                    style=[
                        ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
                        ("ALIGN", (0, 0), (-1, -1), "LEFT"),
                        ("LEFTPADDING", (0, 0), (-1, -1), 0),
                        ("RIGHTPADDING", (0, 0), (-1, -1), GAP),
                        ("TOPPADDING", (0, 0), (-1, -1), 1),
                        ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
                    ],
                    splitByRow=0,
                )
            )
        return [*rows, Spacer(0, 1 * mm)]

    def _caption(self, picture: Picture) -> Paragraph:
        names = [f"{_swatch(colour)} {self._fonts.markup(one)}" for one, colour in picture.legend]
        return Paragraph(LEGEND_GAP.join([self._fonts.markup(picture.caption), *names]), CAPTION)


def _image(picture: Picture, width: float) -> Image:
    columns, rows = picture.size
    scale = min(width / columns, 1.25 * width / rows)
    return Image(io.BytesIO(picture.data), columns * scale, rows * scale)


def _swatch(colour: Colour) -> str:
    """Return a patch of a colour; of blanks, so that whoever copies the text gets no more."""
    red, green, blue = colour
    blanks = "\N{NO-BREAK SPACE}" * 3
    return f'<font backColor="#{red:02x}{green:02x}{blue:02x}">{blanks}</font>'


def _padding(sideways: float, upright: float) -> list[tuple[Any, ...]]:
    every = ((0, 0), (-1, -1))
    return [
        ("LEFTPADDING", *every, sideways),
        ("RIGHTPADDING", *every, sideways),
        ("TOPPADDING", *every, upright),
        ("BOTTOMPADDING", *every, upright),
    ]
