"""The library's version, where packages below the root can read it."""

__version__ = "0.1.0"

JSON_FORMAT = 1
"""Of what --json prints (docs/json.md): a new field keeps it, any other change raises it."""
