"""Who makes a request, and what they may do to which studies.

One rule: a right that is not named is not had, and a scope that names nothing holds nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from staticwado.dicomweb.scope import Scope


class Right(Enum):
    """What may be done to a study."""

    READ = "read"
    """Search, retrieve and render."""
    STORE = "store"
    DELETE = "delete"


_NONE = Scope()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a request."""

    subject: str
    """A name for logs: `oidc:…`, `token:…`, `user:…`; empty for nobody in particular."""
    scopes: Mapping[Right, Scope | None] = field(default_factory=dict)
    """The rights, and the studies that each is for; None for all studies."""

    def has(self, right: Right) -> bool:
        """Whether the right is had for any study at all."""
        return right in self.scopes

    def is_unlimited(self, right: Right) -> bool:
        """Whether the right is had for every study."""
        return right in self.scopes and self.scopes[right] is None

    def scope(self, right: Right) -> Scope | None:
        """The studies that the right is for, as searches take it: None is all, an empty scope is none."""
        return self.scopes.get(right, _NONE)


NOBODY = Identity("")
"""Who may do nothing: what a request is until it is known who makes it."""
ANYONE = Identity("", dict.fromkeys(Right))
"""Who asks a server that has no authentication."""
