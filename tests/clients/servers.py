"""Orthanc with its DICOMweb plugin, beside us: in a folder of its own, and started again if it dies."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

_PLUGINS = ("libOrthancDicomWeb.so", "libOrthancGdcm.so")
_SECONDS = 30.0
_DYING = 3.0
"""How long a process that broke a connection may take to end, in seconds."""


def find_orthanc() -> tuple[str, list[str]] | None:
    """The program and its plugins, as Debian installs them (orthanc, orthanc-dicomweb, orthanc-gdcm)."""
    program = shutil.which("Orthanc") or shutil.which("orthanc")
    folder = Path("/usr/share/orthanc/plugins")
    plugins = [str(folder / name) for name in _PLUGINS if (folder / name).exists()]
    return (program, plugins) if program and any("DicomWeb" in name for name in plugins) else None


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Orthanc:
    """One Orthanc; `deaths` counts how often it had to be started again."""

    def __init__(self, program: str, plugins: list[str], place: Path) -> None:
        self._port = free_port()
        self._command = [program, str(place / "orthanc.json")]
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None
        self.deaths = 0
        settings = {
            "Name": "comparison",
            "StorageDirectory": str(place / "storage"),
            "IndexDirectory": str(place / "storage"),
            "HttpPort": self._port,
            "DicomServerEnabled": False,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "Plugins": plugins,
            "DicomWeb": {
                "Enable": True,
                "Root": "/dicom-web/",
                "StudiesMetadata": "Full",
                "SeriesMetadata": "Full",
            },
        }
        (place / "orthanc.json").write_text(json.dumps(settings))

    @property
    def url(self) -> str:
        """Of its DICOMweb service, without a slash at its end."""
        return f"http://127.0.0.1:{self._port}/dicom-web"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers. Raises OSError if it does not."""
        # GDCM can write hundreds of megabytes of warnings.
        nowhere = subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, stdout=nowhere, stderr=nowhere, cwd=self._place)
        give_up = time.monotonic() + _SECONDS
        while True:
            try:
                urlopen(f"http://127.0.0.1:{self._port}/system", timeout=_SECONDS).close()
                return
            except URLError as error:
                if self._process.poll() is not None or time.monotonic() > give_up:
                    raise OSError("Orthanc does not answer") from error
                os.sched_yield()

    def revive(self) -> bool:
        """Start it again if it has ended by itself; whether it had. Call it when a connection broke."""
        if self._process is None:
            return False
        try:
            self._process.wait(_DYING)
        except subprocess.TimeoutExpired:
            return False
        self.deaths += 1
        self.start()
        return True

    def store(self, paths: Iterable[Path]) -> int:
        """Store files by its REST API; how many it took."""
        taken = 0
        for path in paths:
            request = Request(f"http://127.0.0.1:{self._port}/instances", path.read_bytes())
            try:
                urlopen(request, timeout=_SECONDS).close()
                taken += 1
            except HTTPError:
                continue
        return taken

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_SECONDS)
