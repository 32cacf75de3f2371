"""`dicomwebserver`: serve an archive as DICOMweb, and the viewer with it."""

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from staticwado.cli.common import ExitCode, common_options, load_options, run, version_option
from staticwado.errors import ConfigurationError

if TYPE_CHECKING:
    from staticwado.web.options import ServerOptions

SECTION = "dicomWebServerConfig"
VIEWER_FOLDER = ".viewer"
"""Where `scripts/run` puts the viewer, below the folder in which it is started."""


def _hash_password(context: click.Context) -> None:
    """Print the hash of a password that is typed, or piped in."""
    from staticwado.web.auth.basic import hash_password

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise ConfigurationError("the password is empty")
    click.echo(hash_password(password))
    context.exit()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--dir", "directory", metavar="DIR", help="The archive. [default: rootDir of the file]")
@click.option("--host", metavar="ADDRESS", help="Address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one. [default: 5000]")
@click.option("--server-path", metavar="PATH", help="Where DICOMweb is; / too. [default: /dicomweb]")
@click.option("--client-path", metavar="PATH", help="Where the viewer is. [default: /]")
@click.option("--public-url", metavar="URL", help="What clients see as this server's /.")
@click.option(
    "--viewer",
    metavar="FOLDER",
    type=click.Path(),
    help="Folder with OHIF's index.html. [default: ./.viewer]",
)
@click.option("--workers", type=int, metavar="N", help="Processes that serve. [default: 1]")
@click.option("--tls-cert", metavar="FILE", type=click.Path(), help="Certificate chain (PEM): serve HTTPS.")
@click.option("--tls-key", metavar="FILE", type=click.Path(), help="Private key of the certificate (PEM).")
@click.option(
    "--open/--no-open",
    "is_open",
    default=None,
    help="Let anybody in who reaches it, without login. [default: no]",
)
@click.option(
    "--allowed-origins",
    "allowed_origins",
    metavar="ORIGIN",
    multiple=True,
    help="Origin whose pages may read answers; may be repeated. [default: *, any]",
)
@click.option("--cache-size", type=int, metavar="BYTES", help="Memory for answers. [default: 64 MiB]")
@click.option("--decoders", type=int, metavar="N", help="Processes that decode images. [default: 2]")
@click.option("--decode-timeout", type=float, metavar="SECONDS", help="Limit for one image. [default: 60]")
@click.option(
    "--result-cache-size", type=int, metavar="BYTES", help="Files with decoded images. [default: 1 GiB]"
)
@click.option(
    "--state",
    metavar="FOLDER",
    type=click.Path(),
    help="Where those files are. [default: .staticwado in the archive]",
)
@click.option("--keep-alive", type=float, metavar="SECONDS", help="Limit for idle clients. [default: 75]")
@click.option(
    "--stall-timeout",
    type=float,
    metavar="SECONDS",
    help="Limit for clients that read nothing. [default: 60]",
)
@click.option("--store/--no-store", default=None, help="Whether instances can be stored. [default: yes]")
@click.option(
    "--on-conflict",
    type=click.Choice(["refuse", "keep", "replace"]),
    help="What becomes of other content under a UID that is in. [default: refuse]",
)
@click.option(
    "--settle-after",
    type=float,
    metavar="SECONDS",
    help="Quiet time after which files of a study are made; 0: never. [default: 2]",
)
@click.option("--max-header", type=int, metavar="BYTES", help="Longest URL or header. [default: 16384]")
@click.option("--max-connections", type=int, metavar="N", help="Connections of a process. [default: 1000]")
@click.option("--body-timeout", type=float, metavar="SECONDS", help="Limit for slow bodies. [default: 30]")
@click.option("--search-timeout", type=float, metavar="SECONDS", help="Limit for a search. [default: 10]")
@click.option("--max-results", type=int, metavar="N", help="Matches in one answer. [default: 10000]")
@click.option("--max-stores", type=int, metavar="N", help="Stores at once, for each process. [default: 64]")
@click.option("--min-free", type=int, metavar="BYTES", help="Free room for storing. [default: 256 MiB]")
@click.option("--delete/--no-delete", default=None, help="Let clients delete. [default: no]")
@click.option("--trash-retention", type=float, metavar="DAYS", help="Keep what was deleted. [default: 30]")
@click.option("--access-log/--no-access-log", default=None, help="Print JSON for each request. [default: no]")
@click.option(
    "--access-log-file", metavar="FILE", type=click.Path(), help="Write these lines to FILE, not to stderr."
)
@click.option(
    "--hash-password",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, _, asked: _hash_password(context) if asked else None,
    help="Ask for a password, print what auth.users holds of it, and end.",
)
@common_options
@version_option
def dicomwebserver(
    directory: str | None,
    viewer: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    allowed_origins: tuple[str, ...],
    is_open: bool | None,
    config_file: str | None,
    **flags: object,
) -> int:
    """Serve an archive as DICOMweb (PS3.18), and the OHIF viewer on the same origin.

    Ends with exit code 0 on SIGTERM or Ctrl-C, after the answers and uploads under way; with 130 when the
    same signal comes again and cuts them off; with 2 if it cannot begin.
    """
    from staticwado.web.options import ServerOptions

    given = {
        "dir": directory,
        "viewer": viewer,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "allowed_origins": allowed_origins or None,
        "open": is_open,
        **flags,
    }
    options = load_options(ServerOptions, SECTION, config_file, given)
    return _serve(options)


def _serve(options: "ServerOptions") -> int:
    """Serve until told to stop."""
    from dataclasses import replace

    from staticwado.cli.workers import supervise
    from staticwado.web.accesslog import NamesRequest
    from staticwado.web.serve import open_server, serve
    from staticwado.web.viewer import find_viewer

    if options.viewer is None and find_viewer(Path(VIEWER_FOLDER)) is not None:
        options = replace(options, viewer=Path(VIEWER_FOLDER))
    if options.viewer is not None and find_viewer(options.viewer) is None:
        raise ConfigurationError(f"--viewer {options.viewer} holds no index.html")
    if not options.dir.is_dir():
        raise ConfigurationError(f"there is no archive at {options.dir}; mkdicomweb create makes one")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(request)s %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(NamesRequest())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    # It logs every malformed request with a traceback; our own faults are logged by the service itself.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)

    server = open_server(options)

    def announce() -> None:
        click.echo(f"serving {options.dir} at {server.url}")
        if options.viewer is None:
            click.echo("no viewer found: the page there lists the studies and says how to get it")

    if options.workers == 1:
        serve(server, ready=announce, cut_off=_cut_off)
    else:
        announce()
        if not supervise(options.workers, lambda row: serve(server, row, cut_off=_cut_off)):
            return ExitCode.INTERRUPTED
    return ExitCode.OK


def _cut_off() -> None:
    """End this process with all that is under way."""
    os._exit(ExitCode.INTERRUPTED)


def main() -> NoReturn:
    """The console script."""
    run(dicomwebserver, "dicomwebserver")


if __name__ == "__main__":
    main()
