"""The sub-commands of `tumorseg`, one a file: its arguments, and what it does."""
