import base64
import os
import signal
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from staticwado.dicom import jpegls
from staticwado.dicom.codecs import decode_frame
from staticwado.dicom.jpegls import decode_jpegls
from staticwado.dicom.pixels import image_pixel
from staticwado.errors import BrokenDicom
from tests.dicom import images
from tests.dicom.images import image_dataset

DEEP = (np.arange(35)[:, None] * 57 + np.arange(50)[None, :] * 19).astype(np.uint16)
CODED = images.jpeg_ls(DEEP)
ENDLESS = bytes.fromhex("ffd8fff7000b0c1000010001011100ffda0008010100010000") + zlib.decompress(
    base64.b85decode(
        "c-mD@O9}%q2z>?@wos6sz(otQ>=AN=Ig*PWWR5y&GAR{;@yYv09e?F+)d_9(1A)i~UNdvytiX=eps-2A9YP2oI5{"
        "#KUbV6WB;N4iQo2FOQ_G-&Eg|(3+eVBlm&?j#cpzi-Z@Q#f^56CIB|oZxSb6wCJpJ9TtW$1T{IFif>NEH!YAg>P"
    )
)
"""12 bits, 4,096 rows and 256 columns: CharLS 2.4.3 decodes it for ever."""


def room() -> "np.ndarray[tuple[int, int], np.dtype[np.uint16]]":
    return np.empty(DEEP.shape, np.uint16)


def test_a_codestream_that_charls_never_comes_back_from_is_broken() -> None:
    with pytest.raises(BrokenDicom, match="not decoded within"):
        decode_jpegls(ENDLESS + b"\xff\xd9", np.empty((4096, 256), np.uint16), seconds=0)
    assert np.array_equal(decode_jpegls(CODED, room()), DEEP)


def test_it_is_broken_as_a_frame_too() -> None:
    with pytest.raises(BrokenDicom, match="not decoded within 2 seconds"):
        decode_frame(ENDLESS, images.JPEG_LS, image_pixel(image_dataset(4096, 256, stored=12)))


def test_what_charls_refuses_does_not_end_the_worker() -> None:
    decode_jpegls(CODED, room())
    workers = list(jpegls._idle)
    with pytest.raises(BrokenDicom, match="structural problem"):
        decode_jpegls(CODED[: len(CODED) // 2], room())
    with pytest.raises(BrokenDicom, match=r"out\.shape"):
        decode_jpegls(CODED, np.empty((35, 51), np.uint16))
    assert jpegls._idle == workers


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_worker_that_others_ended_is_replaced(name: str) -> None:
    decode_jpegls(CODED, room())
    for worker in jpegls._idle:
        os.kill(worker._process, getattr(signal, name))
    assert np.array_equal(decode_jpegls(CODED, room()), DEEP)


def test_a_decoder_that_crashes_is_the_fault_of_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    decode_jpegls(CODED, room())
    with jpegls._lock:
        worker = jpegls._idle[-1]

    def crash(*_: object) -> None:
        os.kill(worker._process, signal.SIGSEGV)
        raise OSError("the pipe ended")

    monkeypatch.setattr(jpegls._Worker, "ask", crash)
    with pytest.raises(BrokenDicom, match="signal 11"):
        decode_jpegls(CODED, room())


def test_many_threads_decode_at_a_time() -> None:
    arrays = [np.roll(DEEP, number, axis=1) for number in range(24)]
    gate = threading.Barrier(8)

    def decode(number: int) -> bool:
        if number < 8:
            gate.wait(60)
        return np.array_equal(decode_jpegls(images.jpeg_ls(arrays[number]), room()), arrays[number])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(decode, range(24)))
    assert len(jpegls._idle) <= 4


SCRIPT = """
import os, sys
import numpy as np
from staticwado.dicom.jpegls import decode_jpegls
data = sys.stdin.buffer.read()
def decode():
    return int(decode_jpegls(data, np.empty((35, 50), np.uint16)).sum())
first = decode()
child = os.fork()
if child == 0:
    os._exit(0 if decode() == first else 1)
assert os.waitpid(child, 0)[1] == 0
assert decode() == first
print(first)
"""


def test_a_forked_process_has_workers_of_its_own_and_a_program_ends_with_its_workers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=CODED,
        capture_output=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.stderr == b""
    assert int(done.stdout) == DEEP.sum()
