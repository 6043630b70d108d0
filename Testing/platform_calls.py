"""Finds by syntax what behaves differently, or not at all, on another operating system."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

MODULES = {
    "_posixshmem", "_winapi", "ctypes", "fcntl", "grp", "mmap", "msvcrt", "multiprocessing",
    "platform", "pty", "pwd", "resource", "select", "signal", "termios", "tty", "winreg",
}  # fmt: skip
"""Modules that exist on some systems only, or do less on others."""

CALLS = re.compile(
    r"os\.(fork|forkpty|kill|killpg|setsid|setpgid|getpgid|getpgrp|setpriority|getpriority|nice"
    r"|getuid|geteuid|getgid|getloadavg|uname|chmod|chown|link|symlink|readlink|mkfifo|statvfs"
    r"|set_blocking|get_blocking|posix_\w+|sched_\w+|spawn\w+|exec\w+|wait\w*|dup|dup2|pipe|open"
    r"|fsync|access|name|sep|linesep|pathsep|getppid|system|popen|startfile|add_dll_directory)"
    r"|sys\.(platform|getwindowsversion|stdin)"
    r"|subprocess\.(run|Popen|call|check_call|check_output)"
    r"|tempfile\.(NamedTemporaryFile|TemporaryFile|mkstemp|TemporaryDirectory|mkdtemp)"
    r"|time\.tzset|locale\.\w+"
)
"""Calls and names of the standard library that differ between systems."""

KEYWORDS = {
    "start_new_session", "preexec_fn", "pass_fds", "creationflags", "startupinfo", "num_workers",
}  # fmt: skip

PLACES = re.compile(r"/(proc|dev|tmp|usr|etc|bin|var|opt|home|sys)(/|$)|[A-Za-z]:\\|~/")
"""Paths that only one system has."""

MOVES = {
    "rename", "unlink", "rmdir", "symlink_to", "hardlink_to", "chmod", "rmtree", "move",
}  # fmt: skip
"""Methods that Windows refuses while a file is open, or where the target is there."""

SEPARATORS = {"split", "rsplit", "partition", "rpartition", "join", "strip", "rstrip", "lstrip"}
OPENERS = {"open": 1, "fdopen": 1, "read_text": 0, "write_text": 1}
"""Position of the mode, or of the encoding, among the arguments of what opens text."""


def platform_calls(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of every construct of `source` that differs between systems."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        for name in _constructs(node, parents):
            yield node.lineno, name


def _constructs(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (f"import {alias.name}" for alias in names if alias.name in MODULES)
        case ast.ImportFrom(module=module) if module in MODULES:
            yield f"import {module}"
        case ast.Attribute(attr="suffix" | "suffixes") if not _lowered(node, parents):
            yield ".suffix as it is written"
        case ast.Attribute() if CALLS.fullmatch(ast.unparse(node)):
            annotates = ast.unparse(node).startswith("subprocess") and not _is_called(node, parents)
            if not annotates:
                yield ast.unparse(node)
        case ast.keyword(arg=name) if name in KEYWORDS:
            yield f"{name}="
        case ast.Constant(value=str(text)) if PLACES.match(text) and not _is_prose(node, parents):
            yield f"the path {text}"
        case ast.Call():
            yield from _calls(node)


def _calls(call: ast.Call) -> Iterator[str]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    first = call.args[0] if call.args else None
    text = first.value if isinstance(first, ast.Constant) else None
    if isinstance(function, ast.Attribute):
        if name in MOVES or ast.unparse(function) == "os.remove":
            yield f".{name}()"
        if name == "replace" and len(call.args) == 1 and not call.keywords:
            yield ".replace() of a path"
        if name in SEPARATORS and (text in ("/", "\\") or _is_text(function.value, "/", "\\")):
            yield "a separator of paths"
        if name == "endswith" and isinstance(text, str) and text.startswith("."):
            lowered = isinstance(function.value, ast.Call) and "lower" in ast.unparse(
                function.value
            )
            if not lowered:
                yield ".endswith() as it is written"
    if name in OPENERS:
        yield from _opened(call, name)


def _opened(call: ast.Call, name: str) -> Iterator[str]:
    """Yield what opens text in the system's code page, or writes with its ends of lines."""
    owner = ast.unparse(call.func).rpartition(".")[0]
    if owner.rpartition(".")[2] in ("Image", "gzip", "os", "webbrowser") and name == "open":
        return
    words = {keyword.arg for keyword in call.keywords}
    position = OPENERS[name]
    if name in ("open", "fdopen"):
        if isinstance(call.func, ast.Attribute) and owner not in ("os", "io"):
            position = 0  # a path's own method
        mode = call.args[position] if len(call.args) > position else None
        if position == 0 and not isinstance(mode, ast.Constant | None):
            return  # an archive's, which gives bytes
        mode = next((k.value for k in call.keywords if k.arg == "mode"), mode)
        mode = mode.value if isinstance(mode, ast.Constant) else "r"
        if "b" in str(mode):
            return
        encoded, writes = "encoding" in words, any(part in str(mode) for part in "wax+")
    else:
        encoded, writes = "encoding" in words or len(call.args) > position, name == "write_text"
    if not encoded:
        yield f"{name}() in the system's code page"
    if writes and "newline" not in words:
        yield f"{name}() with the system's ends of lines"


def _lowered(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    parent = parents.get(node)
    return isinstance(parent, ast.Attribute) and parent.attr in ("lower", "casefold")


def _is_called(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    parent = parents.get(node)
    return isinstance(parent, ast.Call) and parent.func is node


def _is_text(node: ast.AST, *texts: str) -> bool:
    return isinstance(node, ast.Constant) and node.value in texts


def _is_prose(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    return isinstance(parents.get(node), ast.Expr)
