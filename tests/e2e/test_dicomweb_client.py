"""dicomweb-client, written by others, over the whole corpus: every value that it gets is the source's."""

from collections import Counter
from functools import cached_property
from typing import Any
from urllib.parse import urljoin

import pytest
from dicomweb_client.api import DICOMwebClient

from tests.clients.bulkdata import node_at, uris
from tests.e2e.conftest import Served
from tests.truth.corpus import Corpus, identity_of, read_corpus
from tests.truth.frames import expected_frames, frame_bits, swap_cells
from tests.truth.model import little
from tests.truth.part10 import Dataset, Node, read_path

pytestmark = pytest.mark.timeout(900)

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
PIXELS = ("7FE00010", "7FE00008", "7FE00009")
MOST_FRAMES = 60
AS_KEPT = (("application/octet-stream", "*"),)
"""Without it, frames come decoded: tests/web/test_frames.py."""


class World:
    """The corpus and a client of the server that holds it."""

    def __init__(self, corpus: Corpus, url: str) -> None:
        self.corpus = corpus
        self.root = f"{url}/dicomweb"
        self.client = DICOMwebClient(self.root)

    @cached_property
    def sources(self) -> dict[tuple[str, str, str], Dataset]:
        """The corpus by study, series and instance."""
        datasets = (read_path(path) for path in self.corpus.valid)
        return {identity_of(dataset): dataset for dataset in datasets}

    @cached_property
    def series(self) -> list[tuple[str, str]]:
        return sorted({(study, series) for study, series, _ in self.sources})


@pytest.fixture(scope="module")
def world(testdata: Any, served: Served) -> World:
    return World(read_corpus(testdata), served.url)


def value(dataset: dict[str, Any], tag: str) -> Any:
    return dataset[tag]["Value"][0]


def test_searches_find_everything_once(world: World) -> None:
    studies = [value(found, STUDY) for found in world.client.search_for_studies(get_remaining=True, limit=50)]
    assert sorted(studies) == sorted({study for study, _, _ in world.sources})
    found = []
    for study in studies:
        for series in world.client.search_for_series(study):
            instances = world.client.search_for_instances(study, value(series, SERIES))
            found += [(study, value(series, SERIES), value(each, INSTANCE)) for each in instances]
    assert sorted(found) == sorted(world.sources)


def test_searches_across_studies_find_everything_once(world: World) -> None:
    series = world.client.search_for_series(get_remaining=True, limit=100)
    assert sorted((value(found, STUDY), value(found, SERIES)) for found in series) == world.series
    instances = world.client.search_for_instances(get_remaining=True, limit=300)
    found = [(value(each, STUDY), value(each, SERIES), value(each, INSTANCE)) for each in instances]
    assert sorted(found) == sorted(world.sources)


def test_a_search_by_patient_finds_the_patients_studies(world: World) -> None:
    wanted = world.client.search_for_studies(search_filters={"PatientID": "4MR1"})
    assert wanted
    assert {value(study, "00100020") for study in wanted} == {"4MR1"}


def test_series_metadata_hold_every_instance(world: World) -> None:
    for study, series in world.series:
        datasets = world.client.retrieve_series_metadata(study, series)
        found = sorted(value(dataset, INSTANCE) for dataset in datasets)
        assert found == sorted(key[2] for key in world.sources if key[:2] == (study, series))


def test_instance_metadata_are_those_of_the_series(world: World) -> None:
    study, series = next(iter(world.series))
    for dataset in world.client.retrieve_series_metadata(study, series):
        alone = world.client.retrieve_instance_metadata(study, series, value(dataset, INSTANCE))
        assert set(alone) == set(dataset)


def test_frames_are_those_of_the_source(world: World) -> None:
    compared: Counter[str] = Counter()
    for (study, series, instance), source in world.sources.items():
        expected = expected_frames(source)
        if expected is None:
            continue
        numbers = list(range(1, min(len(expected.frames), MOST_FRAMES) + 1))
        found = world.client.retrieve_instance_frames(study, series, instance, numbers, AS_KEPT)
        assert len(found) == len(numbers)
        for frame, data in zip(expected.frames, found, strict=False):
            assert frame.is_right(data), f"a frame of {instance}"
        compared[expected.media_type] += len(found)
    assert {"application/octet-stream", "image/jls", "image/jp2", "image/jphc", "image/dicom-rle"} <= set(
        compared
    )


def joined(frames: list[bytes], bits: int) -> bytes:
    """Frames of `bits` bits each as one native value (PS3.5 8.1.1), without padding."""
    number = sum(int.from_bytes(frame, "little") << bits * place for place, frame in enumerate(frames))
    return number.to_bytes((bits * len(frames) + 7) // 8, "little")


def pixels_are_right(source: Dataset, node: Node, found: list[bytes]) -> bool:
    """Whether Pixel Data are the native value, or each codestream; a pad byte is zero whatever it was."""
    expected = expected_frames(source)
    assert expected is not None
    if expected.media_type != "application/octet-stream":
        return len(found) == len(expected.frames) and all(
            frame.is_right(data) for frame, data in zip(expected.frames, found, strict=True)
        )
    size, allocated = frame_bits(source, node)
    value = joined([frame.data for frame in expected.frames], size)
    if node.fragments is None:
        native = node.raw if node.order == "<" else swap_cells(node.raw, allocated, node.vr)
        assert native.startswith(value)
    return found == [value + b"\0" * (len(value) % 2)]


def test_every_bulkdata_uri_leads_to_the_value_of_the_source(world: World) -> None:
    compared: Counter[str] = Counter()
    wrong = []
    for study, series in world.series:
        base = f"{world.root}/studies/{study}/series/{series}/metadata"
        for dataset in world.client.retrieve_series_metadata(study, series):
            source = world.sources[study, series, value(dataset, INSTANCE)]
            for place, vr, uri in uris(dataset):
                pixels = len(place) == 1 and place[0] in PIXELS
                found = world.client.retrieve_bulkdata(urljoin(base, uri), AS_KEPT if pixels else None)
                node = node_at(source, place)
                if pixels:
                    right = pixels_are_right(source, node, found)
                else:
                    right = found == [little(node.raw, vr, is_little=node.order == "<")]
                compared[vr] += 1
                if not right:
                    wrong.append((value(dataset, INSTANCE), place, vr, uri))
    assert not wrong
    assert {"OB", "OW", "OF", "OD", "UN"} <= set(compared), compared
