"""`mkdicomweb`: makes an archive and keeps it."""

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from staticwado.cli.common import ExitCode, common_options, load_options, load_root, run, version_option
from staticwado.cli.delete import delete, restore, trash
from staticwado.cli.interrupts import hold_back_interrupts, terminated_like_interrupted
from staticwado.cli.part10 import part10
from staticwado.cli.verify import verify
from staticwado.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from staticwado.ingest.outcome import Report

SECTION = "mkdicomwebConfig"
_LATER = {
    "view": "looking at a folder without copying it",
}


_MANY_ALIKE = 10
"""So many inputs that failed because of the archive are told one by one."""


class _DefaultToCreate(click.Group):
    """A group whose first word may be left out: `mkdicomweb PATH` means `mkdicomweb create PATH`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {"-h", "--help", "--version"}
        if args and args[0] not in own and args[0] not in self.commands:
            if args[0] in _LATER:
                raise ConfigurationError(f"{args[0]}: {_LATER[args[0]]} comes with a later release")
            args = ["create", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_DefaultToCreate, context_settings={"help_option_names": ["-h", "--help"]})
@version_option
def mkdicomweb() -> None:
    """Turn DICOM files into a folder of static DICOMweb files, and keep that folder.

    `mkdicomweb PATH... --dir DIR` means `mkdicomweb create PATH... --dir DIR`.
    """


_directory = click.option(
    "--dir", "directory", metavar="DIR", help="The archive. [default: rootDir of the configuration]"
)


@mkdicomweb.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@_directory
@click.option("--jobs", type=int, metavar="N", help="Processes to use. [default: as many as pay]")
@click.option(
    "--frames",
    type=click.Choice(["copy", "bundle", "reference"]),
    help="How frames are kept. [default: copy]",
)
@click.option(
    "--transcode",
    type=click.Choice(["none", "htj2k", "jls", "auto"]),
    help="Into what natively stored frames are transcoded, losslessly. [default: none]",
)
@click.option("--thumbnails/--no-thumbnails", default=None, help="Make thumbnails. [default: thumbnails]")
@click.option("--report", "report_file", metavar="FILE.json", help="Write what became of each input.")
@click.option("--quarantine", metavar="DIR", help="Copy what failed into this folder.")
@click.option("--strict", is_flag=True, default=None, help="Stop at the first failure.")
@click.option("--dry-run", is_flag=True, default=None, help="Read and report, and write nothing.")
@click.option("--force", is_flag=True, default=None, help="Read sources that are known to be unchanged, too.")
@click.option("--dask", metavar="ADDRESS", help="Let a Dask cluster do the work.")
@common_options
def create(
    paths: tuple[str, ...],
    directory: str | None,
    report_file: str | None,
    config_file: str | None,
    **flags: object,
) -> int:
    """Take in files, folders, zip and tar archives and DICOMDIRs, in any order.

    What is in already is left as it is, so a second run is quick. Files of a folder that are no DICOM
    are skipped; those named here, and DICOM that cannot be read, have failed. Exit codes: 0 all in,
    1 some failed, 2 usage or configuration, 3 none in, 4 nothing found to do.
    """
    from staticwado.archive import Archive
    from staticwado.cli.progress import ProgressLine
    from staticwado.ingest.pipeline import CreateOptions
    from staticwado.ingest.pipeline import create as take_in

    root = load_root(directory, SECTION, config_file)
    options = load_options(CreateOptions, SECTION, config_file, flags)
    target = Path(report_file) if report_file else None
    if target is not None and not target.absolute().parent.is_dir():
        raise ConfigurationError(f"--report {target}: its folder does not exist")
    if target is not None and target.is_dir():
        raise ConfigurationError(f"--report {target} is a folder")
    archive = Archive(root, create=True)
    with terminated_like_interrupted():
        with ProgressLine() as line:
            report = take_in(archive, paths, options, line.show)
        hold_back_interrupts()
        _tell(report)
        if target is not None:
            _write_report(target, report)
    return _exit_code(report)


@mkdicomweb.command()
@_directory
@common_options
def index(directory: str | None, config_file: str | None) -> int:
    """Make every derived file again from the instances alone: metadata, indexes, thumbnails of series."""
    from staticwado.archive import Archive
    from staticwado.ingest.settle import index as remake

    archive = Archive(load_root(directory, SECTION, config_file))
    with terminated_like_interrupted():
        done = remake(archive)
    for note in done.notes:
        click.echo(f"note: {note}", err=True)
    for fault in done.faults:
        click.echo(f"failed: {fault}", err=True)
    click.echo(f"{len(done.marks)} studies indexed")
    if done.faults:
        return ExitCode.SOME_FAILED if done.marks else ExitCode.NONE_IN
    return ExitCode.OK if done.marks else ExitCode.NOTHING_FOUND


mkdicomweb.add_command(part10)
mkdicomweb.add_command(verify)
mkdicomweb.add_command(delete)
mkdicomweb.add_command(trash)
mkdicomweb.add_command(restore)


def _write_report(target: Path, report: "Report") -> None:
    import json

    try:
        target.write_text(json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreUnavailable(f"--report {target} could not be written: {error.strerror}") from error


def _tell(report: "Report") -> None:
    """Failures on stderr, the summary line on stdout."""
    from collections import Counter

    from staticwado.ingest.outcome import Reason, Status

    failed = [outcome for outcome in report.outcomes if outcome.status is Status.FAILED]
    alike = Counter(one.detail for one in failed if one.reason is Reason.OUT_OF_RESOURCES)
    for outcome in failed:
        if alike[outcome.detail] <= _MANY_ALIKE:
            _say(f"failed: {outcome.source}: {outcome.detail}")
    for detail, count in alike.items():
        if count > _MANY_ALIKE:
            _say(f"failed: {count} inputs: {detail}")
    for note in report.notes:
        _say(f"note: {note}")
    for fault in report.faults:
        _say(f"failed: {fault}")
    if report.interrupted:
        _say("interrupted: what is reported as in is in, the rest was not tried")
    click.echo(report.summary())
    sys.stdout.flush()


def _say(line: str) -> None:
    """A line on stderr; names of files may hold line ends and what terminals obey."""
    click.echo("".join(one if one.isprintable() else repr(one)[1:-1] for one in line), err=True)


def _exit_code(report: "Report") -> ExitCode:
    from staticwado.ingest.outcome import Status

    taken_in = any(outcome.ok for outcome in report.outcomes)
    if report.interrupted:
        return ExitCode.INTERRUPTED
    if report.count(Status.FAILED):
        return ExitCode.SOME_FAILED if taken_in else ExitCode.NONE_IN
    if report.faults:
        return ExitCode.SOME_FAILED
    return ExitCode.OK if taken_in else ExitCode.NOTHING_FOUND


def main() -> NoReturn:
    """The console script."""
    # metadata of whole series are many small objects, none of them in a cycle: look for cycles rarely
    gc.set_threshold(100_000, 20, 100)
    run(mkdicomweb, "mkdicomweb")


if __name__ == "__main__":
    main()
