"""The command `tumorseg`.

Exit status: 0 done; 2 the input, an option or a model is unusable (one line on stderr); 1 our
fault; 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from TumorSegLib.errors import InputError, TumorSegError
from TumorSegLib.support.signals import ended_as_by_ctrl_c
from TumorSegLib.support.threads import wait_asleep
from TumorSegLib.support.version import __version__

COMMANDS = {
    "segment": ("TumorSegLib.commands.segment", "segment a volume"),
    "cohort": ("TumorSegLib.commands.cohort", "segment many cases, on one computer or a cluster"),
    "node": ("TumorSegLib.commands.node", "segment what a PACS sends, and send the results back"),
    "serve": ("TumorSegLib.commands.serve", "segment for other computers"),
    "detect": ("TumorSegLib.commands.detect", "probability of a finding, slice by slice"),
    "label-fat": ("TumorSegLib.commands.label_fat", "label fat on CT by rule, to train on"),
    "models": ("TumorSegLib.commands.models", "list the models, install and remove others"),
    "export": ("TumorSegLib.commands.export", "add corrected cases to a data set to train on"),
    "demo": ("TumorSegLib.commands.demo", "segment a made-up head, for a first look"),
    "doctor": ("TumorSegLib.commands.doctor", "say what is installed and what is missing"),
    "completion": ("TumorSegLib.commands.completion", "print what completes commands in a shell"),
}
"""Module and summary of each command of this package."""

TASKS = {
    "Segment": ("demo", "segment", "web", "cohort", "node", "serve", "detect"),
    "Train on corrected cases": ("export", "retrain", "train", "evaluate", "label-fat", "cache"),
    "See to models and installation": ("models", "doctor", "completion"),
}
"""Commands by what they are for, as --help lists them."""

EXAMPLES = (
    "tumorseg segment flair.nii.gz --channel t1=t1.nii.gz -o tumour.seg.nrrd",
    "tumorseg segment dicom-folder/ -o liver.nii.gz --report report/",
    "tumorseg cohort studies/ -o results/",
    "tumorseg export case.mrb --dataset data/Dataset501_brain",
    "tumorseg retrain data/Dataset501_brain --base brain-lgg-munet",
)

FURTHER = "tumorseg.commands"
"""Entry points of installed packages whose commands are offered, too; each is such a mapping."""

UNUSABLE = 2
INTERRUPTED = 130


def main(
    argv: Sequence[str] | None = None, further: Mapping[str, tuple[str, str]] | None = None
) -> int:
    """Run the command; return its exit status.

    Args:
        argv: the words after the command's name; none: the process's own.
        further: commands like `COMMANDS`; none: those that installed packages offer.
    """
    _open_closed_streams()
    _escape_unknown_letters()
    try:
        try:
            with ended_as_by_ctrl_c():
                return _run(sys.argv[1:] if argv is None else list(argv), further)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except TumorSegError as error:
        return _told(" ".join(str(error).split()))
    except KeyboardInterrupt:
        _told("interrupted")
        return INTERRUPTED
    except (EOFError, ImportError, MemoryError, RuntimeError) as error:
        line = _cut_short() if isinstance(error, EOFError) else _why(error)
        if line is None:
            raise
        return _told(line)
    except BrokenPipeError:  # whoever read our output has seen enough
        _drop_output()
        return 0
    except OSError as error:
        line = _why_system(error)
        if line is None:
            raise
        return _told(line)


def _open_closed_streams() -> None:
    """Have nothing else take the place of standard streams that are closed, as by `2>&-`.

    A file opened under their number would get what libraries print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8", newline="\n")  # noqa: SIM115, PTH123 - for good


def _escape_unknown_letters() -> None:
    """Have standard output take letters that its coding lacks, as that of errors does.

    A file into which Windows puts the output has a code page.
    """
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _why(error: Exception) -> str | None:
    """Return what a user can do about an error that comes from below us; none: it is our fault."""
    if isinstance(error, ModuleNotFoundError):
        module = (error.name or "").partition(".")[0]
        if module in ("", "TumorSegLib"):
            return None
        from TumorSegLib.support.extras import PACKAGES, install_line

        package = PACKAGES.get(module, module)
        return f"the package {package} is not installed; install it with: {install_line([package])}"
    if "home directory" in str(error):  # as pathlib says it
        return "this user has no home folder; name one in the environment: HOME=/a/folder"
    if isinstance(error, ImportError):
        if "failed to map segment" not in str(error):  # as the loader says it of `ulimit -v`
            return None
    elif not isinstance(error, MemoryError):
        from TumorSegLib.support.device import is_out_of_memory

        if not is_out_of_memory(error):
            return None
    return "there is not enough memory; close other programs, or choose a smaller volume"


def _why_system(error: OSError) -> str | None:
    """Return what the system keeps from being done; none: it is our fault."""
    if error.filename is not None:  # a name too long, a folder that may not be looked into
        return str(TumorSegError(f"{error.filename}: cannot be used ({error.strerror})"))
    if "No usable temporary directory" in str(error):  # as tempfile says it
        return (
            "there is no folder for temporary files that this user can write to; name one in the"
            " environment: TMPDIR=/a/folder"
        )
    if error.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF):
        return None
    _drop_output()
    return f"standard output cannot be written to ({error.strerror})"


def _cut_short() -> str | None:
    """Remove byte code that is not whole; return what happened to it, if there was any."""
    from TumorSegLib.support.byte_code import remove_cut_short

    packages = {name.partition(".")[0] for name, _ in _further_commands(None).values()}
    folders = [
        Path(spec.origin).parent for spec in map(find_spec, packages) if spec and spec.origin
    ]
    cut = remove_cut_short([Path(__file__).resolve().parent, *folders])
    if not cut:
        return None
    reason = "was cut short, perhaps by a full disk, and is removed; run the command again"
    return f"{cut[0]}: {reason}"


def _told(line: str) -> int:
    """Print why there is no result, as far as anybody listens; return the status of that."""
    with suppress(OSError):
        print(f"tumorseg: {line}", file=sys.stderr, flush=True)  # noqa: T201
    return UNUSABLE


def _drop_output() -> None:
    """Send what is left in the buffers nowhere, where the interpreter would trip over it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
            continue
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _further_commands(given: Mapping[str, tuple[str, str]] | None) -> dict[str, tuple[str, str]]:
    if given is not None:
        return dict(given)
    from importlib.metadata import entry_points

    return {
        name: command
        for point in entry_points(group=FURTHER)
        for name, command in point.load().items()
    }


def _run(argv: list[str], further: Mapping[str, tuple[str, str]] | None) -> int:
    if "" in argv:  # a path would be the working folder
        raise InputError("an argument is empty, perhaps a variable that is not set; name a file")
    wait_asleep()
    own = bool(argv) and argv[0] in COMMANDS  # looking for others takes time
    commands = COMMANDS if own else {**COMMANDS, **_further_commands(further)}
    chosen = next((word for word in argv if word in commands), None)
    parser = command_parser(commands, [] if chosen is None else [chosen])
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:  # with the command's own usage, where argparse shows that of all commands
        arguments.refuse(f"unrecognized arguments: {' '.join(unknown)}")
    status: int = import_module(commands[arguments.command][0]).run(arguments)
    return status


def all_commands() -> dict[str, tuple[str, str]]:
    """Return module and summary of every command, those of installed packages, too."""
    return {**COMMANDS, **_further_commands(None)}


def command_parser(
    commands: Mapping[str, tuple[str, str]], whole: Iterable[str], *, listed: bool = False
) -> argparse.ArgumentParser:
    """Return what parses the command's words.

    Args:
        commands: module and summary of each.
        whole: those whose arguments are added; the modules of the others are not imported.
        listed: have argparse itself list the commands, as what reads the parser expects.
    """
    parser = argparse.ArgumentParser(
        prog="tumorseg",
        usage="tumorseg [-h] [--version] COMMAND ...",
        description="Tumours and organs in CT and MRI as editable segments.",
        epilog=_overview(commands),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action=_Versions, nargs=0, help="versions of TumorSeg and of its models"
    )
    subparsers = parser.add_subparsers(
        dest="command",
        metavar="COMMAND",
        required=True,
        prog="tumorseg",
        help="below, by what they are for",
    )
    for name, (_, summary) in commands.items():
        if listed:
            subparser = subparsers.add_parser(name, help=summary)
        else:
            subparser = subparsers.add_parser(name, description=summary.capitalize())
        if name in whole:
            import_module(commands[name][0]).add_arguments(subparser)
            subparser.set_defaults(refuse=subparser.error)
    return parser


def _overview(commands: Mapping[str, tuple[str, str]]) -> str:
    """Return the commands by what they are for, and examples."""
    known = {name for names in TASKS.values() for name in names}
    others = tuple(name for name in commands if name not in known)
    lines = []
    for task, names in {**TASKS, "Further": others}.items():
        listed = [f"  {name:<12}{commands[name][1]}" for name in names if name in commands]
        lines += [f"{task}:", *listed, ""] if listed else []
    lines += ["Examples:", *(f"  {example}" for example in EXAMPLES), ""]
    return "\n".join([*lines, "tumorseg COMMAND --help says what a command takes."])


class _Versions(argparse.Action):
    """Prints the versions of the package and of the models, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from TumorSegLib.model.catalogue import default_catalogue

        models = [f"{one.id} {one.specification.version}" for one in default_catalogue().bundles]
        print("\n".join([f"tumorseg {__version__}", *models]))  # noqa: T201
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
