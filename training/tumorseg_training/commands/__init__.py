"""The sub-commands of `tumorseg` that need the `train` extra: their arguments, what they do."""

COMMANDS = {
    "train": (f"{__name__}.train", "train a model"),
    "retrain": (f"{__name__}.retrain", "train a model further on corrected cases"),
    "evaluate": (f"{__name__}.evaluate", "measure models on annotated cases"),
    "cache": (f"{__name__}.cache", "remove the slices that training keeps decoded"),
}
"""Module and summary of each; `TumorSegLib.cli` finds them by an entry point."""
