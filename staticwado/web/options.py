"""The options of the server."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


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
    allowed_origins: tuple[str, ...] = ("*",)
    """Origins whose pages may read answers (CORS); `*` for any."""
    access_log: bool = False
    """Whether to print a line for each request."""
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
        for name, seconds in (("keep-alive", self.keep_alive), ("stall-timeout", self.stall_timeout)):
            if not 0 < seconds <= 86_400:
                raise ValueError(f"{name} must be above 0 and at most a day; not {seconds}")
        if not 1024 <= self.max_header <= 1 << 20:
            raise ValueError(f"max-header must be from 1024 to 1048576; not {self.max_header}")
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
