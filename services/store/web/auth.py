"""Who calls: an administrator by token or password, a user by address and password."""

import base64
import binascii
import time
from typing import Annotated

from fastapi import Depends, Request

from services.store.mailbox import Person
from services.store.web.parts import Parts
from services.store.web.problems import NotAllowed, NotLetIn, TooManyTries
from shared.mailbox.admins import token_hash
from shared.mailbox.connect import MailboxUnavailable

MOST_KNOWN = 100
ASK_AGAIN_SECONDS = 10.0


def parts_of(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Work = Annotated[Parts, Depends(parts_of)]


class Tokens:
    """Tokens that were valid a moment ago, so that not each call asks the database. Where that is away they serve for
    longer: who operates the system has to be able to ask for its state most of all then."""

    def __init__(self) -> None:
        self._asked_at: dict[str, float] = {}

    async def person(self, parts: Parts, token: str) -> Person | None:
        """Raises MailboxUnavailable."""
        name, now = token_hash(token), time.monotonic()
        if now - self._asked_at.get(name, -ASK_AGAIN_SECONDS) < ASK_AGAIN_SECONDS:
            return parts.accounts.administrator
        try:
            person = await parts.accounts.verify_token(token)
        except MailboxUnavailable:
            if name not in self._asked_at:
                raise
            person = parts.accounts.administrator
        self._asked_at.pop(name, None)
        if person is not None and len(self._asked_at) < MOST_KNOWN:
            self._asked_at[name] = now
        return person


async def person(request: Request) -> Person:
    """Raises NotLetIn, TooManyTries, MailboxUnavailable, TooBusy."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    parts = parts_of(request)
    found: Person | None = None
    if scheme.lower() == "bearer" and credentials:
        tokens: Tokens = request.app.state.tokens
        found = await tokens.person(parts, credentials.strip())
    elif scheme.lower() == "basic":
        found = await _by_password(request, parts, credentials)
    if found is None:
        raise NotLetIn
    return found


async def _by_password(request: Request, parts: Parts, credentials: str) -> Person | None:
    """Raises NotLetIn, TooManyTries, MailboxUnavailable, TooBusy."""
    name, password = _name_and_password(credentials)
    peer = request.client.host if request.client else "unknown"
    found = await parts.logins.let_in(name, password, peer, "http")
    if isinstance(found, Person):
        return found
    if found.code == "LIMIT":
        raise TooManyTries(found.wait_seconds)
    return None


def _name_and_password(credentials: str) -> tuple[str, str]:
    """RFC 7617, in UTF-8 as we ask for it."""
    try:
        name, colon, password = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise NotLetIn from None
    if not colon:
        raise NotLetIn
    return name, password


AnyPerson = Annotated[Person, Depends(person)]


async def administrator(caller: AnyPerson) -> Person:
    """Raises NotAllowed."""
    if not caller.is_administrator:
        raise NotAllowed("this is for administrators")
    return caller


Administrator = Annotated[Person, Depends(administrator)]
