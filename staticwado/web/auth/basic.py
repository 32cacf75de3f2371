"""User names and passwords (RFC 7617): scrypt (RFC 7914), compared in constant time, and slow to guess.

One rule: no password is kept, and an unknown name costs as much as a wrong password.
"""

import asyncio
import binascii
import hashlib
import hmac
import os
import time
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from staticwado.errors import ConfigurationError, Unauthenticated
from staticwado.web.auth.identity import Identity
from staticwado.web.auth.options import UserOptions
from staticwado.web.auth.rules import read_studies

_COST, _BLOCK, _LANES = 1 << 15, 8, 3
"""32 MiB and about 0.3 s: OWASP's figures of 2024 for scrypt."""
_LONGEST = 1024
_KEPT_FOR = 300.0
_MOST_KEPT = 1024
_FREE_TRIES = 5
_LONGEST_PAUSE = 300.0
_MOST_WAITING = 16


@dataclass(frozen=True, slots=True)
class Hash:
    """A password's hash and how it was made: `scrypt$N$r$p$salt$hash`, the last two in Base64."""

    cost: int
    block: int
    lanes: int
    salt: bytes
    digest: bytes

    def __str__(self) -> str:
        parts = (
            self.cost,
            self.block,
            self.lanes,
            b64encode(self.salt).decode(),
            b64encode(self.digest).decode(),
        )
        return "$".join(("scrypt", *map(str, parts)))

    def fits(self, password: bytes) -> bool:
        """Whether it is this password; takes the time that the cost says."""
        return hmac.compare_digest(
            self.digest, _scrypt(password, self.salt, self.cost, self.block, self.lanes)
        )


def _scrypt(password: bytes, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    room = 128 * block * (cost + lanes) + (1 << 20)
    return hashlib.scrypt(password, salt=salt, n=cost, r=block, p=lanes, maxmem=room, dklen=32)


def hash_password(password: str) -> str:
    """What `auth.users` holds of a password."""
    salt = os.urandom(16)
    digest = _scrypt(password.encode(), salt, _COST, _BLOCK, _LANES)
    return str(Hash(_COST, _BLOCK, _LANES, salt, digest))


def read_hash(where: str, text: str) -> Hash:
    """The reverse. Raises ConfigurationError, which begins with `where`."""
    parts = text.split("$")
    try:
        kind, cost, block, lanes = parts[0], int(parts[1]), int(parts[2]), int(parts[3])
        found = Hash(
            cost, block, lanes, b64decode(parts[4], validate=True), b64decode(parts[5], validate=True)
        )
    except (IndexError, ValueError, binascii.Error):
        kind, found = "", Hash(0, 0, 0, b"", b"")
    is_power = found.cost >= 1 << 14 and found.cost & (found.cost - 1) == 0
    # Bounded, as the server pays for each try: 256 MiB, and four times the time of the usual cost.
    is_bounded = found.cost <= 1 << 18 and 8 <= found.block <= 16 and 1 <= found.lanes <= 8
    if kind != "scrypt" or not is_power or not is_bounded or len(found.salt) < 8 or len(found.digest) != 32:
        raise ConfigurationError(f"{where}: password must be what dicomwebserver --hash-password prints")
    return found


class Passwords:
    """The users of the configuration."""

    def __init__(self, options: Iterable[UserOptions], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._users: dict[str, tuple[Hash, Identity]] = {}
        for one in options:
            where = f"auth.users: {one.name}"
            identity = Identity(
                f"user:{one.name}", dict.fromkeys(one.rights, read_studies(where, one.studies))
            )
            self._users[one.name] = read_hash(where, one.password), identity
        self._nobody = Hash(_COST, _BLOCK, _LANES, os.urandom(16), os.urandom(32))
        self._secret = os.urandom(32)
        self._kept: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        """(client, SHA-256 of the user) -> failures in a row, and when the next try is free."""
        self._waiting = 0
        # One at a time: guessing must not take the machine from those who are known.
        self._threads = ThreadPoolExecutor(1, "passwords")

    def close(self) -> None:
        """End the thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def identify(self, credentials: str, client: str) -> Identity:
        """Who it is. Raises Unauthenticated, also for who has guessed too often."""
        name, password = _parsed(credentials)
        # Keyed with a secret of this process: what is kept tells nobody a password.
        key = hmac.digest(self._secret, credentials.encode("utf-8", "surrogateescape"), "sha256")
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept[1]:
            return kept[0]
        # Unknown names are counted like known ones: else a pause for all of them would tell which are known.
        place = client, hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        _, free = self._failures.get(place, (0, 0.0))
        if self._clock() < free:
            raise Unauthenticated("too many wrong passwords; wait")
        if self._waiting >= _MOST_WAITING:
            raise Unauthenticated("too many logins at the same time; try again")
        known, identity = self._users.get(name, (self._nobody, None))
        if not await self._fits(known, password) or identity is None:
            self._note_failure(place)
            raise Unauthenticated("the user name or the password is wrong")
        self._failures.pop(place, None)
        self._keep(key, identity)
        return identity

    async def _fits(self, known: Hash, password: bytes) -> bool:
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, known.fits, password)
        finally:
            self._waiting -= 1

    def _note_failure(self, place: tuple[str, str]) -> None:
        count = self._failures.pop(place, (0, 0.0))[0] + 1
        pause = min(2.0 ** min(count - _FREE_TRIES, 16), _LONGEST_PAUSE) if count >= _FREE_TRIES else 0.0
        self._failures[place] = count, self._clock() + pause
        if len(self._failures) > _MOST_KEPT:
            self._failures.popitem(last=False)

    def _keep(self, key: bytes, identity: Identity) -> None:
        self._kept[key] = identity, self._clock() + _KEPT_FOR
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)


def _parsed(credentials: str) -> tuple[str, bytes]:
    """(user, password) of RFC 7617 2. Raises Unauthenticated."""
    try:
        if len(credentials) > _LONGEST:
            raise ValueError
        name, colon, password = b64decode(credentials, validate=True).decode().partition(":")
        if not colon:
            raise ValueError
    except ValueError as error:
        raise Unauthenticated("the user name and password cannot be read (RFC 7617)") from error
    return name, password.encode()
