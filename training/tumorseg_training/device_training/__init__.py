"""Trainings that run whole on one accelerator: data, random changes and networks in its memory.

`brain_*` and `liver_*` have their own packs, draws, random changes, losses and predictions of who
was kept aside. What they share stands once: `loop` (the run that follows the clock), `average` (of
weights), `saving` and `later` (what is written, and when), `pictures` (of packs), `random_fields`.
"""
