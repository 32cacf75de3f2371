"""The one gate: every request passes here before anything is looked for.

One rule: what is not known to be open is closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from multidict import CIMultiDict

from staticwado.dicomweb.resource import parse_path
from staticwado.errors import ConfigurationError, Forbidden, StaticWadoError
from staticwado.web.auth.access import REFUSAL, Access
from staticwado.web.auth.identity import ANYONE, NOBODY, Identity, Right
from staticwado.web.auth.login import Login
from staticwado.web.options import ServerOptions

_READS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
_CHANGES = {hdrs.METH_POST: Right.STORE, hdrs.METH_PUT: Right.STORE, hdrs.METH_DELETE: Right.DELETE}
_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})
_PORTS = {"http": 80, "https": 443}
_MOST_HOSTS = 64
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", hdrs.ORIGIN, "Sec-Fetch-Site")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    dicomweb: str | None = None
    """The path below the DICOMweb service, if it is one."""
    is_wado_uri: bool = False
    is_open: bool = False
    """Whether it is for anybody: the viewer's own files, `/healthz`."""
    is_metrics: bool = False


def check_exposure(options: ServerOptions) -> None:
    """Raises ConfigurationError for a server that others reach and nobody guards, or cannot be guarded."""
    Login(options.auth).close()
    if options.auth is None and not options.open and not is_loopback(options.host):
        raise ConfigurationError(
            f"--host {options.host} lets other machines read everything, and there is no login: configure "
            "auth (docs/authentication.md), or say --open if that is meant"
        )


def for_person(headers: CIMultiDict[str], identity: Identity) -> CIMultiDict[str]:
    """`headers` of an answer to somebody who has logged in; the argument is not changed.

    A browser that several people use must ask again before it shows what it keeps (RFC 9111 5.2.2).
    """
    if not identity.subject or "no-store" in headers[hdrs.CACHE_CONTROL]:
        return headers
    headers = headers.copy()
    headers[hdrs.CACHE_CONTROL] = "private, no-cache"
    return headers


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") in _LOCAL_NAMES


class Guard:
    """Decides on requests; one a process."""

    def __init__(self, options: ServerOptions, access: Access) -> None:
        self._options = options
        self._login = Login(options.auth)
        self._access = access
        self._named = frozenset(origin for origin in options.allowed_origins if origin != "*")
        self._public = _netloc(options.public_url) if options.public_url is not None else None
        # A page elsewhere can have its own name point to this machine (DNS rebinding): only names are a
        # defence where there is no login. Whoever says `open` wants to be reached by any.
        self._check_names = options.auth is None and not options.open
        self._hosts: set[str] = set()
        """Host headers that have been allowed."""

    def close(self) -> None:
        """End what runs beside the requests."""
        self._login.close()

    @property
    def knows_people(self) -> bool:
        """Whether who asks makes a difference."""
        return self._login.is_needed

    def challenge(self, request: web.BaseRequest) -> str:
        """`WWW-Authenticate` of the answer to a request that has not proved who makes it."""
        return self._login.challenge(_authorization(request))

    def lets_pass(self, request: web.BaseRequest) -> bool:
        """Whether a request, which only reads, may be anybody's, as is known without finding out anything."""
        if self._login.is_needed or request.method not in _READS:
            return False
        return not self._check_names or request.headers.get(hdrs.HOST) in self._hosts

    async def admit(self, request: web.BaseRequest, target: Target) -> Identity:
        """Who makes the request, which may be answered.

        Raises Unauthenticated or Forbidden if it may not, IssuerUnavailable if that cannot be known now.
        """
        if target.is_open or request.method == hdrs.METH_OPTIONS:
            return NOBODY if self._login.is_needed else ANYONE
        self._check_host(request)
        if request.method not in _READS:
            self._check_origin(request)
        if target.is_metrics:
            return await self._admit_to_metrics(request)
        identity = await self._identify(request)
        right = _CHANGES.get(request.method, Right.READ)
        if not identity.is_unlimited(right):
            await self._access.check(identity, right, *_studies_of(request, target))
        return identity

    async def _identify(self, request: web.BaseRequest) -> Identity:
        if not self._login.is_needed:
            return ANYONE
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        client = str(peer[0]) if isinstance(peer, tuple) else ""
        return await self._login.identify(_authorization(request), client)

    async def _admit_to_metrics(self, request: web.BaseRequest) -> Identity:
        """Counts tell of everybody: for those who may read everything, and for this machine."""
        if not self._login.is_needed:
            return ANYONE
        if not _authorization(request) and self._is_local(request):
            return NOBODY
        identity = await self._identify(request)
        if not identity.is_unlimited(Right.READ):
            raise Forbidden(REFUSAL)
        return identity

    @staticmethod
    def _is_local(request: web.BaseRequest) -> bool:
        """Whether a program on this machine asks for itself, not as a proxy or a browser for somebody."""
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        if any(name in request.headers for name in _FORWARDED):
            return False
        if not is_loopback(_name(request.headers.get(hdrs.HOST, "localhost"))):
            return False
        return isinstance(peer, tuple) and is_loopback(str(peer[0]))

    def _check_host(self, request: web.BaseRequest) -> None:
        host = request.headers.get(hdrs.HOST)
        if not self._check_names or host is None:
            return
        name = _name(host)
        allowed = name == self._options.host.lower().strip("[]") or is_loopback(name)
        if not allowed and (self._public is None or name != _name(self._public)):
            raise Forbidden(
                f"this server has no login and answers to its own name alone, not to {name[:100]!r}; "
                "--public-url names another one, --open allows any"
            )
        if len(self._hosts) < _MOST_HOSTS:
            self._hosts.add(host)

    def _check_origin(self, request: web.BaseRequest) -> None:
        """Pages of other sites change nothing, unless they are named (not by `*`)."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin in self._named:
            return
        host = request.headers.get(hdrs.HOST, "")
        # The scheme is left out: behind a proxy the server does not see it.
        own = {_with_port(host, scheme) for scheme in _PORTS} | {self._public}
        if origin == "null" or _netloc(origin) not in own:
            raise Forbidden(
                "pages of other origins may not change anything here; allowedOrigins names those that may"
            )


def _studies_of(request: web.BaseRequest, target: Target) -> Sequence[str]:
    """The studies that a request names by its path or, in WADO-URI, by its parameters."""
    if target.is_wado_uri:
        return request.rel_url.query.getall("studyUID", [])
    if target.dicomweb is None:
        return ()
    try:
        study = parse_path(target.dicomweb).study
    except StaticWadoError:
        # It is no path of this service, which is said without looking at anything.
        return ()
    return () if study is None else (study,)


def _authorization(request: web.BaseRequest) -> list[str]:
    return request.headers.getall(hdrs.AUTHORIZATION, [])


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _netloc(url: str) -> str:
    parts = urlsplit(url)
    return _with_port(parts.netloc.rpartition("@")[2], parts.scheme)


def _with_port(host: str, scheme: str) -> str:
    """Host and port, the port of the scheme spelled out."""
    return host.lower() if host.rpartition("]")[2].count(":") else f"{host.lower()}:{_PORTS.get(scheme, 0)}"
