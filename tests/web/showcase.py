"""An archive of one study that has one of each thing that can be rendered, and some that cannot."""

from pathlib import Path
from typing import Any

import numpy as np

from staticwado import layout
from staticwado.dicomweb.multipart import content_type
from staticwado.dicomweb.resource import Resource, View
from tests.dicom.images import element, image_dataset, inline, jpeg
from tests.dicom.presentations import CT as CT_CLASS
from tests.dicom.presentations import GREYSCALE, area
from tests.dicom.reports import content, report, words
from tests.web.tree import ELE, MOVIE, MPEG4, PDF, Tree, address

STUDY = "1.2.9"
IMAGES, STATES, TEXTS, OTHERS, MIXED = "1.2.9.1", "1.2.9.2", "1.2.9.3", "1.2.9.4", "1.2.9.5"
CT, LOOP, COLOUR, BROKEN = "1.2.9.1.1", "1.2.9.1.2", "1.2.9.1.3", "1.2.9.4.2"
STATE, LOOP_STATE, LOST_STATE, OTHER_STATE = "1.2.9.2.1", "1.2.9.2.2", "1.2.9.2.3", "1.2.9.2.4"
REPORT, PAPER, PAGE, MOVIE_FILE, PLAN, MODEL = (
    "1.2.9.3.1",
    "1.2.9.3.2",
    "1.2.9.3.3",
    "1.2.9.4.1",
    "1.2.9.4.3",
    "1.2.9.4.4",
)
ROWS, COLUMNS = 20, 30
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
CT_PIXELS = (np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) - 300).astype("<i2")
LOOP_LEVELS = (10, 100, 200)
LOOP_FRAMES = [np.full((8, 12), level, np.uint8) for level in LOOP_LEVELS]
for _frame in LOOP_FRAMES:
    _frame[-1, -2:] = 0, 255  # so that all of the range is used, and shown as it is
COLOURS = np.dstack([np.full((16, 16), value, np.uint8) for value in (200, 30, 90)])
KEPT = b"\xff\xd8kept\xff\xd9"
"""A thumbnail as ingest might have written it."""
REPORT_TEXT = "Nothing <b>seen</b>"
CDA = b"""<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><title>A letter</title>
<component><structuredBody><component><section><title>Story</title><text>Well &amp; good</text></section>
</component></structuredBody></component></ClinicalDocument>"""


def path(instance: str) -> str:
    """The path of an instance, whose UID begins with that of its series."""
    return f"studies/{STUDY}/series/{instance.rpartition('.')[0]}/instances/{instance}"


def _identified(instance: str, dataset: dict[str, Any], sop_class: str = CT_CLASS) -> dict[str, Any]:
    return {
        **dataset,
        "00080016": element("UI", sop_class),
        "00080018": element("UI", instance),
        "0020000D": element("UI", STUDY),
        "00100010": element("PN", {"Alphabetic": "Doe^Jane"}),
    }


def _state(
    instance: str, image: str, *frames: int, series: str = IMAGES, more: dict[str, Any] | None = None
) -> dict[str, Any]:
    reference = {"00081150": element("UI", CT_CLASS), "00081155": element("UI", image)}
    if frames:
        reference["00081160"] = element("IS", *frames)
    listed = {"0020000E": element("UI", series), "00081140": element("SQ", reference)}
    dataset = {"00081115": element("SQ", listed), "20500020": element("CS", "INVERSE")} | (more or {})
    return _identified(instance, dataset, GREYSCALE)


def _put(tree: Tree, instance: str, dataset: dict[str, Any]) -> Resource:
    return tree.instance(STUDY, instance.rpartition(".")[0], instance, dataset)


def _images(tree: Tree) -> None:
    native = content_type("application/octet-stream", ELE)
    window = {"00281050": element("DS", 0), "00281051": element("DS", 600)}
    ct = _put(tree, CT, _identified(CT, image_dataset(ROWS, COLUMNS, signed=True) | window))
    tree.frame(ct, 1, "", native, CT_PIXELS.tobytes())
    tree.archive.write(Resource(View.THUMBNAIL, STUDY, IMAGES, CT), KEPT)
    several = {"00280008": element("IS", len(LOOP_FRAMES)), "00181063": element("DS", 250)}
    loop = _put(tree, LOOP, _identified(LOOP, image_dataset(8, 12, allocated=8) | several))
    for number, frame in enumerate(LOOP_FRAMES, 1):
        tree.frame(loop, number, "", native, frame.tobytes())
    tree.archive.write(Resource(View.THUMBNAIL, STUDY, IMAGES, LOOP), KEPT)
    colour = image_dataset(16, 16, "YBR_FULL_422", samples=3, allocated=8)
    resource = _put(tree, COLOUR, _identified(COLOUR, colour))
    tree.frame(resource, 1, "jpg", content_type("image/jpeg", JPEG_BASELINE), jpeg(COLOURS))
    tree.series(STUDY, IMAGES, CT, LOOP, COLOUR)
    broken = _put(tree, BROKEN, _identified(BROKEN, image_dataset(9, 9, allocated=8)))
    tree.frame(broken, 1, "", native, b"short!")


def _texts(tree: Tree) -> None:
    seen = {"00081199": element("SQ", {"00081150": element("UI", CT_CLASS), "00081155": element("UI", CT)})}
    image = content("IMAGE", "Source", **{f"t{tag}": value for tag, value in seen.items()})
    evidence = {
        "0020000D": element("UI", STUDY),
        "00081115": element("SQ", {"0020000E": element("UI", IMAGES), "00081199": seen["00081199"]}),
    }
    made = report(words("Finding", REPORT_TEXT), image) | {"0040A375": element("SQ", evidence)}
    _put(tree, REPORT, _identified(REPORT, made, made["00080016"]["Value"][0]))
    kept = {
        "00420011": {"vr": "OB", "BulkDataURI": layout.bulkdata_uri(address(PDF + b"\0", "pdf"))},
        "00420012": element("LO", "application/pdf"),
    }
    tree.bulkdata(STUDY, PDF + b"\0", "pdf")
    _put(tree, PAPER, _identified(PAPER, kept, "1.2.840.10008.5.1.4.1.1.104.1"))
    letter = {"00420011": {**inline(CDA), "vr": "OB"}, "00420012": element("LO", "text/XML")}
    _put(tree, PAGE, _identified(PAGE, letter, "1.2.840.10008.5.1.4.1.1.104.2"))
    tree.series(STUDY, TEXTS, REPORT, PAPER, PAGE)


def _others(tree: Tree) -> None:
    video = _put(tree, MOVIE_FILE, _identified(MOVIE_FILE, {}))
    tree.frame(video, 1, "mp4", content_type("video/mp4", MPEG4), MOVIE)
    _put(tree, PLAN, _identified(PLAN, {}, "1.2.840.10008.5.1.4.1.1.481.5"))
    solid = {"00420011": {**inline(b"solid"), "vr": "OB"}, "00420012": element("LO", "model/stl")}
    _put(tree, MODEL, _identified(MODEL, solid, "1.2.840.10008.5.1.4.1.1.104.3"))
    tree.series(STUDY, OTHERS, MOVIE_FILE, BROKEN, PLAN, MODEL)


def make_showcase(root: Path) -> Tree:
    tree = Tree(root)
    _images(tree)
    _texts(tree)
    _others(tree)
    shown = area(1, 1, 10, 5)
    for state in (
        _state(STATE, CT, more=shown),
        _state(LOOP_STATE, LOOP, 1, 3, series="1.2.9.77"),
        _state(LOST_STATE, "1.2.9.1.99"),
        _state(OTHER_STATE, CT, more={"00700042": element("US", 45)}),
    ):
        _put(tree, state["00080018"]["Value"][0], state)
    tree.series(STUDY, STATES, STATE, LOOP_STATE, LOST_STATE, OTHER_STATE)
    tree.instance(STUDY, MIXED, f"{MIXED}.1", _identified(f"{MIXED}.1", {}, "1.2.3.4"))
    tree.study(STUDY, "P1", IMAGES, STATES, TEXTS, OTHERS)
    return tree
