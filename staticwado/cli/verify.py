"""`mkdicomweb verify`: looks at a whole archive, and changes nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from staticwado.cli.common import ExitCode, common_options, load_root
from staticwado.cli.interrupts import terminated_like_interrupted
from staticwado.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from staticwado.ingest.verify import Verified

SECTION = "mkdicomwebConfig"
_NOTES_ALIKE = 10
"""So many notes of one kind are told one by one; the report file has more."""


@click.command()
@click.option(
    "--dir", "directory", metavar="DIR", help="The archive. [default: rootDir of the configuration]"
)
@click.option(
    "--against",
    "against",
    metavar="PATH",
    multiple=True,
    help="Compare with these sources, too; more paths may follow as words of their own.",
)
@click.argument("more", metavar="[PATH...]", nargs=-1)
@click.option("--report", "report_file", metavar="FILE.json", help="Write all that was found.")
@click.option("--jobs", type=int, default=0, metavar="N", help="Processes to use. [default: as many as pay]")
@common_options
def verify(
    directory: str | None,
    against: tuple[str, ...],
    more: tuple[str, ...],
    report_file: str | None,
    jobs: int,
    config_file: str | None,
) -> int:
    """Read the whole archive and say what is wrong, where, and which command mends it; change nothing.

    With --against PATH..., say of each source whether the archive would give back that very file.
    Exit codes: 0 all is whole, 1 something is wrong, 2 usage, or there is no archive, 3 nothing of the
    archive could be read, 4 it holds no instance, or --against found no source.
    """
    from staticwado.cli.progress import ProgressLine
    from staticwado.ingest.verify import VerifyOptions
    from staticwado.ingest.verify import verify as look_at

    if more and not against:
        raise click.UsageError(f"what is to be done with {more[0]}? Sources follow --against")
    target = _target(report_file)
    root = load_root(directory, SECTION, config_file)
    try:
        options = VerifyOptions(jobs, (*against, *more) if against else None)
    except ValueError as error:
        raise ConfigurationError(f"--jobs: {error}") from error
    with terminated_like_interrupted(), ProgressLine() as line:
        report = look_at(root, options, line.show)
    _tell(report)
    if target is not None:
        _write_report(target, report)
    return exit_code(report)


def exit_code(report: "Verified") -> ExitCode:
    """How the command ends."""
    from staticwado.ingest.verify import Kind

    findings = report.findings
    if not report.whole:
        refused = any(fault.kind is Kind.UNREADABLE for fault in findings.faults)
        return ExitCode.NONE_IN if refused and not findings.counts.bytes else ExitCode.SOME_FAILED
    if not findings.counts.instances or (report.compared is not None and not report.compared):
        return ExitCode.NOTHING_FOUND
    return ExitCode.OK


def _target(report_file: str | None) -> Path | None:
    """Where the report goes. Raises ConfigurationError."""
    target = Path(report_file) if report_file else None
    if target is not None and (target.is_dir() or not target.absolute().parent.is_dir()):
        what = "is a folder" if target.is_dir() else "its folder does not exist"
        raise ConfigurationError(f"--report {target}: {what}")
    return target


def _write_report(target: Path, report: "Verified") -> None:
    import json

    try:
        target.write_text(json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreUnavailable(f"--report {target} could not be written: {error.strerror}") from error


def _tell(report: "Verified") -> None:
    """Faults and notes on stderr, the summary on stdout."""
    from collections import Counter

    for fault in report.findings.faults:
        _say(f"{fault.kind.value}: {fault.key}: {fault.detail}; repair: {fault.repair}")
    for one in report.wrong:
        _say(f"{one.match.value}: {one.source}: {one.detail}")
    told: Counter[str] = Counter()
    for note in report.findings.notes:
        kind = note.matter.value
        told[kind] += 1
        if told[kind] <= _NOTES_ALIKE:
            _say(f"note: {kind}: {note.key}: {note.detail}")
    for matter, count in report.findings.more.items():
        told[matter.value] += count
    for kind, count in told.items():
        if count > _NOTES_ALIKE:
            _say(f"note: {kind}: {count - _NOTES_ALIKE} more")
    click.echo(report.summary())


def _say(line: str) -> None:
    """A line on stderr; names of files may hold line ends and what terminals obey."""
    click.echo("".join(one if one.isprintable() else repr(one)[1:-1] for one in line), err=True)
