"""Options from a file, the environment and flags."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from staticwado.config import ArchiveOptions, read_options
from staticwado.config.keys import OPTION_KEYS, key_of, name_of, variable_of
from staticwado.errors import ConfigurationError

SECTION = "mkdicomwebConfig"
CLASSIC = """{staticWadoConfig: {rootDir:'/dicomweb'}, dicomWebServerConfig:{proxyAe:'myProxyAe'},
aeConfig:{myProxyAe:{description:'A proxy AE to use', host:'proxyAe.hospital.com', port:104}}}"""


class Keep(StrEnum):
    COPY = "copy"
    BUNDLE = "bundle"


@dataclass(frozen=True, slots=True)
class Sample:
    jobs: int = 1
    keep_going: bool = True
    title: str = "none"
    ratio: float = 0.5
    frames: Keep = Keep.COPY
    level: Literal["low", "high"] = "low"
    names: tuple[str, ...] = ()
    viewer: Path | None = None
    callback: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ValueError("jobs must be 1 or more")


SAMPLE_KEYS = {"jobs", "keepGoing", "title", "ratio", "frames", "level", "names", "viewer"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, an empty home, and a section whose keys are those of Sample."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr("staticwado.config.keys.OPTION_KEYS", {**OPTION_KEYS, SECTION: SAMPLE_KEYS})
    monkeypatch.setattr("staticwado.config.file.OPTION_KEYS", {**OPTION_KEYS, SECTION: SAMPLE_KEYS})
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def sample(
    text: str | None = None, environ: dict[str, str] | None = None, **flags: object
) -> tuple[Sample, tuple[str, ...]]:
    config_file = None if text is None else write(Path("given.json5"), text)
    return read_options(Sample, SECTION, config_file=config_file, environ=environ or {}, flags=flags)


def failure(text: str | None = None, environ: dict[str, str] | None = None, **flags: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        sample(text, environ, **flags)
    return str(caught.value)


def archive(text: str | None = None, environ: dict[str, str] | None = None, **flags: object) -> Path:
    config_file = None if text is None else write(Path("given.json5"), text)
    options, _ = read_options(
        ArchiveOptions, SECTION, config_file=config_file, environ=environ or {}, flags=flags
    )
    return options.dir


def test_without_any_source_the_defaults_hold() -> None:
    assert sample() == (Sample(), ())


def test_every_type_is_read_from_a_file() -> None:
    text = """{mkdicomwebConfig: {jobs: 4, keepGoing: false, title: 'x', ratio: 2, frames: 'bundle',
    level: 'high',
names: ['a', 'b'], viewer: '/ohif'}}"""
    expected = Sample(4, False, "x", 2.0, Keep.BUNDLE, "high", ("a", "b"), Path("/ohif"))
    assert sample(text) == (expected, ())


def test_every_type_is_read_from_the_environment() -> None:
    environ = {
        "STATICWADO_JOBS": "4",
        "STATICWADO_KEEP_GOING": "no",
        "STATICWADO_TITLE": "5",
        "STATICWADO_RATIO": "2",
        "STATICWADO_FRAMES": "bundle",
        "STATICWADO_LEVEL": "high",
        "STATICWADO_NAMES": "a, b",
        "STATICWADO_VIEWER": "/ohif",
    }
    expected = Sample(4, False, "5", 2.0, Keep.BUNDLE, "high", ("a", "b"), Path("/ohif"))
    assert sample(environ=environ) == (expected, ())


def test_every_type_is_taken_from_flags() -> None:
    flags = {"jobs": 4, "keep_going": False, "frames": "bundle", "names": ("a",), "viewer": Path("/ohif")}
    assert sample(**flags)[0] == Sample(4, False, frames=Keep.BUNDLE, names=("a",), viewer=Path("/ohif"))


def test_flags_win_over_the_environment_and_that_over_the_file() -> None:
    text = "{mkdicomwebConfig: {jobs: 2, title: 'file', level: 'high'}}"
    environ = {"STATICWADO_JOBS": "3", "STATICWADO_TITLE": "environment"}
    assert sample(text, environ, jobs=4)[0] == Sample(jobs=4, title="environment", level="high")


def test_a_flag_that_was_not_given_and_an_empty_variable_change_nothing() -> None:
    assert sample("{mkdicomwebConfig: {jobs: 2}}", {"STATICWADO_JOBS": ""}, jobs=None)[0].jobs == 2


def test_a_section_rests_on_the_base_and_wins_over_it() -> None:
    text = "{staticWadoConfig: {jobs: 2, title: 'base'}, mkdicomwebConfig: {title: 'own'}}"
    assert sample(text)[0] == Sample(jobs=2, title="own")


def test_a_field_that_no_file_can_spell_comes_from_code_alone() -> None:
    def callback() -> None: ...

    assert sample(callback=callback)[0].callback is callback
    assert "unknown key callback" in failure("{mkdicomwebConfig: {callback: 'x'}}")


def test_root_dir_is_what_dir_defaults_to() -> None:
    text = "{staticWadoConfig: {rootDir: '/data'}}"
    assert archive(text) == Path("/data")
    assert archive(text, {"STATICWADO_DIR": "/other"}) == Path("/other")
    assert archive(text, {"STATICWADO_DIR": "/other"}, dir="flag") == Path("flag")
    assert archive("{staticWadoConfig: {rootDir: '/data'}, mkdicomwebConfig: {rootDir: '/own'}}") == Path(
        "/own"
    )


def test_a_missing_archive_is_told_with_all_places_where_it_can_be_given() -> None:
    with pytest.raises(ConfigurationError) as caught:
        archive()
    for place in ("--dir", "STATICWADO_DIR", "rootDir", "staticWadoConfig"):
        assert place in str(caught.value)


def test_paths_of_a_file_are_relative_to_the_file_and_know_home(place: Path) -> None:
    (place / "etc").mkdir()
    file = write(place / "etc" / "conf.json5", "{staticWadoConfig: {rootDir: 'data', viewer: '~/ohif'}}")
    options, _ = read_options(ArchiveOptions, SECTION, config_file=file, environ={}, flags={})
    assert options.dir == place / "etc" / "data"
    other, _ = read_options(Sample, SECTION, config_file=file, environ={}, flags={})
    assert other.viewer == place / "home" / "ohif"


def test_the_file_is_the_given_one_else_the_one_here_else_the_one_at_home(place: Path) -> None:
    write(place / "home" / "static-wado.json5", "{mkdicomwebConfig: {title: 'home'}}")
    assert sample()[0].title == "home"
    write(place / "work" / "static-wado.json5", "{mkdicomwebConfig: {title: 'here'}}")
    assert sample()[0].title == "here"
    variable = write(place / "variable.json5", "{mkdicomwebConfig: {title: 'variable'}}")
    assert sample(environ={"STATICWADO_CONFIG": str(variable)})[0].title == "variable"
    assert (
        sample("{mkdicomwebConfig: {title: 'given'}}", {"STATICWADO_CONFIG": str(variable)})[0].title
        == "given"
    )


def test_the_classic_example_is_accepted_and_says_that_the_proxy_comes_later() -> None:
    assert archive(CLASSIC) == Path("/dicomweb")
    _, warnings = sample(CLASSIC)
    assert len(warnings) == 1
    assert warnings[0].startswith("dicomWebServerConfig.proxyAe in given.json5 comes with a later release")


def test_keys_of_static_dicomweb_are_a_warning() -> None:
    _, warnings = sample(
        "{staticWadoConfig: {pathDeduplicated: 'x'}, dicomWebServerConfig: {stowCommands: []}}"
    )
    assert [warning.split()[0] for warning in warnings] == [
        "staticWadoConfig.pathDeduplicated",
        "dicomWebServerConfig.stowCommands",
    ]
    assert all("given.json5 is a key of Static-DICOMWeb" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{mkdicomwebConfig: {jbos: 2}}", ["jbos", "mkdicomwebConfig", "given.json5", "mean jobs?"]),
        ("{mkdicomwebConfig: {keep_going: true}}", ["keep_going", "mean keepGoing?"]),
        ("{staticWadoConfig: {rootdir: '/x'}}", ["rootdir", "staticWadoConfig", "mean rootDir?"]),
        ("{dicomWebServerConfig: {proxyAE: 'x'}}", ["proxyAE", "mean proxyAe?"]),
        ("{staticwadoConfig: {}}", ["section staticwadoConfig", "mean staticWadoConfig?"]),
        ("{dicomWebScpConfig: {aet: 'x', jobs: 2}}", ["jobs", "dicomWebScpConfig"]),
        ("{qqqqqq: {}}", ["unknown section qqqqqq in given.json5"]),
    ],
)
def test_an_unknown_key_names_file_and_section_and_what_was_meant(text: str, words: list[str]) -> None:
    message = failure(text)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("jobs: '2'", "mkdicomwebConfig.jobs in given.json5 must be a whole number, not '2'"),
        ("jobs: 2.5", "must be a whole number, not 2.5"),
        ("jobs: true", "must be a whole number, not true"),
        ("jobs: null", "must be a whole number, not null"),
        ("jobs: Infinity", "must be a whole number, not inf"),
        ("keepGoing: 1", "must be true or false, not 1"),
        ("keepGoing: 'yes'", "must be true or false, not 'yes'"),
        ("title: 5", "must be text, not 5"),
        ("ratio: true", "must be a number, not true"),
        ("frames: 'link'", "must be one of copy, bundle, not 'link'"),
        ("level: {}", "must be one of low, high, not an object"),
        ("names: 'a'", "must be a list, not 'a'"),
        ("names: ['a', 2]", "an entry of mkdicomwebConfig.names in given.json5 must be text, not 2"),
        ("viewer: ''", "must be a path, not ''"),
        ("jobs: 0", "jobs must be 1 or more"),
    ],
)
def test_a_value_of_the_wrong_type_names_the_key(value: str, words: str) -> None:
    assert words in failure(f"{{mkdicomwebConfig: {{{value}}}}}")


def test_null_is_a_value_where_none_is_allowed() -> None:
    assert sample("{mkdicomwebConfig: {viewer: null}}")[0].viewer is None


def test_a_wrong_variable_and_a_wrong_flag_are_named() -> None:
    assert (
        failure(environ={"STATICWADO_JOBS": "many"}) == "STATICWADO_JOBS must be a whole number, not 'many'"
    )
    assert failure(keep_going="x") == "--keep-going must be true or false, not 'x'"


def test_a_variable_that_nobody_reads_is_a_warning() -> None:
    _, warnings = sample(environ={"STATICWADO_JBOS": "1", "STATICWADO_DEBUG": "1", "OTHER": "1"})
    assert warnings == (
        "the environment variable STATICWADO_JBOS is not one of ours; did you mean STATICWADO_JOBS?",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{a", "is no JSON5"),
        ("[]", "must hold an object with sections, not a list"),
        ("{mkdicomwebConfig: 5}", "mkdicomwebConfig in given.json5 must be an object, not 5"),
        ("{mkdicomwebConfig: {jobs: 1, jobs: 2}}", "is no JSON5"),
        ("[" * 100_000, "given.json5"),
        ("//" + "x" * (1 << 20), "larger than"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(text: str, words: str) -> None:
    assert words in failure(text)


def test_a_file_that_is_named_must_be_there(place: Path) -> None:
    for missing in (place / "none.json5", place):
        with pytest.raises(ConfigurationError, match="could not be read"):
            read_options(Sample, SECTION, config_file=missing, environ={}, flags={})


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("X: {host: 'h'}", "aeConfig.X in given.json5 lacks port"),
        ("X: {port: 104}", "lacks host"),
        ("X: 5", "must be an object with host and port, not 5"),
        ("X: {host: 'h', port: '104'}", "aeConfig.X.port in given.json5 must be a whole number"),
        ("X: {host: 'h', port: 0}", "must be 1 to 65535"),
        ("X: {host: 'h', prot: 104}", "unknown key prot in aeConfig.X in given.json5; did you mean port?"),
        ("'seventeen letters': {host: 'h', port: 104}", "is no AE title"),
        ("'a\\\\\\\\b': {host: 'h', port: 104}", "is no AE title"),
    ],
)
def test_an_application_entity_that_cannot_be_is_refused(entry: str, words: str) -> None:
    assert words in failure(f"{{aeConfig: {{{entry}}}}}")


NAMES = st.from_regex(r"[a-z]{2,8}(_[a-z]{2,8}){0,3}", fullmatch=True).filter(lambda name: name != "root_dir")


@given(NAMES)
def test_a_key_spells_one_option_and_back(name: str) -> None:
    assert name_of(key_of(name)) == name
    assert variable_of(name) == f"STATICWADO_{name.upper()}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=200) | st.text(alphabet="{}[]:,'\"/* \nabc0-.", max_size=60).map(str.encode))
def test_no_file_whatever_is_in_it_ends_otherwise_than_with_our_error(place: Path, data: bytes) -> None:
    file = place / "any.json5"
    file.write_bytes(data)
    with contextlib.suppress(ConfigurationError):
        read_options(Sample, SECTION, config_file=file, environ={}, flags={})
