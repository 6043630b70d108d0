"""A DICOM node: series are received from a PACS, segmented, and their results sent back.

What was accepted lies on disk before it is acknowledged, in a folder of the node's own, until its
result was accepted or it was given up. Needs the extra `node`, which nothing else does.
"""
