"""`tumorseg cohort`: many cases at once, with a table and a page to look through."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from TumorSegLib.commands.common import progress_bar, run_options
from TumorSegLib.commands.terminal import terminal, warn
from TumorSegLib.commands.work_options import add_work_options, work_of
from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.model.catalogue import default_catalogue
from TumorSegLib.support.version import JSON_FORMAT

if TYPE_CHECKING:
    from TumorSegLib.cohort.case import Case, Refused
    from TumorSegLib.cohort.case_folder import Results
    from TumorSegLib.cohort.case_run import Outcome
    from TumorSegLib.cohort.models import Models
    from TumorSegLib.cohort.plan import Plan
    from TumorSegLib.cohort.settings import Settings

ENDINGS = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".mha")
MOST_FAILURES = 10
"""Lines of failures in the terminal; the tables have them all."""
GO_ON = (
    "no further case could be written, so the run ends here; make room or bring the folder back,"
    " and run the same command again: it goes on with what is left"
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg cohort`."""
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        type=Path,
        help="folders of DICOM (any depth), NIfTI, NRRD or MetaImage, single images, or a manifest"
        " (.csv, .tsv, .parquet) with the columns case, and volume or the model's channels",
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, required=True, help="folder of the results"
    )
    parser.add_argument(
        "--exclude",
        metavar="PATTERN",
        action="append",
        default=[],
        help="leave out folders and files of such names, as 'MASKS*'; repeat for more",
    )
    parser.add_argument("--model", metavar="ID", help="model id, or a folder with a model bundle")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--precision", default="auto", help="auto (default), fp32 (reproducible) or bf16"
    )
    what = parser.add_argument_group("what is written for each case")
    what.add_argument(
        "--ending", choices=ENDINGS, default=ENDINGS[0], help="of segmentations (%(default)s)"
    )
    what.add_argument("--dicom-seg", action="store_true", help="a DICOM Segmentation of DICOM, too")
    what.add_argument("--sr", action="store_true", help="with --dicom-seg: a structured report")
    what.add_argument("--report", action="store_true", help="a report as page, picture and PDF")
    what.add_argument(
        "--identify",
        metavar="ITEMS",
        default="",
        help="what reports say of the patient; as segment",
    )
    what.add_argument(
        "--names",
        choices=("hidden", "folders"),
        default="hidden",
        help="DICOM cases are called by a pseudonym (hidden, the default), or like their folders",
    )
    again = parser.add_argument_group("running again does only what is missing or has changed")
    again.add_argument("--retry-failed", action="store_true", help="and what failed before")
    again.add_argument(
        "--by-content",
        action="store_true",
        help="a file has changed if its bytes have, not its time",
    )
    again.add_argument("--plan", action="store_true", help="say what would be done, and do nothing")
    where = parser.add_argument_group("where it runs")
    add_work_options(where)
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument("--quiet", action="store_true", help="say nothing, unless it fails")


def run(arguments: Namespace) -> int:
    """Find, plan, segment, list.

    Raises:
        InputError: the inputs or options cannot be used, or a case failed, which is known then.
        OutputError: the results cannot be written.
        ModelError: there is no such model.
    """
    from TumorSegLib.cohort.case_folder import Results
    from TumorSegLib.cohort.lists import write_lists, write_sources
    from TumorSegLib.cohort.models import Models
    from TumorSegLib.cohort.plan import plan_cases

    settings = _settings(arguments)
    results = Results(arguments.output)
    catalogue = default_catalogue()
    for line in catalogue.broken:
        warn(line, kind="unusable model")
    named = None if arguments.model is None else catalogue.find(arguments.model)
    if named is not None and named.specification.task != "segmentation":
        raise InputError(f"--model {named.id}: detects, expected a model that segments")
    models = Models(catalogue, named)
    if not arguments.plan:
        _check_installed(arguments)
    found = _found(arguments, models)
    if not found:
        raise InputError("found no images in the inputs; name folders of DICOM or image files")

    def planned() -> Plan:
        return plan_cases(
            found,
            results,
            models,
            settings,
            by_content=arguments.by_content,
            retry_failed=arguments.retry_failed,
        )

    if arguments.plan:
        return _show_plan(arguments, planned())
    with results.opened():
        plan = planned()
        write_sources(found, results)
        try:
            _work(arguments, plan, results, models, settings)
        except BaseException:
            with suppress(OutputError):  # the disk may be why
                write_lists(plan, results)
            raise
        failures = write_lists(plan, results)
    _show(arguments, plan, results, failures)
    if failures:
        raise InputError(
            f"{len(failures)} of {len(plan.names)} cases could not be segmented, the first:"
            f" {next(iter(failures.values()))}; {arguments.output / 'measurements.csv'} has all"
        )
    return 0


def _settings(arguments: Namespace) -> Settings:
    """Return what the options say.

    Raises:
        InputError: one has no effect or cannot be used.
    """
    from TumorSegLib.cohort.settings import Settings

    if arguments.sr and not arguments.dicom_seg:
        raise InputError("--sr: refers to a DICOM segmentation; add --dicom-seg")
    identify: tuple[str, ...] = ()
    if arguments.identify:
        from TumorSegLib.report.identification import chosen_items

        identify = chosen_items(arguments.identify)
        if not arguments.report:
            raise InputError("--identify: is what a report says of the patient; add --report")
    return Settings(
        options=run_options(arguments),
        ending=arguments.ending,
        as_dicom=arguments.dicom_seg,
        structured_report=arguments.sr,
        report=arguments.report,
        identify=identify,
    )


def _check_installed(arguments: Namespace) -> None:
    """Refuse to begin without what the end needs.

    Raises:
        TumorSegError: a package is missing.
    """
    from importlib.util import find_spec

    from TumorSegLib.cohort.ray_cluster import require_ray
    from TumorSegLib.support.extras import pip_install

    require_ray()
    if find_spec("pyarrow") is None:
        raise OutputError(
            f"tables need pyarrow, which is not installed; run {pip_install('cohort')}"
        )
    if arguments.dicom_seg and find_spec("highdicom") is None:
        raise OutputError(
            f"--dicom-seg needs highdicom, which is not installed; run {pip_install('dicom')}"
        )


def _found(arguments: Namespace, models: Models) -> list[Case | Refused]:
    from TumorSegLib.cohort.finding import find_cases

    pseudonym = _pseudonym if arguments.names == "hidden" else None
    shown = not (arguments.quiet or arguments.json)
    with progress_bar("Looking through", shown=shown, counted="folder") as progress:
        return find_cases(
            [str(path) for path in arguments.inputs],
            models,
            pseudonym=pseudonym,
            without=arguments.output,
            exclude=arguments.exclude,
            looked=lambda count: progress(count, count),
        )


def _pseudonym(described: str) -> str:
    """Return the name of a case, by the user's key, which is made when it is first needed."""
    from TumorSegLib.export.identity import export_key

    return export_key().source(described)


def _work(
    arguments: Namespace, plan: Plan, results: Results, models: Models, settings: Settings
) -> None:
    if not plan.tasks:
        return
    from TumorSegLib.cohort.ray_run import run_tasks

    work = work_of(arguments)
    shown = not (arguments.quiet or arguments.json)
    cases = {task.case.name: task.case for task in plan.tasks}
    with progress_bar("Cohort", shown=shown, counted="case", rated=True) as progress:
        done = 0
        progress(done, len(plan.tasks))

        def deliver(outcome: Outcome) -> None:
            nonlocal done
            if outcome.reason is not None:
                _check_inputs(outcome, cases[outcome.name], arguments.inputs)
            _note(outcome, results)
            if outcome.reason is not None and shown:
                warn(f"{outcome.name}: {outcome.reason}", kind="failed")
            done += 1
            progress(done, len(plan.tasks))

        run_tasks(plan.tasks, results, models, settings, work, deliver)


def _check_inputs(outcome: Outcome, case: Case, inputs: Sequence[Path]) -> None:
    """End the run where a case failed because the disk of the inputs is away.

    Raises:
        InputError: no other case can be read, either.
    """
    from TumorSegLib.support.disk import why_gone

    files = [file for source in case.sources.values() for file in source.files]
    gone = next(filter(None, map(why_gone, files)), "")
    if not gone and any(not path.exists() for path in inputs):
        gone = "a folder that was named is not there any more"
    if gone:
        raise InputError(
            f"{outcome.name}: its images cannot be read any more: {gone}; so the run ends here;"
            " bring them back, and run the same command again: it goes on with what is left"
        )


def _note(outcome: Outcome, results: Results) -> None:
    """Keep what became of a case.

    Raises:
        OutputError: results cannot be written any more, those of other cases neither.
    """
    if outcome.ends_run:
        raise OutputError(f"{results.folder}: cannot be written: {outcome.ends_run}; {GO_ON}")
    if outcome.reason is None:
        results.note_done(outcome.name)
        return
    try:
        results.note_failure(outcome.name, outcome.fingerprint, outcome.reason)
    except OutputError as error:
        raise OutputError(f"{error}; {GO_ON}") from error


def _show_plan(arguments: Namespace, plan: Plan) -> int:
    """Print what would be done."""
    tasks = [(task.case.name, task.case.chosen) for task in plan.tasks]
    if arguments.json:
        content = {
            "format": JSON_FORMAT,
            "to_do": [{"case": name, "chosen": chosen} for name, chosen in tasks],
            "done": list(plan.done),
            "failed_before": list(plan.failed),
            "refused": [{"case": one.name, "reason": one.reason} for one in plan.refused],
        }
        print(json.dumps(content, indent=2))  # noqa: T201
        return 0
    console = terminal()
    for name, chosen in tasks:
        console.print(f"{name}: {chosen}", soft_wrap=True)
    for one in plan.refused:
        console.print(f"{one.name}: cannot be segmented: {one.reason}", soft_wrap=True)
    console.print(
        f"{len(tasks)} to do, {len(plan.done)} done, {len(plan.failed)} failed before,"
        f" {len(plan.refused)} that cannot be"
    )
    return 0


def _show(arguments: Namespace, plan: Plan, results: Results, failures: Mapping[str, str]) -> None:
    new = [task.case.name for task in plan.tasks if task.case.name not in failures]
    written = [results.folder / name for name in ("index.html", "measurements.csv")]
    if arguments.json:
        content: dict[str, Any] = {
            "format": JSON_FORMAT,
            "output": str(results.folder),
            "segmented": new,
            "unchanged": list(plan.done),
            "failed": [{"case": name, "reason": why} for name, why in sorted(failures.items())],
            "table": str(results.folder / "measurements.parquet"),
            "overview": str(written[0]),
        }
        print(json.dumps(content, indent=2))  # noqa: T201
    elif not arguments.quiet:
        console = terminal(stderr=True)
        said = {task.case.name for task in plan.tasks}
        rest = [(name, why) for name, why in sorted(failures.items()) if name not in said]
        for name, reason in rest[:MOST_FAILURES]:
            warn(f"{name}: {reason}", kind="failed")
        if (more := len(rest) - MOST_FAILURES) > 0:
            console.print(f"and {more} more")
        counts = f"{len(new)} segmented, {len(plan.done)} unchanged, {len(failures)} failed"
        console.print(counts)
        for path in written:
            console.print(f"wrote {path}", soft_wrap=True)
