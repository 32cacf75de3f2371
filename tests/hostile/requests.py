"""Requests of hostile clients: HTTP that is bent, paths and queries that lie, headers that mean nothing.

One rule: the same random state and the same seeds give the same request, on every machine.
"""

from random import Random

from tests.hostile.bodies import as_json, as_xml, bare, chunks, packed, parts
from tests.hostile.wire import SERVICE, Hostile, Seeds, request

STRANGE = (
    "..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "....//", "%00", "%ff%fe", "\u202e", "%c0%ae", "a" * 3000,
    "", "~",
    "1..2", "1.2.3%0d%0aX: y", "%25%32%65", "${jndi:ldap://x}", "{{7*7}}", "1.2.3;x=y", "*", "1.2.3,1.2.4",
    "-1",
    "null", ".staticwado", "staticwado.json", "index.json.gz", "0" * 64, "9" * 65, "1.2.3.", ".1",
    "\u0661.\u0662",
    "%F0%9F%92%A9", "con", "\\..\\..", "%5c..", "studies", "skeleton.gz",
)  # fmt: skip
VALUES = (
    "'", "' OR 1=1 --", '"; DROP TABLE study; --', ".*", "(a+)+$", "[", "\\", "*" * 50, "?" * 50,
    "a*" * 400, "%",
    "%zz", "%00", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "20200101-", "-", "99999999", "20201301",
    "20200101-20190101", "1.2.3\\1.2.4", "1," * 500, "-1", "1e9", "0x10", "99999999999999999999", "NaN",
    "true",
    "all", "00080005,00100010", "0040A043.00080100", "FFFFFFFF", "PatientName", "x" * 9000,
    "\u0130\u0131\u00df",
    "^^^^=^^=", "+", "a&b=c", "utf-7", "1,1,1,1", "0,0,-5,-5", "1e400,1e400", "1,2,3,4,5,6,7,8,9",
    "linear", "101",
)  # fmt: skip
KEYS = (
    "PatientName", "00100010", "StudyInstanceUID", "StudyDate", "ModalitiesInStudy", "limit", "offset",
    "includefield", "fuzzymatching", "accept", "charset", "00400275.00400009", "NoSuchKeyword", "00091001",
    "window",
    "viewport", "quality", "annotation", "iccprofile", "requestType", "studyUID", "seriesUID", "objectUID",
    "contentType", "transferSyntax", "frameNumber", "rows", "columns", "region", "presentationUID", "",
    "\u00e9",
)  # fmt: skip
ACCEPTS = (
    "*/*", "application/dicom+json", "application/dicom+xml", "application/dicom", "multipart/related",
    'multipart/related; type="application/octet-stream"',
    'multipart/related; type="image/jpeg"; transfer-syntax=*',
    'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.80', "image/png",
    "image/gif",
    "application/zip", "text/html", "application/pdf", "video/mp4", "*/*;q=0", "a/b;q=2", "a/b;q=0.1234",
    ",,,", ";",
    'x/y; z="\\"', "a/" * 500, "*/*, " * 300, "text/*;level=" + "1" * 500, 'multipart/related; type="',
    "\xff\xfe/x",
    "application/openmetrics-text; version=x", "text/plain; version=99.9.9.9",
)  # fmt: skip
HEADERS = (
    ("Range", ("bytes=0-0", "bytes=-1", "bytes=5-2", "bytes=0-,0-,0-," * 50, "bytes=99999999999999999999-",
    "x=1-2")),
    ("If-None-Match", ("*", '"' + "x" * 500, 'W/"a"', ",,,", '"a", ' * 500)),
    ("If-Modified-Since", ("never", "Thu, 01 Jan 1970 00:00:00 GMT", "Sat, 32 Foo 99999 99:99:99 GMT", "0")),
    ("If-Range", ('"x"', "Thu, 01 Jan 1970 00:00:00 GMT", "")),
    ("Host", ("", "evil.example", "localhost:99999", "[::1", "a b", "localhost\t", "127.0.0.1:5000@evil")),
    ("Origin", ("null", "https://evil.example", "x" * 2000, "http://localhost")),
    ("Authorization", ("Bearer " + "a." * 900, "Basic Og==", "Basic \xff", "Bearer", "Negotiate x",
    "Digest x=y")),
    ("X-Request-Id", ("a\tb", "<x>", "y" * 500, "ok-1")),
    ("X-Forwarded-For", ("127.0.0.1", "' OR 1=1", "x" * 1000)),
    ("X-HTTP-Method-Override", ("DELETE",)),
    ("Expect", ("100-continue", "200-ok", "x")),
    ("Accept-Encoding", ("gzip", "gzip;q=0", "*;q=0", "br, " * 500, "identity;q=0", "\x7f")),
    ("Accept-Charset", ("utf-7", "*;q=0")),
    ("Connection", ("close, x", "Upgrade", "keep-alive")),
    ("Transfer-Encoding", ("chunked", "gzip, chunked", "identity", "chunked, chunked", "\x0bchunked")),
    ("Content-Length", ("0", "-1", "99999999999999999999", "1, 2", "+5", "0x5")),
    ("Access-Control-Request-Method", ("POST", "x" * 300)),
    ("Cookie", ("a=" + "b" * 3000,)),
)  # fmt: skip


def hostile(random: Random, seeds: Seeds) -> Hostile:
    """One hostile request."""
    kinds = {
        _odd_path: 14, _odd_query: 18, _odd_headers: 18, _bent: 12, parts: 18, bare: 4, as_json: 8, as_xml: 4,
        packed: 4, chunks: 6, _other_method: 4,
    }  # fmt: skip
    [kind] = random.choices(list(kinds), list(kinds.values()))
    return kind(random, seeds)


def _odd_path(random: Random, seeds: Seeds) -> Hostile:
    parts = random.choice(seeds.paths).split("/")
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(parts))
        match random.randrange(4):
            case 0:
                parts[place] = random.choice(STRANGE)
            case 1:
                parts.insert(place, random.choice(STRANGE))
            case 2:
                parts[place] += random.choice(STRANGE)
            case _:
                parts[place] = parts[random.randrange(len(parts))]
    root = random.choice((SERVICE, SERVICE, SERVICE, "", SERVICE + "/", "//dicomweb"))
    method = random.choice(("GET", "GET", "GET", "HEAD", "OPTIONS"))
    return Hostile("path", request(f"{root}/{'/'.join(parts)}", method=method))


def _odd_query(random: Random, seeds: Seeds) -> Hostile:
    pairs = [
        f"{random.choice(KEYS)}={random.choice(VALUES)}" for _ in range(random.choice((1, 1, 2, 3, 5, 40)))
    ]
    path = random.choice(("studies", "series", "instances", *seeds.paths, "../dicomweb"))
    query = random.choice("&&&;").join(pairs)
    return Hostile("query", request(f"{SERVICE}/{path}?{query}"))


def _odd_headers(random: Random, seeds: Seeds) -> Hostile:
    headers = [("Accept", random.choice(ACCEPTS))] if random.random() < 0.7 else []
    for name, values in random.sample(HEADERS, random.randint(0, 3)):
        headers.append((name, random.choice(values)))
    path = random.choice((*(f"{SERVICE}/{path}" for path in seeds.paths), "/metrics", "/healthz", "/"))
    return Hostile("headers", request(path, headers))


def _bent(random: Random, seeds: Seeds) -> Hostile:
    """A request with faults in its bytes."""
    path = random.choice(seeds.paths)
    whole = request(f"{SERVICE}/{path}", [("Accept", random.choice(ACCEPTS[:12])), ("X", "y" * 30)])
    data = bytearray(whole)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(data))
        match random.randrange(5):
            case 0:
                data[place] = random.randrange(256)
            case 1:
                del data[place : place + random.randint(1, 20)]
            case 2:
                data[place:place] = random.randbytes(random.randint(1, 30))
            case 3:
                data[place:place] = random.choice((b"\r\n", b"\n", b"\0", b": ", b"\r\n\r\n", b" ", b"\r"))
            case _:
                data[place:place] = bytes(data[: random.randint(1, 200)])
    return Hostile("bent", bytes(data))


def _other_method(random: Random, seeds: Seeds) -> Hostile:
    method = random.choice(
        ("PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "SEARCH", "X" * 200, "OPTIONS")
    )
    path = random.choice((SERVICE + "/" + random.choice(seeds.paths), "/", "/metrics", "*"))
    body = random.choice((None, b"", b"x" * 5000))
    headers = random.choice(
        ((), (("Access-Control-Request-Method", "DELETE"), ("Origin", "https://evil.example")))
    )
    return Hostile("method", request(path, headers, method=method, body=body))
