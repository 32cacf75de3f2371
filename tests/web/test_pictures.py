"""What tells one picture from another in the cache, and what workers do with what is damaged."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from staticwado.dicom.annotation import Annotation
from staticwado.dicom.geometry import Viewport
from staticwado.dicom.profile import ColourProfile
from staticwado.dicom.rendering import RenderOptions
from staticwado.dicom.voi import Window
from staticwado.dicomweb.multipart import content_type
from staticwado.dicomweb.rendering import Rendering
from staticwado.dicomweb.resource import Resource, View
from staticwado.store.local import Stat
from staticwado.web.answer import Span
from staticwado.web.pictures import PictureTask, Place
from tests.dicom.images import element, image_dataset
from tests.web.conftest import StartServer
from tests.web.showcase import COLOUR, CT, IMAGES, REPORT, STUDY, make_showcase, path
from tests.web.tree import ELE, address

SPAN = Span("/a", 1, 2, Stat(3, 4, 5))
PLACE = Place("/root", Resource(View.METADATA, "1", "2", "3"), SPAN)
BOTH = frozenset((Annotation.PATIENT, Annotation.TECHNIQUE))
TASK = PictureTask(PLACE, 1, SPAN, ELE, "image/jpeg", Rendering(RenderOptions(annotations=BOTH)))


def test_the_key_is_the_same_in_every_process() -> None:
    program = "from tests.web.test_pictures import TASK; print(TASK.key)"
    keys = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in range(3)
    }
    assert keys == {TASK.key}


def test_whatever_changes_the_picture_changes_the_key() -> None:
    def options(**more: Any) -> PictureTask:
        return replace(TASK, rendering=Rendering(replace(TASK.rendering.options, **more)))

    tasks = [
        TASK,
        replace(TASK, number=2),
        replace(TASK, media_type="image/png"),
        replace(TASK, block=True),
        replace(TASK, duration=5),
        replace(TASK, state=PLACE),
        replace(TASK, frame=replace(SPAN, stat=Stat(3, 4, 6))),
        replace(TASK, place=replace(PLACE, metadata=replace(SPAN, stat=Stat(3, 5, 5)))),
        replace(TASK, rendering=replace(TASK.rendering, quality=5)),
        options(viewport=Viewport(5, 5)),
        options(window=Window(1, 2)),
        options(profile=ColourProfile.YES),
        options(annotations=frozenset((Annotation.PATIENT,))),
    ]
    assert len({task.key for task in tasks}) == len(tasks)


def test_words_that_are_not_drawn_do_not_change_the_key() -> None:
    said = replace(TASK, rendering=replace(TASK.rendering, unsupported_annotations=("weather",)))
    assert said.key == TASK.key


@pytest.mark.parametrize("leaf", ["rendered", "thumbnail?viewport=5,5", "frames/1/rendered"])
def test_a_value_that_is_missing_is_unavailable(tmp_path: Path, start_server: StartServer, leaf: str) -> None:
    tree = make_showcase(tmp_path / "archive")
    table = {"vr": "OW", "BulkDataURI": f"../../../../bulkdata/{address(b'lost')}"}
    palette = image_dataset(2, 2, "PALETTE COLOR", allocated=8)
    for tag in ("1", "2", "3"):
        palette[f"0028110{tag}"] = element("US", 256, 0, 8)
        palette[f"0028120{tag}"] = table
    resource = tree.instance(STUDY, IMAGES, f"{IMAGES}.9", palette)
    tree.frame(resource, 1, "", content_type("application/octet-stream", ELE), bytes(4))
    reply = start_server(tree.root).get(f"{path(f'{IMAGES}.9')}/{leaf}")
    assert (reply.status, "bulkdata" in reply.error) == (503, True), reply.body


@pytest.mark.parametrize("instance", [CT, COLOUR, REPORT])
def test_damaged_metadata_are_unavailable(tmp_path: Path, start_server: StartServer, instance: str) -> None:
    tree = make_showcase(tmp_path / "archive")
    server = start_server(tree.root)
    assert server.get(f"{path(instance)}/rendered").status == 200
    place = tree.root / path(instance) / "metadata.gz"
    for damage in (b"", place.read_bytes()[:40], b"not gzip"):
        place.write_bytes(damage)
        for leaf in ("rendered", "thumbnail?viewport=9,9"):
            reply = server.get(f"{path(instance)}/{leaf}")
            # That a report has no frames is seen without a look at what it says.
            wanted = 404 if instance == REPORT and leaf != "rendered" else 503
            assert reply.status == wanted, reply.body
