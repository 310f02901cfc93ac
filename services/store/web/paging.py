"""Lists page by page. A cursor names the last thing shown, not how many: it holds while things come and go."""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

LIMIT = 100
MOST = 500


class BadCursor(ValueError):
    """This is no cursor of ours."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for. `after` is what the cursor named."""

    limit: int
    after: str | None


def page(
    limit: Annotated[int, Query(ge=1, le=MOST, description="how many at most")] = LIMIT,
    after: Annotated[str | None, Query(description="`next` of the page before")] = None,
) -> Page:
    """Raises BadCursor."""
    return Page(limit, _named(after) if after else None)


Paged = Annotated[Page, Depends(page)]


def cursor(name: str | None) -> str | None:
    """The cursor behind the thing of that name; None where nothing follows."""
    return None if name is None else base64.urlsafe_b64encode(name.encode()).rstrip(b"=").decode()


def _named(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadCursor("`after` has to be the `next` of an earlier page") from None
