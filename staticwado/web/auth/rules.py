"""From claims to rights.

One rule: rules only add; what no rule gives is not had, and a claim that is empty or odd gives nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from staticwado.dicom.uid import is_uid
from staticwado.dicomweb import fields
from staticwado.dicomweb.criteria import Attribute, Filter
from staticwado.dicomweb.fields import Level
from staticwado.dicomweb.query import parse_query
from staticwado.dicomweb.resource import Resource, View
from staticwado.dicomweb.scope import Scope
from staticwado.errors import BadRequest, ConfigurationError
from staticwado.web.auth.identity import Identity, Right
from staticwado.web.auth.options import RuleOptions, Studies

Claims = Mapping[str, Any]
Scopes = Mapping[Right, Scope | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, read."""

    path: tuple[str, ...]
    values: frozenset[str] | None
    rights: tuple[Right, ...]
    scope: Scope | None
    studies_path: tuple[str, ...] | None

    def scope_for(self, claims: Claims) -> Scope | None:
        """The studies that it is for, of somebody with these claims."""
        if self.studies_path is None:
            return self.scope
        return Scope(frozenset(uid for uid in _texts(_claims_at(claims, self.studies_path)) if is_uid(uid)))

    def applies(self, claims: Claims) -> bool:
        """Whether the claim is there and holds what the rule wants."""
        found = _texts(_claims_at(claims, self.path))
        return bool(found) if self.values is None else not self.values.isdisjoint(found)


def read_rules(options: Iterable[RuleOptions]) -> tuple[Rule, ...]:
    """The rules of a configuration. Raises ConfigurationError for a condition that makes no sense."""
    return tuple(
        Rule(
            tuple(one.claim.split(".")),
            None if one.values is None else frozenset(one.values),
            one.rights,
            read_studies(f"auth.rules: claim {one.claim}", one.studies) if one.studies is not None else None,
            tuple(one.studies_claim.split(".")) if one.studies_claim is not None else None,
        )
        for one in options
    )


def read_studies(where: str, studies: Studies) -> Scope | None:
    """The studies that an option names; None for all. Raises ConfigurationError, which names `where`."""
    if studies == "all":
        return None
    if isinstance(studies, Mapping):
        return Scope(groups=(tuple(_conditions(where, studies)),))
    return Scope(frozenset(studies))


def _conditions(where: str, studies: Mapping[str, str]) -> Iterable[Filter]:
    """Each attribute as in a search for studies; one that a search would pass over is an error."""
    for name, value in studies.items():
        try:
            query = parse_query(Resource(View.STUDIES), [(name, value)])
        except BadRequest as error:
            raise ConfigurationError(f"{where}: {error}") from error
        found = query.filters.get(Level.STUDY, ())
        if len(found) != 1 or not isinstance(found[0], Attribute) or not fields.is_indexed(found[0].tag):
            raise ConfigurationError(f"{where}: {name}: {value!r} is no condition on an attribute of studies")
        yield found[0]


def combine(scopes: Iterable[Scopes]) -> Scopes:
    """The rights of all together: what one of them gives is given."""
    found: dict[Right, Scope | None] = {}
    for each in scopes:
        for right, scope in each.items():
            found[right] = _united(found[right], scope) if right in found else scope
    return found


def _united(one: Scope | None, other: Scope | None) -> Scope | None:
    if one is None or other is None:
        return None
    groups: Sequence[tuple[Filter, ...]] = tuple(dict.fromkeys((*one.groups, *other.groups)))
    return Scope(one.studies | other.studies, groups)


def identify(subject: str, claims: Claims, rules: Iterable[Rule]) -> Identity:
    """Who has these claims, with all rights that the rules give."""
    given = (dict.fromkeys(rule.rights, rule.scope_for(claims)) for rule in rules if rule.applies(claims))
    return Identity(subject, combine(given))


def _claims_at(claims: Claims, path: Sequence[str]) -> Any:
    """What the dotted path leads to; a name that holds dots itself (`https://…/groups`) is found whole."""
    whole = ".".join(path)
    if whole in claims:
        return claims[whole]
    found: Any = claims
    for name in path:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found


def _texts(value: Any) -> frozenset[str]:
    """The texts that a claim holds: one, or those of a list; empty ones are none."""
    values = value if isinstance(value, list) else [value]
    spelled = (
        "true" if one is True else str(one) if isinstance(one, int) and one is not False else one
        for one in values
    )
    return frozenset(one for one in spelled if isinstance(one, str) and one)
