"""The compact form of a study's metadata beside the standard form: bytes, and milliseconds to parse in Node.

    python benchmarks/compact.py ARCHIVE [STUDY ...]

Checks that the compact form expands exactly to the metadata of the instances.
"""

import gzip
import json
import subprocess
import sys
from pathlib import Path

from staticwado.ingest.summarise import expand_compact

_PARSE = """
const text = require('fs').readFileSync(process.argv[1]);
const times = [];
for (let i = 0; i < 15; i++) { const s = text.toString(); const t = process.hrtime.bigint(); JSON.parse(s);
  times.push(Number(process.hrtime.bigint() - t) / 1e6); }
times.sort((a, b) => a - b); console.log(times[7]);
"""


def parse_in_node(data: bytes, scratch: Path) -> float:
    scratch.write_bytes(data)
    ended = subprocess.run(["node", "-e", _PARSE, str(scratch)], capture_output=True, text=True, check=True)
    return float(ended.stdout)


def instances(study: Path) -> list[object]:
    """The metadata of every instance, read one by one, by SOP Instance UID."""
    paths = study.glob("series/*/instances/*/metadata.gz")
    found = [json.loads(gzip.decompress(path.read_bytes()))[0] for path in paths]
    return sorted(found, key=lambda one: one["00080018"]["Value"][0])


def main() -> None:
    archive = Path(sys.argv[1])
    studies = sys.argv[2:] or sorted(path.name for path in (archive / "studies").iterdir() if path.is_dir())
    scratch = archive / ".staticwado" / "benchmark.json"
    titles = (
        "study|instances|standard|gz|compact|gz|compact gz to standard|compact to standard|parse ms|compact"
    )
    print(f"| {titles.replace('|', ' | ')} |")
    print("| --- " * 10 + "|")
    for uid in studies:
        study = archive / "studies" / uid
        standard_gz = (study / "metadata.gz").read_bytes()
        compact_gz = (study / "deduplicated" / "index.json.gz").read_bytes()
        standard, compact = gzip.decompress(standard_gz), gzip.decompress(compact_gz)
        rows = sorted(expand_compact(json.loads(compact)), key=lambda one: one["00080018"]["Value"][0])
        exact = rows == instances(study)
        print(
            f"| {uid[-20:]} | {len(rows)} | {len(standard):,} | {len(standard_gz):,} | {len(compact):,} | "
            f"{len(compact_gz):,} | 1/{len(standard) / len(compact_gz):.0f} | "
            f"1/{len(standard) / len(compact):.1f} | "
            f"{parse_in_node(standard, scratch):.2f} | {parse_in_node(compact, scratch):.2f} |"
            + ("" if exact else " NOT EXACT")
        )
    scratch.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
