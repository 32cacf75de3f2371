"""The tables of keys against the options that exist."""

import importlib

import pytest

from staticwado.config import ArchiveOptions
from staticwado.config.keys import (
    BASE,
    LATER_KEYS,
    OPTION_KEYS,
    PREDECESSOR_KEYS,
    hint,
    key_of,
    name_of,
    variables,
)
from staticwado.config.reader import options_of

OPTION_CLASSES = {
    BASE: ("staticwado.config", "ArchiveOptions"),
    "mkdicomwebConfig": ("staticwado.ingest.pipeline", "CreateOptions"),
    "dicomWebServerConfig": ("staticwado.web.options", "ServerOptions"),
    "dicomWebScpConfig": ("staticwado.cli.dicomwebscp", "ScpOptions"),
    "deployConfig": ("staticwado.cli.deploydicomweb", "DeployOptions"),
}


def test_every_section_has_its_options() -> None:
    assert OPTION_CLASSES.keys() == OPTION_KEYS.keys() == PREDECESSOR_KEYS.keys()


@pytest.mark.parametrize("section", OPTION_CLASSES)
def test_the_keys_of_a_section_are_those_of_its_options(section: str) -> None:
    module, name = OPTION_CLASSES[section]
    options = options_of(getattr(importlib.import_module(module), name))
    shared = {option.name for option in options_of(ArchiveOptions)} if section != BASE else set()
    assert {key_of(option.name) for option in options if option.name not in shared} == OPTION_KEYS[section]


@pytest.mark.parametrize("section", OPTION_KEYS)
def test_a_key_is_either_ours_or_later_or_of_the_predecessor(section: str) -> None:
    known, later, foreign = (
        table.get(section, frozenset()) for table in (OPTION_KEYS, LATER_KEYS, PREDECESSOR_KEYS)
    )
    assert not known & later
    assert not known & foreign
    assert not later & foreign


def test_every_key_has_its_variable() -> None:
    assert {"STATICWADO_DIR", "STATICWADO_PORT", "STATICWADO_CONFIG", "STATICWADO_DEBUG"} <= variables()
    for keys in OPTION_KEYS.values():
        for key in keys:
            assert key_of(name_of(key)) == key


def test_a_hint_sees_through_case_and_underscores_and_is_silent_where_nothing_is_near() -> None:
    assert hint("server_path", ["serverPath", "port"]) == "; did you mean serverPath?"
    assert hint("PROXYAE", ["proxyAe"]) == "; did you mean proxyAe?"
    assert hint("zzz", ["proxyAe"]) == ""
