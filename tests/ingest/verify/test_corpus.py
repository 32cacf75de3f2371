"""Archives of all real files are whole, before and after `index`, and looking at them changes nothing."""

from pathlib import Path

import pytest

from staticwado.archive import Archive
from staticwado.ingest.pipeline import CreateOptions, create
from staticwado.ingest.settle import index
from staticwado.ingest.verify import Match, VerifyOptions, verify
from tests.ingest.verify.conftest import digest, told


@pytest.mark.parametrize("kind", ["files", "same-uid-variants", "malformed"])
def test_an_archive_of_real_files_is_whole(testdata: Path, tmp_path: Path, kind: str) -> None:
    given = testdata / kind
    if not given.is_dir():
        pytest.skip(f"there are no {kind}")
    root = tmp_path / "archive"
    archive = Archive(str(root), create=True)
    report = create(archive, [str(given)], CreateOptions(jobs=1))
    kept = {(one.study, one.series, one.instance) for one in report.outcomes if one.ok}
    before = digest(root)
    found = verify(str(root), VerifyOptions(1, (str(given),)))
    assert not found.findings.faults, told(found)
    assert found.findings.counts.instances == len(kept)
    assert found.compared is not None
    equal = {one.source for one in found.compared if one.match is Match.EQUAL}
    assert equal == {one.source for one in report.outcomes if one.ok}
    assert digest(root) == before
    index(archive)
    found = verify(str(root), VerifyOptions(1))
    assert not found.findings.faults, told(found)
