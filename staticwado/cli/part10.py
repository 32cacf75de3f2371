"""`mkdicomweb part10`: files given back as they came."""

from collections import Counter
from pathlib import Path

import click

from staticwado.cli.common import ExitCode, common_options, load_root
from staticwado.cli.interrupts import terminated_like_interrupted
from staticwado.dicomweb.resource import Resource, View, parse_path
from staticwado.errors import BadRequest, ConfigurationError, NotFound

SECTION = "mkdicomwebConfig"
_LEVELS = ("studies", "series", "instances")


@click.command()
@click.argument("what", metavar="STUDY[/SERIES[/INSTANCE]]")
@click.option(
    "--dir", "directory", metavar="DIR", help="The archive. [default: rootDir of the configuration]"
)
@click.option(
    "--out",
    "target",
    metavar="FOLDER_OR_ZIP",
    required=True,
    help="Where the files go: a folder, or one zip if it ends in .zip.",
)
@common_options
def part10(what: str, directory: str | None, target: str, config_file: str | None) -> int:
    """Give the DICOM files of a study, a series or an instance back, bit for bit.

    They are named STUDY/SERIES/INSTANCE.dcm. Each is compared with the SHA-256 of the file from which it was
    made before it gets its name, and none is overwritten: the same bytes are left as they are, others are a
    failure. studies/STUDY/series/SERIES/instances/INSTANCE names an instance, too. Exit codes: 0 all, 1 some
    failed, 2 usage or configuration, 3 all failed, 4 the archive does not hold it.
    """
    from staticwado.archive import Archive, describe
    from staticwado.ingest.export import kept_instances
    from staticwado.ingest.export_files import Status, write_folder, write_zip

    resource = resource_of(what)
    place = Path(target)
    as_zip = place.suffix.lower() == ".zip"
    _check_target(place, as_zip=as_zip)
    archive = Archive(load_root(directory, SECTION, config_file))
    found = list(kept_instances(archive, resource))
    if not found:
        raise NotFound(f"the archive holds no {describe(resource)}")
    counts: Counter[Status] = Counter()
    with terminated_like_interrupted():
        for outcome in (write_zip if as_zip else write_folder)(archive, found, place):
            counts[outcome.status] += 1
            if outcome.status is Status.FAILED:
                click.echo(f"failed: {outcome.name}: {outcome.detail}", err=True)
    written, unchanged, failed = (counts[status] for status in Status)
    click.echo(f"{written + unchanged} given back ({written} new, {unchanged} unchanged), {failed} failed")
    if not failed:
        return ExitCode.OK
    return ExitCode.SOME_FAILED if written + unchanged else ExitCode.NONE_IN


def resource_of(text: str) -> Resource:
    """The study, series or instance that `S/E/I` or `studies/S/series/E/instances/I` names.

    Raises BadRequest.
    """
    words = text.strip("/").split("/")
    if words[0] != "studies":
        if len(words) > len(_LEVELS):
            raise BadRequest(f"{text!r} has more parts than study, series and instance")
        words = [word for pair in zip(_LEVELS, words, strict=False) for word in pair]
    try:
        resource = parse_path("/".join(words))
    except NotFound as error:
        raise BadRequest(f"{text!r} names no study, series or instance") from error
    if resource.view is not View.PART10:
        raise BadRequest(f"{text!r} names no study, series or instance")
    return resource


def _check_target(place: Path, *, as_zip: bool) -> None:
    if as_zip and place.is_dir():
        raise ConfigurationError(f"--out {place} is a folder")
    if not as_zip and place.exists() and not place.is_dir():
        raise ConfigurationError(f"--out {place} is a file; a zip is written if the name ends in .zip")
