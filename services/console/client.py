"""The HTTP API as the verbs use it."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from services.console import here
from services.console.refused import Refused

# Many users at once cost a hash each.
PATIENCE_SECONDS = 300.0
_PAGE = 500


class Client:
    """Calls of `/api/v1` as the administrator. Every trouble leaves as Refused, with what the API said."""

    def __init__(self) -> None:
        base_url, token = here.api()
        self._base_url = base_url.rstrip("/")
        self._http = httpx.Client(
            base_url=f"{self._base_url}/api/v1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(PATIENCE_SECONDS, connect=5),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The response, of whatever code. Raises Refused where there is none."""
        try:
            return self._http.request(method, path, **more)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise Refused(
                f"no answer from {self._base_url} ({why}): is the store running? see `understudy doctor`"
            ) from None

    def call(self, method: str, path: str, **more: Any) -> Any:
        """What a call answers. Raises Refused."""
        return good(self.ask(method, path, **more)).json()

    def all(self, path: str, *, most: int | None = None, **parameters: Any) -> Iterator[dict[str, Any]]:
        """The items of a list, page by page. Raises Refused."""
        given = {name: value for name, value in parameters.items() if value is not None}
        left = most
        while True:
            page = self.call("GET", path, params={**given, "limit": _PAGE if left is None else min(left, _PAGE)})
            items = page["items"] if left is None else page["items"][:left]
            yield from items
            left = None if left is None else left - len(items)
            if page["next"] is None or left == 0:
                return
            given["after"] = page["next"]


def good(response: httpx.Response) -> httpx.Response:
    """`response`, if it is one of success. Raises Refused."""
    if response.is_success:
        return response
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise Refused("the API does not know this token: set UNDERSTUDY_TOKEN to an administrator's")
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"the API answered {response.status_code} {response.reason_phrase}"
    raise Refused(str(detail))


def path(*parts: str) -> str:
    """A path of the API out of names that may hold anything."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)
