"""Requests to store, and what to look at after them."""

from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pydicom

from tests import factories
from tests.web.conftest import Client, Reply

JSON, XML = "application/dicom+json", "application/dicom+xml"
PIXELS = bytes(range(12))
FAILED, STORED, OTHERS = "00081198", "00081199", "0008119A"
DICOM = "application/dicom"


def multipart(*parts: bytes | tuple[str, bytes], part_type: str = DICOM) -> bytes:
    """A body with the boundary EOF; a part is bytes, or its header's lines and bytes."""
    made = b""
    for part in parts:
        header, data = part if isinstance(part, tuple) else (f"Content-Type: {part_type}", part)
        made += b"--EOF\r\n" + header.encode() + b"\r\n\r\n" + data + b"\r\n"
    return made + b"--EOF--\r\n"


def post(client: Client, body: bytes, path: str = "studies", of: str = DICOM, **headers: str) -> Reply:
    sent = {"Content_Type": f'multipart/related; type="{of}"; boundary=EOF', **headers}
    return client.ask(f"/dicomweb/{path}", "POST", body, **sent)


def uids(data: bytes) -> tuple[str, str, str]:
    found = pydicom.dcmread(BytesIO(data), stop_before_pixels=True)
    return str(found.StudyInstanceUID), str(found.SeriesInstanceUID), str(found.SOPInstanceUID)


def place(data: bytes) -> str:
    study, series, instance = uids(data)
    return f"studies/{study}/series/{series}/instances/{instance}"


def reasons(reply: Reply, sequence: str) -> list[int]:
    return [item["00081197"]["Value"][0] for item in reply.json[sequence]["Value"]]


def is_empty(root: Path) -> bool:
    return not list(root.glob("studies/*/series/*/instances/*/metadata.gz"))


def leftovers(root: Path) -> list[str]:
    """What is left of bodies."""
    return [path.name for path in (root / ".staticwado" / "staging").glob("*/*")]


def dataset(seed: object = 0, **members: Any) -> dict[str, Any]:
    """A small image; Pixel Data are behind `pixels`."""
    study, series, instance = (factories.uid(name, seed) for name in ("study", "series", "instance"))
    numbers = {
        "00280002": 1,
        "00280010": 3,
        "00280011": 4,
        "00280100": 8,
        "00280101": 8,
        "00280102": 7,
        "00280103": 0,
    }
    made: dict[str, Any] = {
        "00080016": {"vr": "UI", "Value": [factories.SECONDARY_CAPTURE]},
        "00080018": {"vr": "UI", "Value": [instance]},
        "00080060": {"vr": "CS", "Value": ["OT"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jürgen"}]},
        "0020000D": {"vr": "UI", "Value": [study]},
        "0020000E": {"vr": "UI", "Value": [series]},
        "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]},
        **{tag: {"vr": "US", "Value": [number]} for tag, number in numbers.items()},
        "7FE00010": {"vr": "OB", "BulkDataURI": "pixels"},
        **members,
    }
    return dict(sorted(made.items()))


def bare(made: dict[str, Any]) -> dict[str, Any]:
    """`made` without the Image Pixel module."""
    return {tag: element for tag, element in made.items() if not tag.startswith("0028")}


def with_bulkdata(metadata: bytes, *bulkdata: tuple[str, str, bytes | bytearray], of: str = JSON) -> bytes:
    """A body of metadata and (location, media type, bytes)."""
    parts = [(f"Content-Type: {of}", metadata)]
    for location, media_type, data in bulkdata:
        parts.append((f"Content-Type: {media_type}\r\nContent-Location: {location}", bytes(data)))
    return multipart(*parts)


def send(client: Client, made: dict[str, Any], *bulkdata: tuple[str, str, bytes | bytearray]) -> Reply:
    return post(client, with_bulkdata(orjson.dumps([made]), *bulkdata), of=JSON)


def stored(client: Client, made: dict[str, Any]) -> pydicom.Dataset:
    """The file that the archive gives back for a data set."""
    study, series, instance = (made[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    path = f"studies/{study}/series/{series}/instances/{instance}"
    reply = client.get(path, Accept="application/dicom; transfer-syntax=*")
    assert reply.status == 200
    return pydicom.dcmread(BytesIO(reply.body))
