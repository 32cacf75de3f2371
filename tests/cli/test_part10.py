"""`mkdicomweb part10`: what it gives back, what it says, and its exit codes."""

import zipfile
from pathlib import Path

import pytest

from staticwado.cli.common import run
from staticwado.cli.mkdicomweb import mkdicomweb
from staticwado.cli.part10 import resource_of
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import BadRequest
from tests import factories
from tests.ingest.conftest import study
from tests.ingest.test_rebuild import damage

STUDY = factories.uid("study", 0)

pytestmark = pytest.mark.usefixtures("no_configuration")


def part10(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        run(mkdicomweb, "mkdicomweb", ["part10", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, out, err


def below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_study_comes_back_into_a_folder(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = part10(capsys, STUDY, "--dir", root, "--out", "out")
    assert (code, out, err) == (0, "6 given back (6 new, 0 unchanged), 0 failed\n", "")
    assert below(Path("out")) == study()
    code, out, _ = part10(capsys, STUDY, "--dir", root, "--out", "out")
    assert (code, out) == (0, "6 given back (0 new, 6 unchanged), 0 failed\n")


def test_a_study_comes_back_into_a_zip(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert part10(capsys, STUDY, "--dir", root, "--out", "out.ZIP")[0] == 0
    with zipfile.ZipFile("out.ZIP") as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == study()
    code, out, _ = part10(capsys, STUDY, "--dir", root, "--out", "out.ZIP")
    assert (code, out) == (0, "6 given back (0 new, 6 unchanged), 0 failed\n")


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("long", [False, True])
def test_a_series_and_an_instance_can_be_named_in_two_ways(
    root: Path, capsys: pytest.CaptureFixture[str], levels: int, long: bool
) -> None:
    name = min(study())
    uids = name.removesuffix(".dcm").split("/")[:levels]
    words = [word for pair in zip(["studies", "series", "instances"], uids, strict=False) for word in pair]
    what = "/".join(words if long else uids)
    assert part10(capsys, what, "--dir", root, "--out", "out")[0] == 0
    wanted = {one: data for one, data in study().items() if one.startswith("/".join(uids))}
    assert below(Path("out")) == wanted
    assert len(wanted) == (3 if levels == 2 else 1)


def test_what_fails_is_said_and_counted(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = sorted(root.rglob("frames/1.mht"))
    damage(frames[0])
    code, out, err = part10(capsys, STUDY, "--dir", root, "--out", "out")
    assert (code, out) == (1, "5 given back (5 new, 0 unchanged), 1 failed\n")
    assert err.startswith(f"failed: {STUDY}/")
    assert "its hash is another" in err
    code, out, err = part10(capsys, STUDY, "--dir", root, "--out", "out.zip")
    assert (code, out) == (1, "5 given back (5 new, 0 unchanged), 1 failed\n")
    for frame in frames[1:]:
        damage(frame)
    assert part10(capsys, STUDY, "--dir", root, "--out", "none")[0] == 3
    assert part10(capsys, STUDY, "--dir", root, "--out", "none.zip")[0] == 3
    assert not Path("none.zip").exists()


def test_another_file_in_its_place_is_a_failure(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out.zip").write_bytes(b"mine")
    code, _, err = part10(capsys, STUDY, "--dir", root, "--out", "out.zip")
    assert code == 3
    assert "other content" in err
    assert Path("out.zip").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["9.9", "--out", "out"], 4, "no study 9.9"),
        ([f"{STUDY}/9.9", "--out", "out"], 4, "series 9.9"),
        (["nonsense", "--out", "out"], 2, "not a UID"),
        (["../x", "--out", "out"], 2, "not a UID"),
        (["1/2/3/4", "--out", "out"], 2, "more parts"),
        (["studies", "--out", "out"], 2, "names no study"),
        (["studies/1.2/metadata", "--out", "out"], 2, "names no study"),
        ([STUDY], 2, "--out"),
        ([STUDY, "--out", "in/0"], 2, "is a file"),
        ([STUDY, "--out", "folder.zip"], 2, "is a folder"),
    ],
)
def test_what_makes_no_sense_is_said(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    Path("folder.zip").mkdir()
    found, out, err = part10(capsys, *arguments, "--dir", root)
    assert (found, out) == (code, "")
    assert words in err
    assert not Path("out").exists()


def test_a_place_that_cannot_be_written_to_is_an_error(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = part10(capsys, STUDY, "--dir", root, "--out", "in/0/out")
    assert code == 1
    assert "Not a directory" in err


@pytest.mark.parametrize("text", ["1.2/3.4/5.6", "/1.2/3.4/5.6/", "studies/1.2/series/3.4/instances/5.6"])
def test_names_mean_the_same(text: str) -> None:
    assert resource_of(text) == Resource(View.PART10, "1.2", "3.4", "5.6")


@pytest.mark.parametrize(
    "text", ["", "/", "1.2//3", "studies/1.2/series", "studies/1.2/instances/3", "1.2/x"]
)
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        resource_of(text)
