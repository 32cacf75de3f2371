"""What `dicomwebserver --hash-password` prints."""

import pytest
from click.testing import CliRunner

from staticwado.cli.dicomwebserver import dicomwebserver
from staticwado.errors import ConfigurationError
from staticwado.web.auth.basic import read_hash


def test_it_prints_what_the_configuration_takes_and_no_password() -> None:
    done = CliRunner().invoke(dicomwebserver, ["--hash-password"], input="päss wörd\n")
    assert done.exit_code == 0
    assert read_hash("", done.stdout.strip()).fits("päss wörd".encode())
    assert "wörd" not in done.output


@pytest.mark.parametrize("given", ["", "\n"])
def test_no_password_is_none(given: str) -> None:
    done = CliRunner().invoke(dicomwebserver, ["--hash-password"], input=given)
    assert done.exit_code != 0
    assert isinstance(done.exception, ConfigurationError)
    assert "scrypt" not in done.output
