"""An issuer of tokens on loopback, with keys of its own: the other side of `staticwado.web.auth`."""

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

AUDIENCE = "staticwado"


@cache
def rsa(kid: str, whose: str = "issuer") -> RSAKey:
    """A key; the same again for the same name, as making one takes long."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"}, private=True)


def elliptic(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig"}, private=True)


def encoded(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@dataclass
class Issuer:
    """Answers discovery and JWKS, and counts how often it is asked."""

    keys: list[Any]
    asked: list[str] = field(default_factory=list)
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    """What it answers in place of the truth, by path."""
    active: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Opaque tokens, and what introspection says of them."""
    server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def start(self) -> None:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                self._send(*issuer.answer(self.path))

            def do_POST(self) -> None:
                issuer.asked.append(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._send(*issuer.introspect(body, self.headers.get("Authorization")))

            def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        assert self.server is not None
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            document = {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "introspection_endpoint": f"{self.url}/introspect",
            }
            return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()
        if path == "/keys":
            return 200, {"Content-Type": "application/json"}, self.jwks()
        return 404, {}, b""

    def introspect(self, body: str, login: str | None) -> tuple[int, dict[str, str], bytes]:
        if login != "Basic b2hpZjpzM2NyZXQ=":  # ohif:s3cret
            return 401, {}, b"{}"
        token = body.partition("token=")[2].partition("&")[0]
        return 200, {}, json.dumps(self.active.get(token, {"active": False})).encode()

    def jwks(self) -> bytes:
        return json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims that are right, with `changes`; None leaves one out."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "alice",
            "iat": now,
            "exp": now + 300,
            "groups": ["radiology"],
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self, key: Any = None, algorithm: str = "RS256", head: Mapping[str, Any] | None = None, **changes: Any
    ) -> str:
        """A signed token."""
        key = key or self.keys[0]
        header = {"alg": algorithm, "kid": key.kid, **(head or {})}
        header = {name: value for name, value in header.items() if value is not None}
        payload = json.dumps(self.claims(**changes))
        registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        return jws.serialize_compact(header, payload, key, registry=registry)
