"""Data sets nested deeper than any recursive reader can follow go in like any other."""

import gzip
from pathlib import Path

from tests.factories import element, instance, nested
from tests.ingest.conftest import Convert, outcomes

DEPTHS = (100, 3_000, 6_000)


def test_deeply_nested_data_sets_go_in_and_the_compact_form_holds_them(
    convert: Convert, tmp_path: Path, root: Path
) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for number, depth in enumerate(DEPTHS):
        raw = nested(depth, undefined=number != 1, inner=[element("PatientID", "deep")])
        (inputs / f"{number}.dcm").write_bytes(instance(seed=number, raw=raw))
    assert outcomes(convert(inputs)) == ["new"] * len(DEPTHS)
    for place in ("metadata.gz", "deduplicated/index.json.gz"):
        texts = [gzip.decompress(path.read_bytes()) for path in root.glob(f"studies/*/{place}")]
        assert len(texts) == 1
        assert texts[0].count(b'"SQ"') == sum(DEPTHS)
