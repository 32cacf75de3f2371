"""Bodies of hostile store requests: what they are made of lies, is cut short, or asks for too much.

One rule: the same random state and the same seeds give the same body, on every machine.
"""

import gzip
import json
import re
import zlib
from functools import partial
from random import Random

from tests.fuzzing.bombs import bomb
from tests.fuzzing.mutations import find_spots, mutate
from tests.hostile.wire import Hostile, Seeds, post, target

_UID = re.compile(rb"(2\.25\.\d+)\d{8}(?!\d)")

ODD_HEADS = (
    "content-type:application/dicom", "Content-Type: application/dicom; transfer-syntax=1.2.3", "nonsense",
    "",
    "Content-Type: text/plain", "Content-Type: application/dicom\r\nContent-Length: 5", "X: " + "y" * 20_000,
    "X: y\r\n" * 500, "Content-Type: application/dicom\r\nContent-Location: ../../../etc/passwd",
    "Content-Transfer-Encoding: base64", "Content-Encoding: gzip",
)  # fmt: skip


def file_of(random: Random, seeds: Seeds) -> bytes:
    data = random.choice(seeds.files)
    if random.random() < 0.7:
        # Another study, series and instance: it is in no conflict with what is there.
        new = b"%08d" % random.randrange(10**8)
        data = _UID.sub(lambda found: found[1] + new, data)
    match random.randrange(6):
        case 0 | 1:
            return mutate(random, data, find_spots(data), random.choice(seeds.files))
        case 2:
            return bomb(random)
        case 3:
            return random.randbytes(random.choice((0, 1, 131, 132, 1000)))
    return data


def squeeze(data: bytes, level: int = 9) -> bytes:
    """A gzip stream without a time, which would make each run another."""
    return gzip.compress(data, level, mtime=0)


def parts(random: Random, seeds: Seeds) -> Hostile:
    odd = ("x", "b" * 70, "b" * 200, "a b", "--", "", "=_?:(),./'+")
    boundary = "EOF" if random.random() < 0.7 else random.choice(odd)
    inside = random.choice((*[boundary] * 12, "other", boundary + "x"))
    pieces = []
    for _ in range(random.choice((0, 1, 1, 2, 3, 12))):
        head = "Content-Type: application/dicom"
        if random.random() < 0.3:
            head = random.choice(ODD_HEADS)
        end = random.choice((b"\r\n",) * 12 + (b"\n", b""))
        pieces.append(
            b"--" + inside.encode() + b"\r\n" + head.encode() + b"\r\n\r\n" + file_of(random, seeds) + end
        )
    body = random.choice((b"", b"", b"\r\n", b"preamble\r\n", random.randbytes(50))) + b"".join(pieces)
    body += random.choice((b"--" + inside.encode() + b"--\r\n",) * 12 + (b"", b"--", b"--" + inside.encode()))
    if random.random() < 0.1:
        body = body[: random.randrange(len(body) + 1)]
    kind = random.choice(("application/dicom",) * 16 + ("application/dicom+json", "text/xml", '"', "../x"))
    declared = random.choice(
        (f'multipart/related; type="{kind}"; boundary="{boundary}"',) * 12
        + (
            f"multipart/related; type={kind}; boundary={boundary}",
            "multipart/related",
            "multipart/mixed; boundary=x",
        )
    )
    return Hostile("parts", post(target(random, seeds), declared, body))


def bare(random: Random, seeds: Seeds) -> Hostile:
    kind = random.choice(
        ("application/dicom", "application/dicom", "application/octet-stream", "", "text/html", "\xff")
    )
    return Hostile("bare", post(target(random, seeds), kind, file_of(random, seeds)))


def as_json(random: Random, seeds: Seeds) -> Hostile:
    uri = random.choice(
        (
            "file:///etc/passwd",
            "http://127.0.0.1:1/x",
            "../../../staticwado.json",
            "http://[::1",
            "x" * 5000,
            "cid:1",
        )
    )
    data: object = [
        {
            "00080016": {"vr": "UI", "Value": [random.choice(("1.2.840.10008.5.1.4.1.1.2", "../x", 5))]},
            "00080018": {"vr": "UI", "Value": [random.choice((f"1.9.{random.randrange(99)}", "..", "",
            None, {}))]},
            "0020000D": {"vr": "UI", "Value": [random.choice(("1.9", "1.2.3", "../../x", "1" * 65))]},
            "0020000E": {"vr": "UI", "Value": ["1.9.1"]},
            "00100010": {"vr": random.choice(("PN", "XX", 5, None)), "Value": [{"Alphabetic": "A" * 100}]},
            "7FE00010": {"vr": "OW", "BulkDataURI": uri},
            "00091001": {"vr": "OB", "InlineBinary": random.choice(("AAAA", "=", "!" * 100, 5))},
            random.choice(("00280010", "x", "", "GGGGGGGG", "00280010 ")): {
                "vr": "US", "Value": [random.choice((-1, 1e300, 65536, "5", None, [], True))]
            },
        }
    ]  # fmt: skip
    body = json.dumps(data).encode()
    match random.randrange(8):
        case 0:
            body = b"[" * random.choice((100, 5000, 200_000))
        case 1:
            depth = random.choice((50, 500, 5000))
            body = b'[{"00081140":{"vr":"SQ","Value":[' + b'{"00081140":{"vr":"SQ","Value":[' * depth
            body += b"]}}" * depth + b"]}}]"
        case 2:
            body = body[: random.randrange(len(body))]
        case 3:
            body = b'[{"00280010":{"vr":"US","Value":[' + b"9" * 50_000 + b"]}}]"
        case 4:
            body = random.choice((b"", b"null", b"{}", b"[null]", b"[[]]", b'"x"', b"\xff\xfe[\0", b"NaN"))
    if random.random() < 0.4:
        return Hostile("json", post(target(random, seeds), "application/dicom+json", body))
    multipart = b"--x\r\nContent-Type: application/dicom+json\r\n\r\n" + body + b"\r\n--x\r\nContent-Type: "
    multipart += (
        b"application/octet-stream\r\nContent-Location: " + uri.encode() + b"\r\n\r\n1234\r\n--x--\r\n"
    )
    declared = 'multipart/related; type="application/dicom+json"; boundary=x'
    return Hostile("json", post(target(random, seeds), declared, multipart))


def as_xml(random: Random, seeds: Seeds) -> Hostile:
    entities = b"".join(b'<!ENTITY e%d "%b">' % (n + 1, b"&e%d;" % n * 10) for n in range(8))
    body = random.choice(
        (
            b'<!DOCTYPE x [<!ENTITY e0 "x">' + entities + b"]><NativeDicomModel>&e8;</NativeDicomModel>",
            b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><NativeDicomModel/>',
            b'<!DOCTYPE x [<!ENTITY y SYSTEM "http://127.0.0.1:1/">]><NativeDicomModel>&y;</NativeDicomModel>',
            b"<a>" * random.choice((100, 5000, 100_000)),
            b"<NativeDicomModel>" + b'<DicomAttribute tag="00081140" vr="SQ"><Item number="1">' * 2000,
            b'<NativeDicomModel><DicomAttribute tag="7FE00010" vr="OW"><BulkData uri="file:///etc/passwd"/>'
            b"</DicomAttribute></NativeDicomModel>",
            b'<NativeDicomModel xml:space="preserve"><DicomAttribute tag="x" vr="PN"/></NativeDicomModel>',
            b"\xff\xfe<\0x\0", b"", b"<", b"<?xml version='1.0' encoding='utf-7'?><x/>",
            random.randbytes(200),
        )
    )  # fmt: skip
    multipart = b"--x\r\nContent-Type: application/dicom+xml\r\n\r\n" + body + b"\r\n--x--\r\n"
    declared = 'multipart/related; type="application/dicom+xml"; boundary=x'
    return Hostile("xml", post(target(random, seeds), declared, multipart))


def packed(random: Random, seeds: Seeds) -> Hostile:
    """A body in gzip that is a bomb, or no gzip."""
    inside = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + file_of(random, seeds) + b"\r\n--x--\r\n"
    body = random.choice(
        (
            partial(squeeze, inside), partial(squeeze, b"\0" * 30_000_000, 1),
            partial(squeeze, squeeze(b"\0" * 5_000_000)), partial(zlib.compress, inside),
            lambda: squeeze(inside)[:-9], lambda: b"\x1f\x8b" + inside, lambda: b"",
            lambda: squeeze(b"") * 2000,
        )
    )()  # fmt: skip
    encoding = random.choice(("gzip", "gzip", "gzip", "x-gzip", "deflate", "br", "gzip, gzip", "nonsense"))
    declared = 'multipart/related; type="application/dicom"; boundary=x'
    return Hostile("packed", post("studies", declared, body, [("Content-Encoding", encoding)]))


def chunks(random: Random, seeds: Seeds) -> Hostile:
    data = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + file_of(random, seeds) + b"\r\n--x--\r\n"
    pieces = []
    while data:
        size = random.choice((1, 5, 1000, 100_000))
        said = random.choice(
            (b"%x",) * 12 + (b"%X", b"0%x", b"%x;name=value", b"-%x", b"%x ", b"0x%x", b"fffffffff%x")
        )
        pieces.append(said % len(data[:size]) + b"\r\n" + data[:size] + b"\r\n")
        data = data[size:]
        if len(pieces) > 200:
            break
    body = b"".join(pieces) + random.choice(
        (b"0\r\n\r\n",) * 5 + (b"", b"0\r\n", b"0\r\nX: y\r\n\r\n", b"0\r\nX\r\n\r\n")
    )
    declared = 'multipart/related; type="application/dicom"; boundary=x'
    raw = post("studies", declared, body, [("Transfer-Encoding", "chunked")])
    return Hostile("chunks", raw)
