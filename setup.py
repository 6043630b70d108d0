"""What `pyproject.toml` cannot say: folders of the checkout that go into packages when installed.

The extension has them at the same places, see CMakeLists.txt.
"""

from setuptools import find_packages, setup

DATA = {"TumorSegLib.Resources": "Resources", "tumorseg_training.configs": "training/configs"}
"""Where the files of a folder go."""

setup(
    packages=[
        *find_packages(include=["TumorSegLib*"]),
        *find_packages("training", include=["tumorseg_training*"]),
        *DATA,
    ],
    package_dir={"tumorseg_training": "training/tumorseg_training", **DATA},
    include_package_data=False,  # it warns that folders of data are no packages
    package_data={**{package: ["**/*"] for package in DATA}, "": ["py.typed"]},
)
