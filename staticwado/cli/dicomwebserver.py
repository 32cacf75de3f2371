"""`dicomwebserver`: serve an archive as DICOMweb, and the viewer with it."""

import logging
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
@click.option("--max-header", type=int, metavar="BYTES", help="Longest URL or header. [default: 16384]")
@click.option(
    "--access-log/--no-access-log", default=None, help="Print a line for each request. [default: no]"
)
@common_options
@version_option
def dicomwebserver(
    directory: str | None,
    viewer: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    allowed_origins: tuple[str, ...],
    config_file: str | None,
    **flags: object,
) -> int:
    """Serve an archive as DICOMweb (PS3.18), and the OHIF viewer on the same origin.

    Ends with exit code 0 on SIGTERM or Ctrl-C, after the answers under way; 2 if it cannot begin.
    """
    from staticwado.web.options import ServerOptions

    given = {
        "dir": directory,
        "viewer": viewer,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "allowed_origins": allowed_origins or None,
        **flags,
    }
    options = load_options(ServerOptions, SECTION, config_file, given)
    return _serve(options)


def _serve(options: "ServerOptions") -> int:
    """Serve until told to stop."""
    from dataclasses import replace

    from staticwado.cli.workers import supervise
    from staticwado.web.serve import open_server, serve
    from staticwado.web.viewer import find_viewer

    if options.viewer is None and find_viewer(Path(VIEWER_FOLDER)) is not None:
        options = replace(options, viewer=Path(VIEWER_FOLDER))
    if options.viewer is not None and find_viewer(options.viewer) is None:
        raise ConfigurationError(f"--viewer {options.viewer} holds no index.html")
    if not options.dir.is_dir():
        raise ConfigurationError(f"there is no archive at {options.dir}; mkdicomweb create makes one")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    # It logs every malformed request with a traceback; our own faults are logged by the service itself.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)

    server = open_server(options)

    def announce() -> None:
        click.echo(f"serving {options.dir} at {server.url}")
        if options.viewer is None:
            click.echo("no viewer found: the page there lists the studies and says how to get it")

    if options.workers == 1:
        serve(server, ready=announce)
    else:
        announce()
        supervise(options.workers, lambda row: serve(server, row))
    return ExitCode.OK


def main() -> NoReturn:
    """The console script."""
    run(dicomwebserver, "dicomwebserver")


if __name__ == "__main__":
    main()
