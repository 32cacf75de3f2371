"""Tokens that do not change, for tests."""

import hashlib


def static(token: str) -> str:
    """What the configuration holds of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
