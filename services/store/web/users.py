"""Users: one at a time, and many at once."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from services.store import bulk
from services.store.mailbox import NotThere
from services.store.user import NewUser, UserChange
from services.store.web import shown
from services.store.web.auth import Administrator, AnyPerson, Work
from services.store.web.paging import Paged, cursor
from services.store.web.problems import problem
from services.store.web.shown import ShownUser

router = APIRouter(tags=["users"])


class UserPage(BaseModel):
    items: list[ShownUser]
    next: str | None


class Removed(BaseModel):
    address: str
    removed: bool
    waiting: int


class BulkRow(BaseModel):
    row: int
    address: str | None
    ok: bool
    error: str | None


class BulkAnswer(BaseModel):
    dry_run: bool
    atomic: bool
    ok: int
    refused: int
    items: list[BulkRow]
    next: None = None


@router.get("/users")
async def list_users(_: Administrator, work: Work, page: Paged) -> UserPage:
    """All users, by address."""
    users, following = await work.accounts.page(page.after or "", page.limit)
    return UserPage(items=[shown.user(user) for user in users], next=cursor(following))


@router.post("/users", status_code=201)
async def add_user(_: Administrator, work: Work, new: NewUser, request: Request, response: Response) -> ShownUser:
    """Make a user."""
    user = await work.accounts.add(new)
    response.headers["Location"] = f"{request.url.path}/{user.address}"
    return shown.user(user)


@router.post(
    "/users/bulk",
    response_model=BulkAnswer,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {"schema": {"type": "string"}, "example": ",".join(bulk.COLUMNS) + "\n"},
                "application/json": {"schema": {"type": "array", "items": NewUser.model_json_schema()}},
            },
        }
    },
)
async def add_users(
    _: Administrator,
    work: Work,
    request: Request,
    dry_run: Annotated[bool, Query(description="only check")] = False,
    atomic: Annotated[bool, Query(description="all or none")] = False,
) -> Response | BulkAnswer:
    """Make many users; each row has its result. Nobody is made where `atomic` and one row is refused (422)."""
    rows = _rows(request.headers.get("content-type", ""), await request.body())
    await bulk.add(work.accounts, rows, dry_run=dry_run, atomic=atomic)
    refused = sum(row.fault is not None for row in rows)
    items = [BulkRow(row=r.number, address=r.address, ok=r.fault is None, error=r.fault) for r in rows]
    if atomic and refused and not dry_run:
        return problem(422, f"{refused} rows are refused, so no user was made", items=[i.model_dump() for i in items])
    return BulkAnswer(dry_run=dry_run, atomic=atomic, ok=len(rows) - refused, refused=refused, items=items)


def _rows(content_type: str, body: bytes) -> list[bulk.Row]:
    match content_type.partition(";")[0].strip().lower():
        case "text/csv":
            return bulk.from_csv(body)
        case "application/json":
            return bulk.from_json(body)
    raise HTTPException(415, "send text/csv or application/json")


@router.get("/users/{address}")
async def get_user(person: AnyPerson, work: Work, address: str) -> ShownUser:
    """One user; to himself, too."""
    if not person.is_administrator and person.name != address.lower():
        raise NotThere
    return shown.user(await work.accounts.get(address))


@router.patch("/users/{address}")
async def change_user(_: Administrator, work: Work, address: str, change: UserChange) -> ShownUser:
    """Change what is named; the rest stays."""
    return shown.user(await work.accounts.change(address, change))


@router.delete("/users/{address}")
async def remove_user(
    _: Administrator,
    work: Work,
    address: str,
    letters: Annotated[
        Literal["forward", "bin"] | None,
        Query(description="what becomes of letters that wait: without it they prevent the removal (409)"),
    ] = None,
) -> Removed:
    """Take a user away, with his mailbox. With `letters=forward` he goes when the last that waits is forwarded."""
    waiting = await work.accounts.remove(address, letters)
    return Removed(address=address.lower(), removed=not waiting, waiting=waiting)
