"""Whether somebody may do something to a study.

One rule: a study that one may not see and one that is not there are the same: refused, in the same words.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from staticwado.dicom.uid import is_uid
from staticwado.dicomweb.criteria import Attribute, OneOf, Tag
from staticwado.dicomweb.fields import Level
from staticwado.dicomweb.jsontext import parse_dataset
from staticwado.dicomweb.query import STUDY_INSTANCE_UID, Query
from staticwado.dicomweb.scope import Scope
from staticwado.errors import Forbidden
from staticwado.ingest.convert import Converted
from staticwado.ingest.write import Allows
from staticwado.search.match import in_scope
from staticwado.web.auth.identity import Identity, Right

REFUSAL = "this is not allowed, whether it is there or not"
Search = Callable[[Query], bool]
"""Whether a search finds anything; blocks."""


class Access:
    """Decides on studies; conditions on attributes are asked of the search, which knows what is there."""

    def __init__(self, search: Search, is_there: Callable[[str], bool]) -> None:
        """`is_there`: whether there is anything of a study, found or not; blocks."""
        self._search = search
        self._is_there = is_there

    async def check(self, identity: Identity, right: Right, *studies: str) -> None:
        """Raises Forbidden unless the right is had, for all of `studies`."""
        if not identity.has(right):
            raise Forbidden(REFUSAL)
        scope = identity.scope(right)
        if scope is None or (right is Right.STORE and scope.groups):
            # Whether what is stored fulfils a condition is not known before it is read: see `storing`.
            return
        unnamed = [study for study in studies if study not in scope.studies]
        if unnamed and (not scope.groups or not await asyncio.to_thread(self._all_are_in, scope, unnamed)):
            raise Forbidden(REFUSAL)

    def may_see(self, identity: Identity, right: Right, study: str) -> bool:
        """Whether the right is had for a study that is there. Blocks."""
        if not identity.has(right):
            return False
        scope = identity.scope(right)
        return scope is None or study in scope.studies or self._all_are_in(scope, [study])

    def may_store(self, identity: Identity, study: str, instance: Mapping[str, Any]) -> bool:
        """Whether an instance of `study`, with these attributes (DICOM JSON), may be stored. Blocks.

        A study that is there already must be one that may be stored to as it is; where reading is had at all,
        it must be one that may be read, too.
        """
        if not identity.has(Right.STORE) or not in_scope(identity.scope(Right.STORE), instance):
            return False
        # Asked of the archive: a search may not know the newest yet, and then nobody may add to it.
        if not self._is_there(study):
            return True
        return self.may_see(identity, Right.STORE, study) and (
            not identity.has(Right.READ) or self.may_see(identity, Right.READ, study)
        )

    def storing(self, identity: Identity) -> Allows | None:
        """What decides on each instance that somebody stores; None where every one is allowed."""
        if identity.is_unlimited(Right.STORE) and (
            not identity.has(Right.READ) or identity.is_unlimited(Right.READ)
        ):
            return None

        def allows(instance: Converted) -> bool:
            return self.may_store(identity, instance.study, parse_dataset(instance.dataset.to_json()))

        return allows

    def _all_are_in(self, scope: Scope, studies: list[str]) -> bool:
        if not scope.groups:
            return scope.studies.issuperset(studies)
        return all(is_uid(study) and self._search(_query(study, scope)) for study in studies)


def _query(study: str, scope: Scope) -> Query:
    test = OneOf(frozenset({study}))
    filters = {Level.STUDY: (Attribute(Tag(STUDY_INSTANCE_UID), "UI", test),)}
    return Query(Level.STUDY, filters=filters, limit=1, scope=scope)
