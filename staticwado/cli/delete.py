"""`mkdicomweb delete`, `trash` and `restore`: what leaves an archive, and what comes back."""

from datetime import timedelta

import click

from staticwado.cli.common import ExitCode, common_options, load_root
from staticwado.cli.interrupts import terminated_like_interrupted
from staticwado.cli.part10 import resource_of

SECTION = "mkdicomwebConfig"
_directory = click.option(
    "--dir", "directory", metavar="DIR", help="The archive. [default: rootDir of the configuration]"
)


@click.command()
@click.argument("what", metavar="STUDY[/SERIES[/INSTANCE]]")
@_directory
@common_options
def delete(what: str, directory: str | None, config_file: str | None) -> int:
    """Take a study, a series or an instance out of the archive, into its trash.

    With the last instance its series goes, with the last series the study. `mkdicomweb restore` brings it
    back until the trash is emptied. Exit codes: 0 deleted, 1 deleted but indexes could not be written, or it
    failed, 2 usage or configuration, 4 the archive does not hold it.
    """
    from staticwado.archive import Archive
    from staticwado.ingest.delete import delete as move_to_trash
    from staticwado.ingest.settle import settle

    archive = Archive(load_root(directory, SECTION, config_file))
    with terminated_like_interrupted():
        entry = move_to_trash(archive, resource_of(what), by="mkdicomweb")
        click.echo(f"{entry.instances} deleted; mkdicomweb restore {entry.id} brings them back")
        done = settle(archive, [entry.study])
    return _tell(done.faults)


@click.command()
@click.option("--empty", is_flag=True, help="Remove everything in the trash for good.")
@click.option(
    "--older-than", type=float, metavar="DAYS", help="With --empty: only what is there for so long."
)
@_directory
@common_options
def trash(empty: bool, older_than: float | None, directory: str | None, config_file: str | None) -> int:
    """List what was deleted or replaced and can be restored, oldest first; or empty the trash.

    Exit codes: 0 something was listed or removed, 2 usage or configuration, 4 there is nothing.
    """
    from staticwado.archive import Archive
    from staticwado.ingest import trash as bin_

    if older_than is not None and not empty:
        raise click.UsageError("--older-than goes with --empty")
    archive = Archive(load_root(directory, SECTION, config_file))
    bin_.tidy(archive)
    entries = bin_.empty(archive, timedelta(days=older_than or 0)) if empty else bin_.entries(archive)
    found = list(entries)
    for one in found:
        place = "/".join(uid for uid in (one.study, one.series, one.instance) if uid is not None)
        click.echo(f"{one.id}  {one.reason} {one.time}  {one.instances} of {place}")
    click.echo(f"{len(found)} {'removed for good' if empty else 'in the trash'}")
    return ExitCode.OK if found else ExitCode.NOTHING_FOUND


@click.command()
@click.argument("identity", metavar="ID")
@_directory
@common_options
def restore(identity: str, directory: str | None, config_file: str | None) -> int:
    """Put back what `mkdicomweb delete` took; `mkdicomweb trash` lists the IDs.

    All of it comes back, or nothing: if the archive holds one of the instances with other content by now,
    that one has to be deleted first. Exit codes: 0 all is back, 1 it failed, 2 usage or configuration, 4 the
    trash has no such entry.
    """
    from staticwado.archive import Archive
    from staticwado.ingest.restore import restore as put_back
    from staticwado.ingest.settle import settle

    archive = Archive(load_root(directory, SECTION, config_file))
    with terminated_like_interrupted():
        entry, count = put_back(archive, identity)
        click.echo(f"{count} back")
        done = settle(archive, [entry.study])
    return _tell(done.faults)


def _tell(faults: list[str]) -> ExitCode:
    for fault in faults:
        click.echo(f"failed: {fault}", err=True)
    return ExitCode.SOME_FAILED if faults else ExitCode.OK
