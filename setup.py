"""What `pyproject.toml` cannot say: packages that are found, together with two that are named.

Those two hold no code but what the packages look for beside it, from elsewhere in the checkout.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["TumorSegLib*"]),
        *find_packages("training", include=["tumorseg_training*"]),
        *find_packages("TumorSeg", include=["TumorSegModule", "TumorSegModule.logic"]),
        *find_packages(include=["TumorSegWeb*"]),
        "TumorSegLib.Resources",
        "tumorseg_training.configs",
    ]
)
