"""How commands end and what they say."""

import errno

import click
import pytest

from staticwado import errors
from staticwado.cli import common
from staticwado.cli.common import EXIT_CODES, ExitCode, common_options, exit_code_of, run, version_option


def subclasses(cls: type) -> set[type]:
    return {cls}.union(*(subclasses(child) for child in cls.__subclasses__()))


def ending(command: click.Command, *arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        run(command, "program", arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


@click.command()
@common_options
@version_option
def plain(config_file: str | None) -> ExitCode:
    """A command that says which file it was given."""
    click.echo(f"config_file={config_file}")
    return ExitCode.SOME_FAILED


def raising(error: BaseException) -> click.Command:
    @click.command()
    @common_options
    def command(config_file: str | None) -> None:
        raise error

    return command


def test_every_error_of_the_package_has_an_exit_code() -> None:
    assert subclasses(errors.StaticWadoError) - {errors.StaticWadoError} == set(EXIT_CODES)


def test_an_error_that_is_new_takes_the_code_of_its_base() -> None:
    class Newer(errors.ConfigurationError): ...

    class Other(errors.StaticWadoError): ...

    assert exit_code_of(Newer("")) is ExitCode.USAGE
    assert exit_code_of(Other("")) is ExitCode.SOME_FAILED


def test_exit_codes_are_those_of_the_contract() -> None:
    codes = {code.name: int(code) for code in ExitCode}
    assert codes == {
        "OK": 0,
        "SOME_FAILED": 1,
        "USAGE": 2,
        "NONE_IN": 3,
        "NOTHING_FOUND": 4,
        "INTERRUPTED": 130,
    }


def test_what_a_command_returns_is_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(plain, "-c", "x.json5") == 1
    assert capsys.readouterr().out == "config_file=x.json5\n"


def test_help_and_version_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(plain, "--version") == 0
    assert capsys.readouterr().out.startswith("program 0.")
    assert ending(plain, "--help") == 0
    assert "--config" in capsys.readouterr().out


@pytest.mark.parametrize("kind", EXIT_CODES)
def test_an_error_is_one_line_on_stderr(
    kind: type[errors.StaticWadoError], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(raising(kind("what was wrong"))) == EXIT_CODES[kind]
    out, err = capsys.readouterr()
    assert (out, err) == ("", "program: error: what was wrong\n")


def test_a_wrong_flag_shows_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(plain, "--confgi", "x") == 2
    err = capsys.readouterr().err
    assert err.startswith("Usage: program ")
    assert "program: error: No such option" in err


def test_a_fault_of_the_program_is_told_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(raising(KeyError("x"))) == 1
    err = capsys.readouterr().err
    assert err.startswith("program: error: unexpected KeyError: 'x'")
    assert "Traceback" not in err


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_debug_shows_where(
    how: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "variable":
        monkeypatch.setenv("STATICWADO_DEBUG", "1")
    assert ending(raising(errors.NotFound("x")), *(["--debug"] if how == "flag" else [])) == 4
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("program: error: x\n")


def test_an_interruption_is_not_a_failure_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err.strip() == "program: error: interrupted"


def test_an_error_of_the_system_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(raising(OSError(errno.ENOSPC, "No space left on device", "/x"))) == 1
    assert "No space left on device" in capsys.readouterr().err


def test_a_warning_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def command() -> None:
        common.warn("mind this")
        common.warn("mind this")

    assert ending(command) == 0
    assert capsys.readouterr().err == "program: warning: mind this\n"
