"""Everything that differs between operating systems is known, with what becomes of it on Windows.

A construct that `platform_calls` finds and the table lacks fails the test: write its branch for
Windows, or find out that it needs none, and say so here. So does an entry that is no longer true.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from platform_calls import platform_calls

from TumorSegLib import cli
from TumorSegLib.support.torch_support import INTEL_MAC, USUAL, torch_requirement, why_not_train
from TumorSegLib.writing.file_name import file_name_of

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("TumorSegLib", "TumorSeg", "TumorSegWeb", "training")

CODE_PAGE = "in the system's code page"
LINES = "write_text() with the system's ends of lines"
JSON = "JSON and Markdown, whose readers take either end of lines"

ON_WINDOWS = {
    "TumorSegLib/support/allocator.py": {
        "import ctypes": "exists everywhere; the library is loaded on Linux only",
        "sys.platform": "elsewhere than on Linux nothing is done",
    },
    "TumorSegLib/model/bundle.py": {LINES: JSON},
    "TumorSegLib/support/whole_folder.py": {
        ".suffix as it is written": "that of names that we give",
        ".rename()": "targets are free; a refused one leaves or brings back the old folder",
    },
    "TumorSegLib/support/disk.py": {
        "tempfile.TemporaryFile": "goes when it is closed",
        "os.fsync": "of a file that is open for writing",
    },
    "TumorSegLib/support/decimal_point.py": {
        "locale.setlocale": "of the C runtime, which Python and ITK share",
        "locale.LC_NUMERIC": "is known everywhere",
    },
    "TumorSegLib/support/byte_code.py": {".unlink()": "read as a whole and closed before"},
    "TumorSegLib/cli.py": {
        "os.open": "of os.devnull",
        "os.dup2": "works on the C library's descriptors",
    },
    "TumorSegLib/cohort/case_run.py": {LINES: JSON},
    "TumorSegLib/cohort/file_cases.py": {
        ".suffix as it is written": "of what ends as no image does; it is cut off again",
        "a separator of paths": "between parts of a case's name, which becomes a file's name later",
    },
    "TumorSegLib/cohort/lists.py": {
        "os.open": "binary; the mode is ignored, the user's own folder is private there",
    },
    "TumorSegLib/cohort/ray_cluster.py": {
        "os.pathsep": "is the system's",
        "the path /tmp": "asked for first",
        "os.access": "says no of a folder that is not there",
    },
    "TumorSegLib/node/image_store.py": {
        "os.open": "of a folder, elsewhere only",
        "os.fsync": "of a file that is open for writing",
        ".replace() of a path": "the file is closed, and an earlier one is nobody's",
    },
    "TumorSegLib/node/model_process.py": {
        "import multiprocessing": "started anew everywhere (spawn)",
        "import signal": "SIGINT and SIGTERM are known everywhere",
    },
    "TumorSegLib/node/sending.py": {"a separator of paths": "of a URL's path"},
    "TumorSegLib/node/service.py": {
        ".chmod()": "does nothing; the folder is as private as the one it lies in",
    },
    "TumorSegLib/remote/credentials.py": {
        ".unlink()": "of a file that was read as a whole and closed",
        "a separator of paths": "of a URL's path",
        LINES: "one line, read without what is around it",
    },
    "TumorSegLib/server/app.py": {".unlink()": "of shared memory, which goes with its last user"},
    "TumorSegLib/server/order_memory.py": {".unlink()": "likewise"},
    "TumorSegLib/server/tokens.py": {LINES: JSON},
    "TumorSegWeb/command.py": {
        "os.name": "elsewhere than on Linux a desktop is there",
        "os.uname": "on POSIX only",
    },
    "TumorSegWeb/ending.py": {
        "import signal": "a loop takes no handlers there; Ctrl-C raises KeyboardInterrupt",
    },
    "TumorSegWeb/model_cards.py": {"os.sep": "as in the lines on models that it is taken from"},
    "TumorSegWeb/password.py": {
        LINES: JSON,
        "sys.stdin": "a command's, which has one",
    },
    "TumorSegWeb/session_main.py": {
        "os.dup": "works on the C library's descriptors",
        "os.dup2": "as os.dup",
        "os.open": "of os.devnull",
    },
    "TumorSegWeb/session_process.py": {
        "subprocess.Popen": "with the options of own_group, which has Windows' branch",
    },
    "TumorSegWeb/temporary.py": {
        "tempfile.TemporaryDirectory": "errors on cleaning up are ignored",
    },
    "TumorSegLib/commands/models.py": {"sys.stdin": "a command's, which has one"},
    "TumorSegLib/export/case.py": {LINES: JSON},
    "TumorSegLib/export/dataset.py": {
        ".rename()": "of a folder whose files are closed, to a name in the locked staging folder",
        ".replace() of a path": "replaces on Windows, too; a viewer's open file is an OutputError",
        ".unlink()": "a viewer's open file is an OutputError, the staged case is finished later",
        ".rmtree()": "of the locked staging folder, or of an old case as above",
    },
    "TumorSegLib/export/identity.py": {
        "os.open": "the mode is ignored; the user's own folder is private there",
        "fdopen() with the system's ends of lines": "stripped on reading",
    },
    "TumorSegLib/model/model_import.py": {
        ".rename()": "files are closed, targets are free; one that is refused is an OutputError",
    },
    "TumorSegLib/model/model_source.py": {
        "tempfile.TemporaryDirectory": "errors on cleaning up are ignored",
    },
    "TumorSegLib/worker/process_group.py": {
        "import signal": "exists everywhere; SIGKILL is named in the other branch only",
        "os.killpg": "taskkill ends the tree",
        "os.setpriority": "a priority class is given at the start",
        "creationflags=": "Windows' own branch",
        "subprocess.Popen": "of taskkill, in Windows' own branch",
        "the path C:\\Windows": "where SYSTEMROOT does not say, in Windows' own branch",
    },
    "TumorSegLib/support/silence.py": {
        "os.dup": "works on the C library's descriptors; absent under pythonw, which is handled",
        "os.dup2": "as os.dup",
        "os.open": "of os.devnull",
    },
    "TumorSegLib/report/identification.py": {
        "a separator of paths": "DICOM's separator of values",
    },
    "TumorSegLib/reading/dicom_header.py": {
        "a separator of paths": "DICOM's separator of values",
    },
    "TumorSegLib/slicer_io/scene_reading.py": {
        "subprocess.run": "of this Python; its console is the command's own",
        "tempfile.TemporaryDirectory": "what VTK keeps open stays, without an error",
    },
    "TumorSegLib/reading/gdcm.py": {
        "subprocess.Popen": "of this Python; its console is the command's own",
    },
    "TumorSegLib/commands/doctor.py": {
        "the path ~/'": "beside quotes that only shells of POSIX systems get",
        "import platform": "names every system",
    },
    "TumorSegLib/reading/gdcm_process.py": {
        "import signal": "SIGINT is known everywhere",
        "os.dup": "works on the C library's descriptors",
        "os.dup2": "as os.dup",
        "import resource": "is not there: nothing is limited",
        "sys.stdin": "a pipe",
        ".unlink()": "GDCM has closed the file",
    },
    "TumorSegLib/report/pdf_fonts.py": {
        "the path /usr/share/fonts": "is not there; Windows' folder is looked at before",
        "the path /usr/local/share/fonts": "as /usr/share/fonts",
    },
    "TumorSegLib/report/surface_pictures.py": {
        "subprocess.run": "of this Python; its console is that of the worker or command",
    },
    "TumorSegLib/report/surface_process.py": {
        "os.dup": "works on the C library's descriptors, binary since Python starts",
        "os.dup2": "as os.dup",
        "sys.stdin": "a pipe",
    },
    "TumorSegLib/worker/dicom_command.py": {
        ".unlink()": "it is written and closed, and nobody knows of it yet",
    },
    "TumorSegLib/slicer_io/scene_case.py": {
        ".replace() of a path": "replaces on Windows, too; nobody else has it open",
    },
    "TumorSegLib/slicer_io/scene_process.py": {
        "import signal": "SIGINT is known everywhere",
    },
    "TumorSegLib/support/child_process.py": {
        "import signal": "names the signal that ended a process; there are none to name",
        "os.pathsep": "is the system's",
    },
    "TumorSegLib/support/leftovers.py": {
        ".rmtree()": "errors are ignored: what is open goes the next time",
        ".unlink()": "as .rmtree()",
        "the path /proc/self/ns/pid": "is not there: the machine's name is enough",
        "import platform": "the machine's name",
        "os.kill": "not called on Windows, where what is old goes",
    },
    "TumorSegLib/support/signals.py": {
        "import signal": "SIGINT and SIGTERM are known everywhere; nobody sends the latter",
    },
    "TumorSegLib/worker/shared_memory.py": {
        "os.posix_fallocate": "in the other branch",
        "import mmap": "by a name of Windows' own, without a file",
        "import _posixshmem": "in the other branch",
        "sys.platform": "chooses the branch as the module is loaded",
        "the path /dev/shm": "is not there: nothing is found",
    },
    "TumorSegLib/worker/standard_input.py": {
        "import ctypes": "SetStdHandle, in Windows' own branch",
        "import msvcrt": "in Windows' own branch",
        "os.dup": "works on the C library's descriptors",
        "os.dup2": "as os.dup; the standard handle follows by SetStdHandle",
        "os.open": "of os.devnull",
    },
    "TumorSegLib/support/system.py": {
        "sys.platform": "is what this file is for",
        "import platform": "the processor of a Mac",
    },
    "TumorSegLib/worker/process.py": {
        "os.dup": "works on the C library's descriptors",
        "os.dup2": "as os.dup",
    },
    "TumorSegLib/worker/inbox.py": {
        ".unlink()": "of a shared block, which does nothing there",
    },
    "TumorSegLib/model/catalogue.py": {
        "os.access": "is always true for folders there; what is closed is left out as before",
    },
    "TumorSegLib/support/atomic_write.py": {
        ".replace() of a path": "replaces on Windows, too; an open target is an OutputError",
        ".suffix as it is written": "kept as the user wrote it",
        "os.access": "is always true for folders there; the write itself then fails as clearly",
        "os.fsync": "of a file opened for writing, as Windows wants it",
        "tempfile.TemporaryDirectory": "errors on cleaning up are ignored",
    },
    "TumorSeg/TumorSegModule/logic/dicom_images.py": {
        "os.access": "sees attributes only: without the right to write, copying says so later",
    },
    "TumorSeg/TumorSegModule/logic/install_process.py": {
        "tempfile.TemporaryDirectory": "errors on cleaning up are ignored",
        "subprocess.Popen": "with the options of own_group, which has Windows' branch",
    },
    "TumorSeg/TumorSegModule/widgets/installation.py": {
        "tempfile.TemporaryDirectory": "errors on cleaning up are ignored",
        LINES: "pip's constraints, whose reader takes either end of lines",
    },
    "TumorSeg/TumorSegModule/logic/pipes.py": {
        "import _winapi": "Python 3.11 on Windows",
        "import msvcrt": "Python 3.11 on Windows",
        "os.set_blocking": "there from Python 3.12 on; SetNamedPipeHandleState before",
    },
    "TumorSeg/TumorSegModule/logic/retrain_process.py": {
        LINES: "JSON and a folder's name, whose readers take either end of lines",
        ".unlink()": "of an empty file that is closed as soon as it is made",
        "subprocess.Popen": "with the options of own_group, which has Windows' branch",
    },
    "TumorSeg/TumorSegModule/logic/worker_client.py": {
        ".unlink()": "of a shared block, which does nothing there",
        "os.pathsep": "is the system's own",
        "subprocess.Popen": "with the options of own_group, which has Windows' branch",
    },
    "training/tumorseg_training/interruption.py": {
        "import signal": "SIGTERM can be handled there, though nobody sends it: the panel leaves a"
        " file that says stop",
    },
    "training/tumorseg_training/config/data.py": {
        "the path ~/.cache/tumorseg": "~ is the user's profile there",
    },
    "training/tumorseg_training/config/recipe.py": {
        "a separator of paths": "between a stage and its folds; no path",
    },
    "training/tumorseg_training/data_module.py": {
        ".chmod()": "changes nothing there: the user's folder is private already",
        "num_workers=": "processes are spawned; cases travel as the names of their files",
        "import multiprocessing": "parent_process knows the parent of a spawned process, too",
    },
    "training/tumorseg_training/device_training": {
        LINES: JSON,
        "subprocess.Popen": "of this Python; without a group, as their ends are waited for",
        "a separator of paths": "NumPy's own, within an archive",
    },
    "training/tumorseg_training/progress.py": {
        "open() with the system's ends of lines": "read as bytes, line by line, as JSON",
    },
    "training/tumorseg_training/publishing.py": {
        "subprocess.run": "git; without it the version stands alone",
    },
    "training/tumorseg_training/retraining.py": {
        ".unlink()": "of checkpoints that are read as a whole, and of the file that says stop",
    },
    "training/tumorseg_training/retraining_recipe.py": {
        "import platform": "names the machine in the model card",
    },
    "training/tumorseg_training/slice_cache.py": {
        "import mmap": "names the type of what NumPy maps",
        LINES: JSON,
        ".rename()": "the target is free, or another run was quicker, which is noticed",
        ".rmtree()": "errors are ignored: another run may have them open",
    },
    "training/tumorseg_training/versions.py": {
        ".unlink()": "refused while it is open, which is passed over",
    },
}  # fmt: skip
"""What becomes of a construct on Windows, by file."""


SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in SOURCES]


def found_in(*names):
    return {
        construct
        for name in names
        for _, construct in platform_calls((ROOT / name).read_text(encoding="utf-8"))
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_differs_between_systems_has_its_branch(name):
    found = found_in(name)
    assert not [construct for construct in found if CODE_PAGE in construct], "name the encoding"
    known = {**ON_WINDOWS.get(Path(name).parent.as_posix(), {}), **ON_WINDOWS.get(name, {})}
    assert found - known.keys() == set(), "what becomes of it on Windows?"


@pytest.mark.parametrize("place", sorted(ON_WINDOWS))
def test_what_the_table_says_is_still_there(place):
    """Of a file, or of all files of a folder together."""
    files = [name for name in NAMES if name == place or Path(name).parent.as_posix() == place]
    assert files
    assert ON_WINDOWS[place].keys() - found_in(*files) == set()
    assert all(ON_WINDOWS[place].values())


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("os.fork()", "os.fork"),
        ("signal.alarm(3); import signal", "import signal"),
        ("from fcntl import flock", "import fcntl"),
        ("import resource", "import resource"),
        ("Path('/proc/self/status')", "the path /proc/self/status"),
        ("open('/dev/shm/a', 'rb')", "the path /dev/shm/a"),
        ("os.set_blocking(3, False)", "os.set_blocking"),
        ("subprocess.Popen(words, start_new_session=True)", "start_new_session="),
        ("path.rename(target)", ".rename()"),
        ("path.replace(target)", ".replace() of a path"),
        ("shutil.rmtree(folder)", ".rmtree()"),
        ("name.split('/')", "a separator of paths"),
        ("'/'.join(parts)", "a separator of paths"),
        ("path.suffix == '.nii'", ".suffix as it is written"),
        ("path.name.endswith('.nii')", ".endswith() as it is written"),
        ("path.read_text()", f"read_text() {CODE_PAGE}"),
        ("path.write_text(content)", f"write_text() {CODE_PAGE}"),
        ("open(path)", f"open() {CODE_PAGE}"),
        ("path.open('a')", f"open() {CODE_PAGE}"),
        ("os.fdopen(3, 'w')", f"fdopen() {CODE_PAGE}"),
        ("path.open('w', encoding='utf-8')", "open() with the system's ends of lines"),
    ],
)
def test_the_scan_finds_what_it_is_for(line, name):
    assert name in {found for _, found in platform_calls(line)}


@pytest.mark.parametrize(
    "line",
    [
        "text.replace('a', 'b')",
        "path.suffix.lower() == '.nii'",
        "path.name.lower().endswith('.nii')",
        "path.read_text('utf-8')",
        "path.read_text(encoding='utf-8')",
        "path.open('rb')",
        "path.open('w', encoding='utf-8', newline='')",
        "Image.open(path)",
        "process: subprocess.Popen[bytes]",
        "names.remove(name)",
        "text.split(',')",
    ],
)
def test_the_scan_passes_over_what_is_alike_everywhere(line):
    assert list(platform_calls(line)) == []


def test_a_mac_with_an_intel_processor_gets_what_there_is_for_it(monkeypatch, tmp_path, capsys):
    assert (torch_requirement(), why_not_train()) == (">=2.4", None)
    monkeypatch.setattr("TumorSegLib.support.system.is_intel_mac", lambda: True)
    assert torch_requirement() == ">=2.2"
    assert cli.main(["retrain", str(tmp_path), "--base", "liver-ct-unet", "--epochs", "1"]) == 2
    line = capsys.readouterr().err
    assert "not supported on this Mac yet" in line
    assert "train on another computer" in line


def test_what_pip_reads_says_the_same():
    content = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lines = [line for line in content["project"]["dependencies"] if line.startswith("torch")]
    assert sorted(line.partition(";")[0] for line in lines) == [
        f"torch{INTEL_MAC}",
        f"torch{USUAL}",
    ]


@pytest.mark.parametrize(
    ("name", "file_name"),
    [
        ("T2: axial / brain", "T2_ axial _ brain"),
        ('a<b>c"d|e?f*g\\h', "a_b_c_d_e_f_g_h"),
        ("Müller^Eva", "Müller^Eva"),
        ("scan. ", "scan"),
        ("...", "unnamed"),
        ("", "unnamed"),
        ("aux", "_aux"),
        ("COM1.ct", "_COM1.ct"),
        ("auxiliary", "auxiliary"),
    ],
)
def test_a_volumes_name_becomes_a_files_name_everywhere(name, file_name):
    assert file_name_of(name) == file_name
