"""Figures of segments: components, diameters, surfaces, what a model derives, tables, follow-up."""
