"""`dicomwebscp`: DIMSE over the archive. This release checks its options and says that it cannot yet."""

from dataclasses import dataclass
from typing import NoReturn

import click

from staticwado.cli.common import common_options, load_options, load_root, run, version_option
from staticwado.config.file import is_ae_title
from staticwado.errors import ConfigurationError

SECTION = "dicomWebScpConfig"


@dataclass(frozen=True, slots=True)
class ScpOptions:
    """What `dicomwebscp` listens as."""

    aet: str = "STATICWADO"
    """The AE title to answer to: 1 to 16 characters (PS3.5 6.2)."""
    port: int = 11112
    """The port to listen on."""

    def __post_init__(self) -> None:
        if not is_ae_title(self.aet):
            raise ValueError(f"{self.aet!r} is no AE title: 1 to 16 printable characters, no backslash")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"{self.port} is no port: 1 to 65535")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--dir", "directory", metavar="DIR", help="The archive. [default: rootDir of the configuration]"
)
@click.option("--aet", metavar="TITLE", help="The AE title to answer to. [default: STATICWADO]")
@click.option("--port", type=int, metavar="PORT", help="The port to listen on. [default: 11112]")
@common_options
@version_option
def dicomwebscp(
    directory: str | None, aet: str | None, port: int | None, config_file: str | None
) -> NoReturn:
    """Receive and answer DICOM over DIMSE (C-ECHO, C-STORE, C-FIND, C-MOVE, C-GET) with an archive.

    Not in this release: the options are read and checked, then the command ends with exit code 2.
    """
    root = load_root(directory, SECTION, config_file)
    options = load_options(ScpOptions, SECTION, config_file, {"aet": aet, "port": port})
    raise ConfigurationError(
        f"this release has no DIMSE service yet, it comes with a later one: "
        f"nothing listens as {options.aet} on port {options.port} for {root}"
    )


def main() -> NoReturn:
    """The console script."""
    run(dicomwebscp, "dicomwebscp")


if __name__ == "__main__":
    main()
