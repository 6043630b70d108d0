"""What this package adds to `tumorseg`; importing it loads neither trame nor MRML."""

COMMANDS = {"web": ("TumorSegWeb.command", "segment and correct in a browser")}
