"""Who calls: an administrator by token or password, a user by address and password."""

import base64
import binascii
from typing import Annotated

from fastapi import Depends, Request

from services.store.mailbox import Person
from services.store.web.parts import Parts
from services.store.web.problems import NotAllowed, NotLetIn
from shared.mailbox.admins import token_hash
from shared.mailbox.connect import MailboxUnavailable

_MOST_KNOWN = 100


def parts_of(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Work = Annotated[Parts, Depends(parts_of)]


class Tokens:
    """Tokens that were valid when the database was last asked. Only where it is away does that serve: who operates
    the system has to be able to ask for its state most of all then."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    async def person(self, parts: Parts, token: str) -> Person | None:
        """Raises MailboxUnavailable."""
        name = token_hash(token)
        try:
            person = await parts.accounts.verify_token(token)
        except MailboxUnavailable:
            if name in self._known:
                return parts.accounts.administrator
            raise
        if person is None:
            self._known.discard(name)
        elif len(self._known) < _MOST_KNOWN:
            self._known.add(name)
        return person


async def person(request: Request) -> Person:
    """Raises NotLetIn, MailboxUnavailable, TooBusy."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    parts = parts_of(request)
    found: Person | None = None
    if scheme.lower() == "bearer" and credentials:
        tokens: Tokens = request.app.state.tokens
        found = await tokens.person(parts, credentials.strip())
    elif scheme.lower() == "basic":
        found = await parts.accounts.verify(*_name_and_password(credentials))
    if found is None:
        raise NotLetIn
    return found


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
