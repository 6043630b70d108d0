"""The sub-commands of `tumorseg` that need the `train` extra: their arguments, what they do."""
