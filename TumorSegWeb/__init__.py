"""TumorSeg in a browser: the page's faces for the logic that the panel in 3D Slicer uses, too.

Built on trame-slicer, whose views and Segment Editor it extends. trame is imported here and nowhere
else; nothing here knows Qt.
"""
