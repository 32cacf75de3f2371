"""What the server can be told, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest

from staticwado.web.options import ServerOptions

HERE = Path()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"server_path": "dicomweb"}, "server-path"),
        ({"server_path": "/a//b"}, "server-path"),
        ({"server_path": "/a/../b"}, "server-path"),
        ({"client_path": '/a"b'}, "client-path"),
        ({"client_path": "/a b"}, "client-path"),
        ({"port": 65536}, "port"),
        ({"port": -1}, "port"),
        ({"workers": 0}, "workers"),
        ({"decoders": 0}, "decoders"),
        ({"decode_timeout": 0.0}, "decode-timeout"),
        ({"decode_timeout": float("nan")}, "decode-timeout"),
        ({"result_cache_size": -1}, "result-cache-size"),
        ({"cache_size": -1}, "cache-size"),
        ({"tls_cert": HERE}, "tls-key"),
        ({"public_url": "hospital.example"}, "public-url"),
        ({"public_url": "ftp://hospital.example/"}, "public-url"),
        ({"public_url": "https://hospital.example/?a=b"}, "public-url"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        ServerOptions(dir=HERE, **options)


@pytest.mark.parametrize(("path", "prefix"), [("/", ""), ("/dicomweb", "/dicomweb"), ("/a/b/", "/a/b")])
def test_a_prefix_has_no_slash_at_its_end(path: str, prefix: str) -> None:
    assert ServerOptions(dir=HERE, server_path=path).server_prefix == prefix


def test_a_public_url_has_the_path_that_a_proxy_takes_away() -> None:
    assert ServerOptions(dir=HERE, public_url="https://h.example/a/b/").public_prefix == "/a/b"
    assert ServerOptions(dir=HERE, public_url="https://h.example").public_prefix == ""


def test_results_are_kept_beside_the_archive_unless_another_folder_is_named() -> None:
    assert ServerOptions(dir=Path("a")).results_folder == Path("a/.staticwado/cache")
    assert ServerOptions(dir=Path("a"), state=Path("/s")).results_folder == Path("/s/cache")
