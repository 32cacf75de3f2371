"""DICOM JSON of presentation states, and of the images that they are about, for the tests of rendering."""

from typing import Any

from tests.dicom.images import Dataset, element, image_dataset

IMAGE = "1.2.3.1"
STATE = "1.2.3.2"
CT = "1.2.840.10008.5.1.4.1.1.2"
GREYSCALE = "1.2.840.10008.5.1.4.1.1.11.1"


def image_of(rows: int, columns: int, **more: Any) -> Dataset:
    """An image with a SOP Instance UID, 8 bits unless `allocated` says otherwise."""
    more.setdefault("allocated", 8)
    return image_dataset(rows, columns, **more) | {
        "00080016": element("UI", CT),
        "00080018": element("UI", IMAGE),
    }


def reference(instance: str = IMAGE, *frames: int) -> Dataset:
    """An item of Referenced Image Sequence."""
    found = {"00081150": element("UI", CT), "00081155": element("UI", instance)}
    return found | ({"00081160": element("IS", *frames)} if frames else {})


def state_of(elements: Dataset | None = None, *references: Dataset) -> Dataset:
    """A greyscale presentation state about `references`, which shows all there is as it is."""
    series = {
        "0020000E": element("UI", "1.2.3"),
        "00081140": element("SQ", *(references or (reference(),))),
    }
    return {
        "00080016": element("UI", GREYSCALE),
        "00080018": element("UI", STATE),
        "00081115": element("SQ", series),
        "20500020": element("CS", "IDENTITY"),
    } | (elements or {})


def area(left: int, top: int, right: int, bottom: int, **more: Any) -> Dataset:
    """Displayed Area Selection Sequence of one item."""
    shown = {
        "00700052": element("SL", left, top),
        "00700053": element("SL", right, bottom),
        "00700100": element("CS", "SCALE TO FIT"),
        "00700102": element("IS", *more.get("aspect", (1, 1))),
    }
    return {"0070005A": element("SQ", shown)}
