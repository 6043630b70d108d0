"""Figures of segments: components, diameters, surfaces, what a model derives, tables, follow-up.

SciPy is loaded when something is measured: who shows figures need not have it.
"""
