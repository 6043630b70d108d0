"""The library's version, where packages below the root can read it."""

__version__ = "0.1.0"
