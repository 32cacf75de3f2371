"""`deploydicomweb`: publish to S3. This release checks the options and says that it cannot publish yet."""

import re
from dataclasses import dataclass
from typing import NoReturn

import click

from staticwado.cli.common import common_options, load_options, load_root, run, version_option
from staticwado.errors import BadRequest, ConfigurationError

SECTION = "deployConfig"
# A bucket's name as S3 defines it, then any prefix.
_TARGET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^?#]*)?")


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """Where the bucket is."""

    endpoint_url: str | None = None
    """The S3 service; without it, that of AWS."""

    def __post_init__(self) -> None:
        if self.endpoint_url is not None and not re.fullmatch(r"https?://[^/\s]+\S*", self.endpoint_url):
            raise ValueError(f"{self.endpoint_url!r} is no http or https URL")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@version_option
def deploydicomweb() -> None:
    """Publish an archive to S3-compatible storage and check the result as a browser would.

    Not in this release: the options are read and checked, then the command ends with exit code 2.
    """


def _add(name: str, text: str) -> None:
    @deploydicomweb.command(name, help=text)
    @click.argument("target", metavar="s3://BUCKET/PREFIX")
    @click.option(
        "--dir", "directory", metavar="DIR", help="The archive. [default: rootDir of the configuration]"
    )
    @click.option("--endpoint-url", metavar="URL", help="The S3 service. [default: that of AWS]")
    @common_options
    def verb(
        target: str, directory: str | None, endpoint_url: str | None, config_file: str | None
    ) -> NoReturn:
        if not _TARGET.fullmatch(target):
            raise BadRequest(f"{target!r} is no s3://BUCKET/PREFIX")
        root = load_root(directory, SECTION, config_file)
        load_options(DeployOptions, SECTION, config_file, {"endpoint_url": endpoint_url})
        raise ConfigurationError(
            f"this release cannot publish yet, a later one can: {name} of {root} at {target} did nothing"
        )


_add("plan", "Say what an upload would send: objects and bytes. (Not in this release.)")
_add("upload", "Send what the bucket lacks. (Not in this release.)")
_add("check", "Fetch from the bucket what a browser would, and judge it. (Not in this release.)")


def main() -> NoReturn:
    """The console script."""
    run(deploydicomweb, "deploydicomweb")


if __name__ == "__main__":
    main()
