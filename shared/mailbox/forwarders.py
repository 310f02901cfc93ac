"""Which forwarders live: a document each, beaten every few seconds. What one holds is taken over only when its beat
has been missed for a whole lease by somebody who had the database all the time (design rule 6)."""

from dataclasses import dataclass

from shared.mailbox.connect import Database, reaching


class Unregistered(Exception):
    """The forwarder's document is gone: others have taken over what it held. It must begin again under a new id."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A forwarder and how often it has beaten."""

    forwarder: str
    beats: int


class Forwarders:
    """The collection `forwarders`; `_id` is a forwarder's id, new at each start."""

    def __init__(self, database: Database) -> None:
        self._forwarders = database["forwarders"]

    @reaching
    async def register(self, forwarder: str, host: str) -> None:
        await self._forwarders.insert_one({"_id": forwarder, "beats": 0, "host": host})

    @reaching
    async def beat(self, forwarder: str, connections: dict[str, int] | None = None) -> None:
        """`connections` are those open at this moment, by destination. Raises Unregistered."""
        open_now = [[name, number] for name, number in (connections or {}).items()]
        update = {"$inc": {"beats": 1}, "$currentDate": {"at": True}, "$set": {"connections": open_now}}
        if not (await self._forwarders.update_one({"_id": forwarder}, update)).matched_count:
            raise Unregistered(forwarder)

    @reaching
    async def beats(self) -> list[Beat]:
        return [Beat(d["_id"], d["beats"]) async for d in self._forwarders.find({}, {"beats": 1})]

    @reaching
    async def connections(self) -> dict[str, int]:
        """Connections to each destination over all forwarders, as told with their last beats."""
        total: dict[str, int] = {}
        async for document in self._forwarders.find({}, {"connections": 1}):
            for name, number in document.get("connections", []):
                total[name] = total.get(name, 0) + number
        return total

    @reaching
    async def unregister(self, forwarder: str) -> None:
        await self._forwarders.delete_one({"_id": forwarder})
