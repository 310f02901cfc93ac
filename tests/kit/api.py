"""The HTTP API as the tests use it: an administrator's client."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Self

import httpx

from deploy.local.ports import NO_CERTIFICATES
from tests.kit.mainserver import MainServer

PASSWORD = "correct horse"
# An idle connection is let go before the server closes it, after 5 s, perhaps just when the next request is sent.
LIMITS = httpx.Limits(keepalive_expiry=2.0)


class Deleter:
    """One connection that deletes letter after letter, and does nothing else: a client for everything takes longer for
    a request than the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader = reader
        self._writer = writer
        self._token = token

    async def delete(self, letter_id: str) -> str:
        """As `Api.delete`."""
        self._writer.write(
            f"DELETE /api/v1/letters/{letter_id} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {self._token}\r\n\r\n".encode()
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        lines = dict(line.split(": ", 1) for line in head.splitlines()[1:-1])
        body = await self._reader.readexactly(int(lines["content-length"]))
        assert head.startswith("http/1.1 200 "), f"{head}{body.decode()}"
        answer: str = json.loads(body)["forward"]
        return answer


class Api:
    """Calls of `/api/v1`; anything but a 2xx fails the test, with the problem's text."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        self._client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/api/v1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
            limits=LIMITS,
            verify=NO_CERTIFICATES,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The plain response, whatever its code."""
        return await self._client.request(method, path, **more)

    async def try_to(self, method: str, path: str, **more: Any) -> Any:
        """The answer, or None where there was none or no good one: the store may be away."""
        try:
            response = await self.ask(method, path, **more)
        except httpx.HTTPError:
            return None
        return response.json() if response.is_success else None

    async def get(self, path: str, **parameters: Any) -> Any:
        return _good(await self.ask("GET", path, params=parameters)).json()

    async def add_user(
        self,
        address: str,
        main: MainServer | str | None = None,
        *,
        mode: str = "store_and_forward",
        target_address: str | None = None,
        password: str | None = PASSWORD,
        tls: str = "opportunistic",
    ) -> dict[str, Any]:
        """Make a user; his letters go to `main` as `target_address`, by default the same name at main.test."""
        fields: dict[str, Any] = {"address": address, "password": password, "mode": mode}
        if main is not None:
            fields["target_server"] = main.name if isinstance(main, MainServer) else main
            fields["target_address"] = target_address or target_of(address)
            fields["tls"] = tls
        user: dict[str, Any] = _good(await self.ask("POST", "/users", json=fields)).json()
        return user

    async def change_user(self, address: str, **fields: Any) -> dict[str, Any]:
        user: dict[str, Any] = _good(await self.ask("PATCH", f"/users/{address}", json=fields)).json()
        return user

    async def letters(self, address: str, **filters: Any) -> list[dict[str, Any]]:
        """All letters of a user that are not in the bin, newest first, page by page."""
        found: list[dict[str, Any]] = []
        parameters: dict[str, Any] = {"limit": 500, **filters}
        while True:
            page = await self.get(f"/users/{address}/letters", **parameters)
            found += page["items"]
            if page["next"] is None:
                return found
            parameters["after"] = page["next"]

    async def letter(self, letter_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.get(f"/letters/{letter_id}")
        return found

    async def raw(self, letter_id: str) -> bytes:
        return _good(await self.ask("GET", f"/letters/{letter_id}/raw")).content

    async def delete(self, letter_id: str) -> str:
        """Delete a letter; returns what became of its forward."""
        answer: str = _good(await self.ask("DELETE", f"/letters/{letter_id}")).json()["forward"]
        return answer

    @contextlib.asynccontextmanager
    async def deleter(self) -> AsyncIterator[Deleter]:
        """For very many deletes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            yield Deleter(reader, writer, self._token)
        finally:
            writer.close()

    async def forward_now(self, letter_id: str) -> None:
        _good(await self.ask("POST", f"/letters/{letter_id}/forward-now"))


def target_of(address: str) -> str:
    """The target address that `add_user` gives by default."""
    return f"{address.partition('@')[0]}@main.test"


def _good(response: httpx.Response) -> httpx.Response:
    assert response.is_success, (
        f"{response.request.method} {response.request.url}: {response.status_code} {response.text}"
    )
    return response
