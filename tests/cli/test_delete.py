"""`mkdicomweb delete`, `trash` and `restore`: what they say, and their exit codes."""

from pathlib import Path

import pytest

from staticwado.cli.common import run
from staticwado.cli.mkdicomweb import mkdicomweb
from tests import factories
from tests.ingest.conftest import content

STUDY, SERIES = factories.uid("study", 0), factories.uid("series", 0, 1)


Output = tuple[int, str, str]

pytestmark = pytest.mark.usefixtures("no_configuration")


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Output:
    with pytest.raises(SystemExit) as caught:
        run(mkdicomweb, "mkdicomweb", [str(one) for one in arguments])
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, out, err


def test_what_is_deleted_is_listed_and_comes_back(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(root)
    code, out, err = told(capsys, "delete", f"{STUDY}/{SERIES}", "--dir", root)
    assert (code, err) == (0, "")
    assert out.startswith("3 deleted; mkdicomweb restore ")
    identity = out.split()[4]
    assert not (root / "studies" / STUDY / "series" / SERIES).exists()
    code, out, _ = told(capsys, "trash", "--dir", root)
    assert code == 0
    assert out.startswith(f"{identity}  deleted ")
    assert out.endswith(f"3 of {STUDY}/{SERIES}\n1 in the trash\n")
    assert told(capsys, "restore", identity, "--dir", root) == (0, "3 back\n", "")
    assert content(root) == before
    assert told(capsys, "trash", "--dir", root)[0] == 4


def test_what_is_not_there_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = told(capsys, "delete", "1.2.3", "--dir", root)
    assert (code, "holds no study 1.2.3" in err) == (4, True)
    assert told(capsys, "delete", STUDY, "--dir", root)[0] == 0
    code, _, err = told(capsys, "delete", STUDY, "--dir", root)
    assert (code, "has been deleted" in err) == (4, True)
    assert told(capsys, "restore", "nothing", "--dir", root)[0] == 4
    assert told(capsys, "delete", "no/uid/at/all", "--dir", root)[0] == 2
    assert told(capsys, "delete", STUDY, "--dir", "elsewhere")[0] == 2


def test_the_trash_is_emptied_when_told_to(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "delete", STUDY, "--dir", root)
    assert told(capsys, "trash", "--older-than", "1", "--dir", root)[0] == 2
    assert told(capsys, "trash", "--empty", "--older-than", "1", "--dir", root)[0] == 4
    code, out, _ = told(capsys, "trash", "--empty", "--dir", root)
    assert (code, out.splitlines()[-1]) == (0, "1 removed for good")
    assert told(capsys, "trash", "--empty", "--dir", root)[0] == 4


def test_create_empties_the_trash_of_what_is_old(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "delete", f"{STUDY}/{SERIES}", "--dir", root)
    told(capsys, "create", tmp_path / "in", "--dir", root)
    assert len(list((root / ".staticwado" / "trash").iterdir())) == 1
    Path("static-wado.json5").write_text("{mkdicomwebConfig: {trashRetention: 0}}")
    told(capsys, "create", tmp_path / "in", "--dir", root)
    assert list((root / ".staticwado" / "trash").iterdir()) == []
