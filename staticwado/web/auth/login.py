"""From the header `Authorization` to an identity.

One rule: credentials are taken from that header alone (RFC 6750 2.1), never from a URL, which ends up
in logs.
"""

import time
from collections.abc import Callable, Sequence

from staticwado.errors import Unauthenticated
from staticwado.web.auth.basic import Passwords
from staticwado.web.auth.bearer import Bearer, OidcTokens, StaticTokens
from staticwado.web.auth.identity import ANYONE, Identity
from staticwado.web.auth.jose import check_library
from staticwado.web.auth.options import AuthOptions
from staticwado.web.auth.rules import read_rules

_REALM = 'realm="staticwado"'


class Login:
    """Finds out who asks."""

    def __init__(self, options: AuthOptions | None, now: Callable[[], float] = time.time) -> None:
        """Raises ConfigurationError for options that cannot be used."""
        self.is_needed = options is not None
        self._bearer: Bearer | None = None
        self._passwords: Passwords | None = None
        if options is None:
            return
        oidc = None
        if options.oidc is not None:
            check_library()
            oidc = OidcTokens(options.oidc, read_rules(options.rules), now=now)
        if oidc is not None or options.tokens:
            self._bearer = Bearer(StaticTokens(options.tokens), oidc, now)
        if options.users:
            self._passwords = Passwords(options.users)

    def close(self) -> None:
        """End what runs beside the requests."""
        if self._passwords is not None:
            self._passwords.close()

    async def identify(self, lines: Sequence[str], client: str) -> Identity:
        """Whose request has these lines of `Authorization` and comes from the address `client`.

        Raises Unauthenticated, and IssuerUnavailable where it cannot be found out now.
        """
        if not self.is_needed:
            return ANYONE
        if len(lines) != 1:
            raise Unauthenticated("a login is needed" if not lines else "there are several logins")
        scheme, _, credentials = lines[0].strip().partition(" ")
        credentials = credentials.strip()
        if scheme.lower() == "bearer" and self._bearer is not None and credentials:
            return await self._bearer.identify(credentials)
        if scheme.lower() == "basic" and self._passwords is not None and credentials:
            return await self._passwords.identify(credentials, client)
        raise Unauthenticated("this kind of login is not known here")

    def challenge(self, lines: Sequence[str]) -> str:
        """`WWW-Authenticate` of an answer to a request with these lines of `Authorization`."""
        offered = []
        if self._bearer is not None:
            # RFC 6750 3.1: no error where there was no token.
            wrong = any(line.strip().lower().startswith("bearer ") for line in lines)
            offered.append(
                f"Bearer {_REALM}{', error=' + chr(34) + 'invalid_token' + chr(34) if wrong else ''}"
            )
        if self._passwords is not None:
            offered.append(f'Basic {_REALM}, charset="UTF-8"')
        return ", ".join(offered)
