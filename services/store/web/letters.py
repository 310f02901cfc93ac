"""Letters, in a mailbox and one by one."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from services.store.mailbox import Wanted
from services.store.web import shown
from services.store.web.auth import AnyPerson, Work
from services.store.web.paging import Paged, cursor
from services.store.web.parts import Parts
from services.store.web.shown import ShownAttempt, ShownLetter
from shared.letter import State
from shared.mailbox.letters import Letter

router = APIRouter(tags=["letters"])


class ShownFolder(BaseModel):
    name: str
    letters: int
    unread: int


class FolderPage(BaseModel):
    items: list[ShownFolder]
    next: None = None


class LetterPage(BaseModel):
    items: list[ShownLetter]
    next: str | None


class AttemptPage(BaseModel):
    items: list[ShownAttempt]
    next: None = None


class Deleted(BaseModel):
    forward: Literal["cancelled", "in_flight", "forwarded", "none"]


class Purged(BaseModel):
    purged: Literal[True] = True


@router.get("/users/{address}/mailboxes")
async def list_folders(person: AnyPerson, work: Work, address: str) -> FolderPage:
    """The folders of a mailbox."""
    folders = await work.mailbox.folders(person, address.lower())
    return FolderPage(items=[ShownFolder(name=f.name, letters=f.letters, unread=f.unread) for f in folders])


@router.get("/users/{address}/letters")
async def list_letters(
    person: AnyPerson,
    work: Work,
    page: Paged,
    address: str,
    mailbox: Annotated[str | None, Query(description="one folder; all without it")] = None,
    forward: Annotated[State | None, Query(description="only letters whose forward is so")] = None,
    q: Annotated[str | None, Query(description="a text in from, to, subject or sender", max_length=500)] = None,
) -> LetterPage:
    """Letters of a mailbox, newest first, without the bin. With `q` a page may be short although more follow."""
    wanted = Wanted(mailbox, forward, q)
    letters, following = await work.mailbox.page(person, address.lower(), wanted, page.after, page.limit)
    return LetterPage(items=await _shown(work, letters), next=cursor(following))


@router.get("/letters/{letter_id}")
async def get_letter(person: AnyPerson, work: Work, letter_id: str) -> ShownLetter:
    """One letter, in its folder or in the bin."""
    return (await _shown(work, [await work.mailbox.letter(person, letter_id)]))[0]


@router.get("/letters/{letter_id}/raw", response_class=Response, responses={200: {"content": {"message/rfc822": {}}}})
async def get_raw(person: AnyPerson, work: Work, letter_id: str) -> Response:
    """The letter byte for byte: as it came, behind our Received header."""
    raw = await work.mailbox.raw(person, letter_id)
    # Strangers wrote it: no browser is to take it for a page of ours.
    headers = {"Content-Disposition": f'attachment; filename="{letter_id}.eml"', "X-Content-Type-Options": "nosniff"}
    return Response(raw, media_type="message/rfc822", headers=headers)


@router.get("/letters/{letter_id}/attempts")
async def list_attempts(person: AnyPerson, work: Work, letter_id: str) -> AttemptPage:
    """The tries to forward it that are written down, oldest first."""
    return AttemptPage(items=shown.attempts(await work.mailbox.letter(person, letter_id)))


@router.delete("/letters/{letter_id}")
async def delete_letter(
    person: AnyPerson,
    work: Work,
    letter_id: str,
    purge: Annotated[bool, Query(description="take a letter in the bin away for good")] = False,
) -> Deleted | Purged:
    """Move a letter to the bin and cancel its forward; answers what became of that."""
    if purge:
        await work.mailbox.purge(person, letter_id)
        return Purged()
    return Deleted.model_validate({"forward": await work.mailbox.delete(person, letter_id)})


@router.post("/letters/{letter_id}/forward-now")
async def forward_now(person: AnyPerson, work: Work, letter_id: str) -> ShownLetter:
    """Try it now, whatever its clock says; arm a parked one again."""
    return (await _shown(work, [await work.mailbox.forward_now(person, letter_id)]))[0]


async def _shown(work: Parts, letters: Sequence[Letter]) -> list[ShownLetter]:
    states = await work.main_servers.states()
    return [shown.letter(letter, work.settings.lifetime_days, states) for letter in letters]
