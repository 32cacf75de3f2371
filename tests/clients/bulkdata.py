"""The calls for bulkdata: every URI of the metadata, and whether its value is the source's.

One rule: URIs are resolved against the URL of the metadata that hold them (RFC 3986).
"""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from tests.clients.calls import Caller, Outcome
from tests.clients.values import Subject, decoded_faults, stored_faults
from tests.truth.frames import frame_bits, split_native
from tests.truth.model import little
from tests.truth.part10 import Dataset, Node

_PIXELS = ("7FE00010", "7FE00008", "7FE00009")


def uris(
    dataset: dict[str, Any], place: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """(place, VR, BulkDataURI) of every value that is kept outside."""
    for tag, element in dataset.items():
        if "BulkDataURI" in element:
            yield (*place, tag), element["vr"], element["BulkDataURI"]
        for number, item in enumerate(element.get("Value", ())):
            if element["vr"] == "SQ":
                yield from uris(item or {}, (*place, tag, number))


def node_at(source: Dataset, place: tuple[str | int, ...]) -> Node:
    """The element of the source file that lies at a place of its metadata."""
    *above, last = place
    for tag, number in zip(above[::2], above[1::2], strict=True):
        items = source.nodes[int(str(tag), 16)].items
        assert items is not None
        source = items[int(number)]
    return source.nodes[int(str(last), 16)]


def _value_faults(
    found: Sequence[bytes], subject: Subject, place: tuple[str | int, ...], vr: str
) -> list[str]:
    node = node_at(subject.dataset, place)
    given = b"".join(bytes(part) for part in found)
    if len(place) == 1 and place[0] in _PIXELS:
        return _pixel_value_faults([bytes(part) for part in found], given, subject, node)
    right = little(node.raw, vr, is_little=node.order == "<")
    return [] if given.rstrip(b" \0") == right.rstrip(b" \0") else [f"{len(given)} bytes, not {len(right)}"]


def _pixel_value_faults(found: list[bytes], given: bytes, subject: Subject, node: Node) -> list[str]:
    frames = subject.frames
    assert frames is not None
    datas = [frame.data for frame in frames.frames]
    if given.rstrip(b"\0") == b"".join(datas).rstrip(b"\0"):
        return []
    if len(found) != len(datas):
        size, _ = frame_bits(subject.dataset, node)
        found = split_native(given, len(datas), size)
    return stored_faults(found, subject) and decoded_faults(found, subject)


def bulkdata_calls(caller: Caller, subject: Subject) -> Iterator[Outcome]:
    """Every bulk value that the metadata of one instance point at, by both ways of the client."""
    client, uids = caller.client, subject.identity
    base = f"{client.base_url}/studies/{uids[0]}/series/{uids[1]}/instances/{uids[2]}/metadata"
    try:
        dataset = client.retrieve_instance_metadata(*uids)
    except requests.RequestException:
        return  # the call for metadata has its own outcome
    for place, vr, uri in uris(dataset):
        kind = "pixel data" if len(place) == 1 and place[0] in _PIXELS else "values"
        # Orthanc 1.10 leaves the port out of the absolute URIs that it gives.
        url = urlsplit(urljoin(base, uri))._replace(netloc=urlsplit(base).netloc).geturl()
        for way in (client.retrieve_bulkdata, client.iter_bulkdata):
            yield caller.judged(
                f"{way.__name__} ({kind})",
                f"{subject.path.name} {place}",
                lambda way=way, url=url: list(way(url)),  # type: ignore[misc]
                lambda made, place=place, vr=vr: _value_faults(made, subject, place, vr),  # type: ignore[misc]
            )
