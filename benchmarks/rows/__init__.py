"""Families of rows of the table in docs/performance.md, and how all of them are measured."""
