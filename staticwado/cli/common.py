"""What the four commands share: exit codes, errors in words, `-c`, `--debug`, and the loading of options.

One rule: a command returns an exit code or raises; only `run` prints errors and ends the process.
"""

import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NoReturn, TypeVar

import click

from staticwado import __version__
from staticwado.errors import (
    BadRequest,
    BrokenDicom,
    Busy,
    ConfigurationError,
    Conflict,
    Forbidden,
    Gone,
    InvalidUid,
    IssuerUnavailable,
    Mismatch,
    MissingBulkdata,
    NotAcceptable,
    NotDicom,
    NotFound,
    StaticWadoError,
    StoreUnavailable,
    TookTooLong,
    TooMuch,
    TooSlow,
    Unauthenticated,
    Unsupported,
    UnsupportedMedia,
)

Options = TypeVar("Options")
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class ExitCode(IntEnum):
    """What a command tells its caller."""

    meaning: str

    OK = 0, "everything is in"
    SOME_FAILED = 1, "some of it failed, or the command itself did"
    USAGE = 2, "usage or configuration: nothing was tried"
    NONE_IN = 3, "all of it failed"
    NOTHING_FOUND = 4, "nothing was found to do"
    INTERRUPTED = 130, "interrupted"

    def __new__(cls, code: int, meaning: str) -> "ExitCode":
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


EXIT_CODES: Mapping[type[StaticWadoError], ExitCode] = {
    NotDicom: ExitCode.SOME_FAILED,
    BrokenDicom: ExitCode.SOME_FAILED,
    Unsupported: ExitCode.SOME_FAILED,
    Conflict: ExitCode.SOME_FAILED,
    Mismatch: ExitCode.SOME_FAILED,
    MissingBulkdata: ExitCode.SOME_FAILED,
    StoreUnavailable: ExitCode.SOME_FAILED,
    InvalidUid: ExitCode.USAGE,
    BadRequest: ExitCode.USAGE,
    NotAcceptable: ExitCode.USAGE,
    UnsupportedMedia: ExitCode.USAGE,
    TooMuch: ExitCode.USAGE,
    TookTooLong: ExitCode.SOME_FAILED,
    TooSlow: ExitCode.USAGE,
    Busy: ExitCode.SOME_FAILED,
    Unauthenticated: ExitCode.USAGE,
    Forbidden: ExitCode.USAGE,
    IssuerUnavailable: ExitCode.USAGE,
    ConfigurationError: ExitCode.USAGE,
    NotFound: ExitCode.NOTHING_FOUND,
    Gone: ExitCode.NOTHING_FOUND,
}
"""How a command ends when an error ends it, by the most specific class."""


def exit_code_of(error: StaticWadoError) -> ExitCode:
    """The exit code of a command that `error` ended."""
    for kind in type(error).__mro__:
        if kind in EXIT_CODES:
            return EXIT_CODES[kind]
    return ExitCode.SOME_FAILED


@dataclass(slots=True)
class Session:
    """What one invocation of a command remembers; click carries it as `ctx.obj`."""

    debug: bool = False
    warned: set[str] = field(default_factory=set)


def _session() -> Session:
    context = click.get_current_context(silent=True)
    found = context.find_root().obj if context is not None else None
    return found if isinstance(found, Session) else Session()


def _program() -> str:
    context = click.get_current_context(silent=True)
    return (context.find_root().info_name if context is not None else None) or "staticwado"


def warn(message: str) -> None:
    """Print a warning on stderr, once a run."""
    session = _session()
    if message not in session.warned:
        session.warned.add(message)
        click.echo(f"{_program()}: warning: {message}", err=True)


def _set_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    session = context.find_root().obj
    if value and isinstance(session, Session):
        session.debug = True


def common_options(command: Decorated) -> Decorated:
    """Add `-c/--config` (given to the command as `config_file`) and `--debug` (kept in the session)."""
    config = click.option(
        "-c",
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(),
        help="Configuration file (JSON5). [default: ./static-wado.json5, else ~/static-wado.json5]",
    )
    debug = click.option(
        "--debug", is_flag=True, expose_value=False, callback=_set_debug, help="Show where an error arose."
    )
    return config(debug(command))


def version_option(command: Decorated) -> Decorated:
    """Add `--version`, which prints program and version."""
    return click.version_option(__version__, message="%(prog)s %(version)s")(command)


def load_options(
    options: type[Options], section: str, config_file: str | None, flags: Mapping[str, object]
) -> Options:
    """The options of a command from file, environment and flags (None: not given); warnings are printed.

    Raises ConfigurationError.
    """
    from staticwado.config import read_options

    loaded, warnings = read_options(
        options, section, config_file=config_file, environ=os.environ, flags=flags
    )
    for warning in warnings:
        warn(warning)
    return loaded


def load_root(directory: str | None, section: str, config_file: str | None) -> str:
    """The archive's folder: `--dir`, else STATICWADO_DIR, else `rootDir`. Raises ConfigurationError."""
    from staticwado.config import ArchiveOptions

    return str(load_options(ArchiveOptions, section, config_file, {"dir": directory}).dir)


def run(command: click.Command, program: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and end the process with its exit code; errors become one line on stderr."""
    session = Session(debug=os.environ.get("STATICWADO_DEBUG", "") not in ("", "0"))
    sys.exit(_outcome(command, program, arguments, session))


def _outcome(command: click.Command, program: str, arguments: Sequence[str] | None, session: Session) -> int:
    try:
        ended = command.main(
            None if arguments is None else list(arguments), program, standalone_mode=False, obj=session
        )
        sys.stdout.flush()
    except click.UsageError as error:
        if error.ctx is not None:
            click.echo(error.ctx.get_usage(), err=True)
        return _fail(program, error.format_message(), ExitCode.USAGE)
    except click.ClickException as error:
        return _fail(program, error.format_message(), ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        return _fail(program, "interrupted", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain about it once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.SOME_FAILED
    except StaticWadoError as error:
        _explain(session)
        return _fail(program, str(error), exit_code_of(error))
    except Exception as error:
        _explain(session)
        hint = "" if session.debug else " (a fault of this program; --debug shows where)"
        return _fail(program, f"unexpected {type(error).__name__}: {error}{hint}", ExitCode.SOME_FAILED)
    return int(ended or ExitCode.OK)


def _explain(session: Session) -> None:
    if session.debug:
        traceback.print_exc()


def _fail(program: str, message: str, code: ExitCode) -> ExitCode:
    click.echo(f"{program}: error: {message}", err=True)
    return code
