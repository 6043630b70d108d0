"""The command `tumorseg` with the training's commands, where nothing is installed: in 3D Slicer."""

import sys

from tumorseg_training.commands import COMMANDS
from TumorSegLib.cli import main

if __name__ == "__main__":
    sys.exit(main(further=COMMANDS))
