"""What was told of letters once their bytes were looked into, so that it need not be done again.

    {_id: receipt id, version, ...}

The other fields are the renderer's. A cache: what is lost is made again; it goes with the body.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import ReplaceOne
from pymongo.write_concern import WriteConcern

from shared.mailbox.connect import Database, reaching

Document = dict[str, Any]


class KeptRenderings:
    """The collection `renderings`."""

    def __init__(self, database: Database) -> None:
        self._bodies = database["bodies"]
        self._renderings = database["renderings"]
        # Quickly, for it is a cache.
        self._hurried = database.get_collection("renderings", write_concern=WriteConcern(w=1))

    @reaching
    async def many(self, receipt_ids: Iterable[str], version: int) -> dict[str, Document]:
        """Those that were made by this version of the renderer."""
        cursor = self._renderings.find({"_id": {"$in": list(receipt_ids)}, "version": version})
        return {document["_id"]: document async for document in cursor}

    @reaching
    async def keep(self, renderings: Mapping[str, Document], version: int) -> None:
        """Keep the fields of each receipt's rendering; of one whose body has gone meanwhile nothing stays."""
        if not renderings:
            return
        writes = [
            ReplaceOne({"_id": receipt_id}, {**fields, "version": version}, upsert=True)
            for receipt_id, fields in renderings.items()
        ]
        await self._hurried.bulk_write(writes, ordered=False)
        there = self._bodies.find({"_id": {"$in": list(renderings)}}, {"_id": 1})
        bodiless = set(renderings) - {document["_id"] async for document in there}
        if bodiless:
            await self.drop(bodiless)

    @reaching
    async def drop(self, receipt_ids: Iterable[str]) -> None:
        """Their bodies are gone."""
        await self._renderings.delete_many({"_id": {"$in": list(receipt_ids)}})
