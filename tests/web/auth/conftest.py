"""An issuer for all tests, and servers that believe it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from staticwado.web.auth.identity import Right
from staticwado.web.auth.options import AuthOptions, OidcOptions, RuleOptions
from staticwado.web.options import ServerOptions
from tests.web.auth.issuer import AUDIENCE, Issuer, elliptic, rsa
from tests.web.conftest import Client, Running
from tests.web.tree import STUDY, Tree

ALL = (Right.READ, Right.STORE, Right.DELETE)
RADIOLOGY = RuleOptions("groups", ALL, values=("radiology",), studies="all")
ONE_STUDY = RuleOptions("groups", ALL, values=("one",), studies=(STUDY,))
BY_PATIENT = RuleOptions("groups", ALL, values=("patient",), studies={"PatientID": "P1"})
BY_CLAIM = RuleOptions("studies", (Right.READ,), studies_claim="studies")
RULES = (RADIOLOGY, ONE_STUDY, BY_PATIENT, BY_CLAIM)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer([rsa("first"), elliptic("second")])
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def lasting_issuer() -> Iterator[Issuer]:
    made = Issuer([rsa("first"), elliptic("second")])
    made.start()
    yield made
    made.stop()


def oidc(at: Issuer, **options: Any) -> OidcOptions:
    return OidcOptions(**{"issuer": at.url, "audience": (AUDIENCE,), **options})


StartGuarded = Callable[..., Client]


@pytest.fixture
def guarded(tree: Tree) -> Iterator[StartGuarded]:
    """Starts servers over the tree with the section `auth` given."""
    running: list[Running] = []

    def start(auth: AuthOptions, root: Path | None = None, **options: Any) -> Client:
        running.append(Running(ServerOptions(dir=root or tree.root, port=0, auth=auth, **options)))
        return running[-1].start()

    yield start
    for each in running:
        each.stop()


@pytest.fixture(scope="module")
def believing(tree: Tree, lasting_issuer: Issuer) -> Iterator[Client]:
    """A server that believes `lasting_issuer`, with all the rules."""
    auth = AuthOptions(oidc=oidc(lasting_issuer), rules=RULES)
    running = Running(ServerOptions(dir=tree.root, port=0, auth=auth))
    yield running.start()
    running.stop()
