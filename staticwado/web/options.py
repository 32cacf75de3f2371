"""The options of the server."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from staticwado.web.auth.options import AuthOptions

OnConflict = Literal["refuse", "keep", "replace"]


def _prefix(name: str, path: str) -> str:
    """A URL prefix without its last slash: `/dicomweb`, or nothing for `/`. Raises ValueError."""
    if not path.startswith("/") or "//" in path or any(part in (".", "..") for part in path.split("/")):
        raise ValueError(f"{name} must be a path that begins with /; not {path!r}")
    if any(letter in path for letter in '?#%"\\<>') or not path.isprintable() or " " in path:
        raise ValueError(f"{name} must hold only letters that a URL may hold as they are; not {path!r}")
    return path.rstrip("/")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What `dicomwebserver` can be told. Raises ValueError for what makes no sense."""

    dir: Path
    """The archive's folder."""
    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = 5000
    """The port to listen on; 0 takes a free one."""
    server_path: str = "/dicomweb"
    """Where the DICOMweb service is; `/` too."""
    client_path: str = "/"
    """Where the viewer is."""
    public_url: str | None = None
    """What clients see in place of this server's `/`; without it, the Host header is believed."""
    viewer: Path | None = None
    """A folder that holds the viewer's index.html."""
    workers: int = 1
    """How many processes serve."""
    tls_cert: Path | None = None
    """The certificate chain, PEM."""
    tls_key: Path | None = None
    """The private key of the certificate, PEM."""
    open: bool = False
    """Whether anybody who reaches the server may use it, by whatever name, where there is no `auth`."""
    auth: AuthOptions | None = None
    """Who may use it: an object, see authentication.md; only in the file."""
    allowed_origins: tuple[str, ...] = ("*",)
    """Origins whose pages may read answers (CORS); `*` for any."""
    access_log: bool = False
    """Whether to write a line of JSON for each request, to stderr."""
    access_log_file: Path | None = None
    """The file that takes these lines, in place of stderr; naming one turns them on."""
    cache_size: int = 64 << 20
    """Bytes of small answers that each process keeps in memory."""
    decoders: int = 2
    """How many processes decode, encode and draw images, for each process that serves."""
    decode_timeout: float = 60.0
    """Seconds that one image may take."""
    result_cache_size: int = 1 << 30
    """Bytes of decoded and drawn images that are kept in files, for all processes together; 0 for none."""
    state: Path | None = None
    """Where these files are; without it, in the archive's private folder."""
    keep_alive: float = 75.0
    """Seconds for which a connection may be without a whole request."""
    stall_timeout: float = 60.0
    """Seconds after which a client is dropped that takes nothing of its answer."""
    max_header: int = 16384
    """Bytes that a URL, or one header of a request, may have."""
    store: bool = True
    """Whether instances can be stored (STOW-RS)."""
    on_conflict: OnConflict = "refuse"
    """What becomes of an instance of which the archive has another: refuse it, keep the first, replace."""
    max_body: int = 64 << 30
    """Bytes that the body of a store request may have, unpacked too."""
    max_part: int = 16 << 30
    """Bytes that one part of it may have."""
    max_parts: int = 10_000
    """Parts that it may have."""
    max_dataset: int = 64 << 20
    """Bytes that its metadata in DICOM JSON or XML may have together."""
    max_connections: int = 1000
    """Connections that each process holds; for one more, the one that was idle for longest has to go."""
    body_timeout: float = 30.0
    """Seconds for which a body may come slower than 1 KiB a second."""
    max_stores: int = 64
    """Store requests that each process works on at once; others wait for up to 30 seconds."""
    min_free: int = 256 << 20
    """Free bytes on the archive's disk below which nothing is stored."""

    search_timeout: float = 10.0
    """Seconds that one search may take."""
    max_results: int = 10_000
    """Matches that one answer to a search may hold; it says how many are left."""
    settle_after: float = 2.0
    """Seconds without a new instance after which the files of a study are made; 0: only by mkdicomweb."""
    delete: bool = False
    """Whether studies, series and instances can be deleted."""
    trash_retention: float = 30.0
    """Days for which what was deleted or replaced is kept in the trash; 0: not at all."""

    def __post_init__(self) -> None:
        _prefix("server-path", self.server_path)
        _prefix("client-path", self.client_path)
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be from 0 to 65535; not {self.port}")
        if not 1 <= self.workers <= 256:
            raise ValueError(f"workers must be from 1 to 256; not {self.workers}")
        if self.cache_size < 0:
            raise ValueError(f"cache-size must not be negative; not {self.cache_size}")
        if not 1 <= self.decoders <= 256:
            raise ValueError(f"decoders must be from 1 to 256; not {self.decoders}")
        if not 0 < self.decode_timeout <= 86_400:
            raise ValueError(f"decode-timeout must be above 0 and at most a day; not {self.decode_timeout}")
        if self.result_cache_size < 0:
            raise ValueError(f"result-cache-size must not be negative; not {self.result_cache_size}")
        for name, seconds in (
            ("keep-alive", self.keep_alive),
            ("stall-timeout", self.stall_timeout),
            ("body-timeout", self.body_timeout),
        ):
            if not 0 < seconds <= 86_400:
                raise ValueError(f"{name} must be above 0 and at most a day; not {seconds}")
        if not 1024 <= self.max_header <= 1 << 20:
            raise ValueError(f"max-header must be from 1024 to 1048576; not {self.max_header}")
        if self.on_conflict not in get_args(OnConflict):
            raise ValueError(f"on-conflict must be refuse, keep or replace; not {self.on_conflict!r}")
        bounds = {"max-body": self.max_body, "max-part": self.max_part, "max-parts": self.max_parts}
        for name, least in bounds.items():
            if least < 1:
                raise ValueError(f"{name} must be at least 1; not {least}")
        if not 1024 <= self.max_dataset <= 1 << 30:
            raise ValueError(f"max-dataset must be from 1024 to 1073741824; not {self.max_dataset}")
        if not 1 <= self.max_connections <= 1_000_000:
            raise ValueError(f"max-connections must be from 1 to 1000000; not {self.max_connections}")
        if not 1 <= self.max_stores <= 10_000:
            raise ValueError(f"max-stores must be from 1 to 10000; not {self.max_stores}")
        if self.min_free < 0:
            raise ValueError(f"min-free must not be negative; not {self.min_free}")
        if not 0 <= self.trash_retention <= 36_500:
            raise ValueError(f"trash-retention must be from 0 to 36500; not {self.trash_retention}")
        if self.open and self.auth is not None:
            raise ValueError("open and auth contradict each other: leave out one of them")
        if not 0 < self.search_timeout <= 3_600:
            raise ValueError(f"search-timeout must be above 0 and at most an hour; not {self.search_timeout}")
        if not 1 <= self.max_results <= 1_000_000:
            raise ValueError(f"max-results must be from 1 to 1000000; not {self.max_results}")
        if not 0 <= self.settle_after <= 86_400:
            raise ValueError(f"settle-after must be from 0 to a day; not {self.settle_after}")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls-cert and tls-key are needed together")
        if self.public_url is not None:
            parts = urlsplit(self.public_url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                raise ValueError(f"public-url must be an http or https URL; not {self.public_url!r}")

    @property
    def results_folder(self) -> Path:
        """Where results are kept."""
        return (self.state or self.dir / ".staticwado") / "cache"

    @property
    def catalog_file(self) -> Path:
        """Where the catalog is."""
        return (self.state or self.dir / ".staticwado") / "index.sqlite"

    @property
    def server_prefix(self) -> str:
        """`server_path` without a slash at its end; empty for `/`."""
        return _prefix("server-path", self.server_path)

    @property
    def client_prefix(self) -> str:
        """`client_path` without a slash at its end; empty for `/`."""
        return _prefix("client-path", self.client_path)

    @property
    def public_prefix(self) -> str:
        """The path of `public_url` without a slash at its end: what a proxy takes away."""
        return urlsplit(self.public_url).path.rstrip("/") if self.public_url is not None else ""
