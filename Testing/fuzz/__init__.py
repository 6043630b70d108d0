"""Damaged and hostile inputs for every reader, made from good ones by seeded changes.

`python -m fuzz` in this folder's parent runs them; see `docs/reliability.md`. Linux only: inputs
are read in forked children with limits on time and memory.
"""
