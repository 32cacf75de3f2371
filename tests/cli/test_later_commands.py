"""The commands whose work comes later: they check what they are given, and claim nothing."""

from pathlib import Path

import click
import pytest

from staticwado.cli.common import run
from staticwado.cli.deploydicomweb import deploydicomweb
from staticwado.cli.dicomwebscp import dicomwebscp

pytestmark = pytest.mark.usefixtures("no_configuration")


def said(
    command: click.Command, capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        run(command, "program", [str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert out == ""
    assert isinstance(caught.value.code, int)
    return caught.value.code, err


def test_the_scp_says_that_it_cannot_serve_yet(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, err = said(dicomwebscp, capsys, "--dir", tmp_path, "--aet", "MINE", "--port", "11113")
    assert code == 2
    assert "no DIMSE service yet" in err
    assert "MINE on port 11113" in err


@pytest.mark.parametrize("verb", ["plan", "upload", "check"])
def test_deploy_says_that_it_cannot_publish_yet(
    verb: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, err = said(deploydicomweb, capsys, verb, "s3://bucket/prefix", "--dir", tmp_path)
    assert code == 2
    assert "cannot publish yet" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "70000 is no port"),
        (["--port", "x"], "'x' is not a valid integer"),
        (["--aet", "A NAME THAT IS TOO LONG"], "is no AE title"),
        (["--aet", ""], "is no AE title"),
    ],
)
def test_the_scp_refuses_what_it_could_never_use(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, err = said(dicomwebscp, capsys, "--dir", tmp_path, *arguments)
    assert code == 2
    assert words in err


@pytest.mark.parametrize("target", ["bucket/prefix", "s3://", "s3://B/p", "s3://b", "http://bucket"])
def test_deploy_refuses_what_is_no_bucket(
    target: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, err = said(deploydicomweb, capsys, "plan", target, "--dir", tmp_path)
    assert code == 2
    assert "is no s3://BUCKET/PREFIX" in err


def test_deploy_refuses_an_endpoint_that_is_no_url(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, err = said(
        deploydicomweb, capsys, "plan", "s3://bucket", "--dir", tmp_path, "--endpoint-url", "minio:9000"
    )
    assert code == 2
    assert "is no http or https URL" in err


def test_the_archive_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert "give --dir" in said(dicomwebscp, capsys)[1]
    assert "give --dir" in said(deploydicomweb, capsys, "plan", "s3://bucket")[1]


def test_options_come_from_the_configuration(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "static-wado.json5").write_text(
        "{staticWadoConfig: {rootDir: 'data'}, dicomWebScpConfig: {aet: 'CONFIGURED'}}"
    )
    assert "CONFIGURED on port 11112 for data" in said(dicomwebscp, capsys)[1]
