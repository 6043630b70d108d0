"""The strip below a picture that says that it was not taken in the application."""

from __future__ import annotations

import qt

LABEL = "From the tests' stand-in for 3D Slicer's window, not from the application"
KEY = "Description"
STRIP = 20


def label_picture(path):
    """Put the strip below a picture, once, and say it in the file as well."""
    picture = qt.QImage(str(path))
    if is_labelled(path):
        return
    labelled = qt.QImage(picture.width(), picture.height() + STRIP, qt.QImage.Format_RGB32)
    labelled.fill(qt.QColor("#fff3c4"))
    painter = qt.QPainter(labelled)
    painter.drawImage(0, 0, picture)
    font = qt.QFont()
    font.setPixelSize(11)
    while font.pixelSize() > 6 and qt.QFontMetrics(font).horizontalAdvance(LABEL) > picture.width():
        font.setPixelSize(font.pixelSize() - 1)
    painter.setFont(font)
    painter.setPen(qt.QColor("#5c4400"))
    place = qt.QRect(0, picture.height(), picture.width(), STRIP)
    painter.drawText(place, qt.Qt.AlignCenter, LABEL)
    painter.end()
    labelled.setText(KEY, LABEL)
    labelled.save(str(path))


def is_labelled(path):
    """Tell whether a picture says where it is from."""
    return qt.QImage(str(path)).text(KEY) == LABEL
