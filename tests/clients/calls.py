"""Every retrieve call of dicomweb-client, made and judged: right, wrong, refused, or without a witness.

One rule: a call is timed alone, judged afterwards, and no exception of one call ends the next.
"""

import io
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import requests
from dicomweb_client.api import DICOMwebClient
from PIL import Image

from tests.clients.metadata import metadata_faults
from tests.clients.values import Subject, Unjudged, decoded_faults, faults_of, stored_faults
from tests.truth.frames import MEDIA_TYPES
from tests.truth.part10 import Unreadable

RIGHT, WRONG, REFUSED, UNJUDGED = "right", "wrong", "refused", "no witness"
NATIVE = "1.2.840.10008.1.2.1"
MOST_FRAMES = 60
_ROWS, _COLUMNS = 0x00280010, 0x00280011
_SHOWN = 300

Faults = Callable[[Any], list[str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one call."""

    call: str
    subject: str
    verdict: str
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Caller:
    """A client of one server, and how strict data sets are judged."""

    client: DICOMwebClient
    strict: bool = True

    def judged(self, call: str, subject: str, fetch: Callable[[], Any], faults: Faults) -> Outcome:
        """Make one call and judge what comes."""
        begun = time.perf_counter()
        try:
            found = fetch()
        except requests.HTTPError as error:
            spent = time.perf_counter() - begun
            status = error.response.status_code if error.response is not None else 0
            text = error.response.text if error.response is not None else ""
            verdict = REFUSED if status in (400, 404, 406, 415, 501) else WRONG
            return Outcome(call, subject, verdict, f"{status} {text[:_SHOWN]}", spent)
        except Exception as error:  # a client fails in any way it likes
            return Outcome(call, subject, WRONG, repr(error)[:_SHOWN], time.perf_counter() - begun)
        spent = time.perf_counter() - begun
        try:
            wrong = faults(found)
        except (Unjudged, Unreadable) as error:
            return Outcome(call, subject, UNJUDGED, str(error)[:_SHOWN], spent)
        except Exception as error:  # what cannot even be judged is wrong
            return Outcome(call, subject, WRONG, f"judging: {error!r}"[:_SHOWN], spent)
        return Outcome(call, subject, WRONG if wrong else RIGHT, "; ".join(wrong)[:_SHOWN], spent)


def calls_of_instance(caller: Caller, subject: Subject) -> Iterator[Outcome]:
    """Every call for one instance."""
    uids, name, client = subject.identity, subject.path.name, caller.client

    def whole(found: Any) -> list[str]:
        return faults_of(found, subject, strict=caller.strict)

    syntaxes = {"*": "*", "explicit little endian": NATIVE, "default": None}
    for label, syntax in syntaxes.items():
        media = ("application/dicom", syntax) if syntax else "application/dicom"
        yield caller.judged(
            f"retrieve_instance ({label})",
            name,
            lambda media=media: client.retrieve_instance(*uids, media_types=(media,)),  # type: ignore[misc]
            whole,
        )
    yield caller.judged(
        "retrieve_instance_metadata",
        name,
        lambda: client.retrieve_instance_metadata(*uids),
        lambda found: metadata_faults(found, subject),
    )
    yield from _frame_calls(caller, subject)
    yield from _rendered_calls(caller, subject)


# -- frames --------------------------------------------------------------------------------------------------


def _frames_faults(
    found: Sequence[bytes], subject: Subject, numbers: list[int], native: bool | None
) -> list[str]:
    """`native`: whether the frames must be decoded; None where the server may choose."""
    datas = [bytes(data) for data in found]
    if len(datas) != len(numbers):
        return [f"{len(datas)} frames, not {len(numbers)}"]
    stored = stored_faults(datas, subject)
    frames = subject.frames
    assert frames is not None
    if not stored and (not native or frames.media_type == "application/octet-stream"):
        return []
    return stored if native is False else decoded_faults(datas, subject)


def _frame_calls(caller: Caller, subject: Subject) -> Iterator[Outcome]:
    frames = subject.frames
    if frames is None:
        return
    uids, name, client = subject.identity, subject.path.name, caller.client
    numbers = list(range(1, min(len(frames.frames), MOST_FRAMES) + 1))
    kinds: dict[str, tuple[Any, bool | None]] = {
        "*/*": (None, None),
        "octet-stream": ((("application/octet-stream", NATIVE),), True),
    }
    if frames.media_type.startswith("image/") and subject.syntax in _KNOWN_TO_CLIENT:
        kinds["as stored"] = (((frames.media_type, subject.syntax),), False)
    for label, (media, native) in kinds.items():
        for way in (client.retrieve_instance_frames, client.iter_instance_frames):
            yield caller.judged(
                f"{way.__name__} ({label})",
                name,
                lambda way=way, media=media: list(way(*uids, numbers, media_types=media)),  # type: ignore[misc]
                lambda found, native=native: _frames_faults(found, subject, numbers, native),  # type: ignore[misc]
            )


_KNOWN_TO_CLIENT = frozenset(
    uid
    for uid, kind in MEDIA_TYPES.items()
    if kind in ("image/dicom-rle", "image/jls", "image/jp2", "image/jpx")
    or uid.endswith((".4.50", ".4.51", ".4.57", ".4.70"))
)
"""Transfer syntaxes that dicomweb-client lets its user name."""


# -- rendered ------------------------------------------------------------------------------------------------


def _rendered_calls(caller: Caller, subject: Subject) -> Iterator[Outcome]:
    uids, name, client = subject.identity, subject.path.name, caller.client
    for label, media in {"default": None, "png": ("image/png",), "jpeg": ("image/jpeg",)}.items():
        yield caller.judged(
            f"retrieve_instance_rendered ({label})",
            name,
            lambda media=media: client.retrieve_instance_rendered(*uids, media_types=media),  # type: ignore[misc]
            lambda found: _body_faults(found, subject),
        )
    if subject.frames is not None:
        yield caller.judged(
            "retrieve_instance_frames_rendered",
            name,
            lambda: client.retrieve_instance_frames_rendered(*uids, [1], media_types=("image/png",)),
            lambda found: _body_faults(found, subject),
        )


def _body_faults(body: bytes, subject: Subject | None) -> list[str]:
    """What is wrong with a rendered body: each picture must decode, and have the size of its image."""
    if not body:
        return ["nothing came"]
    if body.startswith(b"--"):
        parts = _parts(body)
        wrong = [fault for part in parts for fault in _body_faults(part, subject)]
        return wrong if parts else ["a multipart without parts"]
    if not body.startswith((b"\xff\xd8", b"\x89PNG", b"GIF8")):
        return []
    with Image.open(io.BytesIO(body)) as picture:
        picture.load()
        size = picture.size
    if subject is None or subject.frames is None:
        return []
    wanted = subject.dataset.number(_COLUMNS), subject.dataset.number(_ROWS)
    return [] if size == wanted else [f"a picture of {size}, not {wanted}"]


def _parts(body: bytes) -> list[bytes]:
    boundary = re.match(rb"--([^\r\n]+)\r\n", body)
    if boundary is None:
        return []
    pieces = body.split(b"--" + boundary[1])[1:-1]
    return [piece.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for piece in pieces]


# -- series and studies --------------------------------------------------------------------------------------


def calls_of_group(caller: Caller, uids: tuple[str, ...], subjects: Sequence[Subject]) -> Iterator[Outcome]:
    """Every call for one series, (study, series), or one study, (study,), which holds `subjects`."""
    client, level = caller.client, "study" if len(uids) == 1 else "series"
    wanted = {subject.identity[2]: subject for subject in subjects}
    name = f"{level} {uids[-1]}"

    def faults(found: Any) -> list[str]:
        got = {str(one.SOPInstanceUID): one for one in found}
        if set(got) != set(wanted) or len(found) != len(wanted):
            return [f"{len(found)} instances, not {len(wanted)}"]
        wrong = []
        for uid, one in got.items():
            try:
                wrong += faults_of(one, wanted[uid], strict=caller.strict)
            except (Unjudged, Unreadable):
                continue
        return wrong

    def of_metadata(found: Any) -> list[str]:
        got = {one["00080018"]["Value"][0]: one for one in found}
        if set(got) != set(wanted) or len(found) != len(wanted):
            return [f"{len(found)} instances, not {len(wanted)}"]
        return [fault for uid, one in got.items() for fault in metadata_faults(one, wanted[uid])]

    as_stored = (("application/dicom", "*"),)
    for way in ("retrieve", "iter"):
        method = getattr(client, f"{way}_{level}")
        yield caller.judged(
            f"{way}_{level}",
            name,
            lambda method=method: list(method(*uids, media_types=as_stored)),  # type: ignore[misc]
            faults,
        )
    of_level = getattr(client, f"retrieve_{level}_metadata")
    yield caller.judged(f"retrieve_{level}_metadata", name, lambda: of_level(*uids), of_metadata)
    if len(uids) == 2:
        yield caller.judged(
            "retrieve_series_rendered",
            name,
            lambda: client.retrieve_series_rendered(uids[0], uids[1]),
            lambda found: _body_faults(found, None),
        )
