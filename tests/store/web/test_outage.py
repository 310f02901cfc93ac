"""The API while what it stands on is away. With servers of its own, which it stops."""

from pathlib import Path

import httpx

from shared.mailbox.letters import Letters
from tests.kit.patience import until
from tests.kit.scope import Scope
from tests.kit.servers import servers
from tests.store.web.conftest import TOKEN, opened_door, store_settings


async def test_an_api_without_its_servers_says_so_and_its_status_still_answers(tmp_path: Path) -> None:
    with servers() as pair:
        scope = Scope.new(pair.kafka.bootstrap, pair.mongod.url)
        await scope.make_topics()
        async with opened_door(scope, store_settings(scope, tmp_path)) as door:
            await door.add_user()
            letter = await door.add_letter()
            pair.mongod.stop()
            answer = await door.admin.get("/users")
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["retry-after"]
            assert "database" in answer.json()["detail"]
            assert (await door.client(headers={"Authorization": "Bearer another"}).get("/status")).status_code == 503
            # A token that was good before is good for this, and for nothing that is in the database.
            status = (await _again(door.client(), "/status")).json()
            assert (status["ok"], status["mongodb"], status["kafka"]) == (False, {"up": False}, {"up": True})
            assert status["waiting"] is None

            pair.mongod.start()

            async def is_back() -> bool:
                return (await door.admin.get("/users")).status_code == 200

            await until(is_back, within=30, what="the API's return")
            pair.kafka.stop()
            status = (await door.admin.get("/status")).json()
            assert (status["ok"], status["mongodb"], status["kafka"]) == (False, {"up": True}, {"up": False})
            assert status["waiting"] == 1
            # A delete needs no broker: its event is told when that is back.
            assert (await door.admin.delete(f"/letters/{letter}")).json() == {"forward": "cancelled"}
            assert (await door.admin.get("/events")).status_code == 503
            pair.kafka.start()

            async def is_told() -> bool:
                found = await Letters(door.database).get(letter)
                return found is not None and "unannounced" not in found

            await until(is_told, within=60, what="the deletion's event")


async def _again(client: httpx.AsyncClient, path: str) -> httpx.Response:
    return await client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
