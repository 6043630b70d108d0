"""Pictures of where the models fail, on phantoms: no image of a patient is needed or shown.

    python -m failure_gallery docs      # with `tools` on the path

writes `failures.md` and a picture a model into that folder. Figures are what the shipped weights do
on this very phantom; they show a kind of failure, not how often it happens in patients.
"""
