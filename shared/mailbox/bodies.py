"""Letters' bytes, once for each receipt, as they came. A body lists the letters that use it, from its first write.

Inline as long as a document holds them, in GridFS above that; then the pointer is written last, so that a body that
can be seen is whole (design rule 2).
"""

import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from bson import Binary, ObjectId
from motor.motor_asyncio import AsyncIOMotorGridFSBucket
from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError

from shared.mailbox.connect import Database, reaching
from shared.mailbox.letters import _only_duplicates
from shared.mailbox.renderings import KeptRenderings

# A document holds 16 MiB; a receipt may list 1,000 letters beside its bytes.
INLINE_BYTES = 15 * 1024 * 1024
# The partition and offset of what did not come by mail.
_NO_RECORD = (-1, -1)


class BodyMissing(Exception):
    """No body of that receipt. For a letter that is not gone this must not happen."""


class Bodies:
    """The collection `bodies`, `_id` the receipt's id, and the GridFS bucket `large`."""

    def __init__(self, database: Database) -> None:
        self._bodies = database["bodies"]
        self._files = database["large.files"]
        self._chunks = database["large.chunks"]
        self._renderings = KeptRenderings(database)
        self._bucket = AsyncIOMotorGridFSBucket(database, bucket_name="large", chunk_size_bytes=1024 * 1024)

    @reaching
    async def insert(
        self, bodies: Sequence[tuple[str, bytes, list[str]]], *, origin: dict[str, tuple[int, int]]
    ) -> None:
        """Keep bodies: (receipt id, bytes, ids of the letters that use it). One that is there gains the letters.

        `origin` is each receipt's (partition, offset) in `received`.
        """
        documents = []
        for receipt_id, raw, letters in bodies:
            document: dict[str, Any] = {"_id": receipt_id, "letters": letters}
            if len(raw) <= INLINE_BYTES:
                document["raw"] = Binary(raw)
            else:
                document["file"] = await self._keep_file(receipt_id, raw, origin[receipt_id])
            documents.append(document)
        while documents:
            documents = await self._insert_or_join(documents)

    @reaching
    async def insert_own(self, receipt_id: str, raw: bytes, letter_id: str) -> None:
        """Keep the body of a letter that did not come by mail, and is still to be written."""
        document: dict[str, Any] = {"_id": receipt_id, "letters": [letter_id]}
        if len(raw) <= INLINE_BYTES:
            document["raw"] = Binary(raw)
        else:
            document["file"] = await self._keep_file(receipt_id, raw, _NO_RECORD)
        await self._bodies.insert_one(document)

    @reaching
    async def join(self, letters: dict[str, str]) -> set[str]:
        """Letters that are about to be written use these bodies: letter id -> receipt id. Returns those letters whose
        body is still there, and now lists them."""
        writes = [
            UpdateOne({"_id": receipt}, {"$addToSet": {"letters": letter}}) for letter, receipt in letters.items()
        ]
        if not writes:
            return set()
        await self._bodies.bulk_write(writes, ordered=False)
        there = self._bodies.find({"_id": {"$in": list(set(letters.values()))}}, {"letters": 1})
        return {letter async for body in there for letter in body["letters"] if letter in letters}

    async def _insert_or_join(self, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns those whose body was there, and was taken away before the letters had joined it."""
        try:
            await self._bodies.bulk_write([InsertOne(document) for document in documents], ordered=False)
        except BulkWriteError as error:
            return await self._join([documents[fault["index"]] for fault in _only_duplicates(error)])
        return []

    async def _join(self, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The bodies are there already: add the letters, and drop the file that nobody will point to."""
        writes = [UpdateOne({"_id": d["_id"]}, {"$addToSet": {"letters": {"$each": d["letters"]}}}) for d in documents]
        await self._bodies.bulk_write(writes, ordered=False)
        there = self._bodies.find({"_id": {"$in": [d["_id"] for d in documents]}}, {"letters": 1, "file": 1})
        joined = {body["_id"]: body async for body in there}
        left = []
        for document in documents:
            body = joined.get(document["_id"])
            if body is None or not set(document["letters"]) <= set(body["letters"]):
                left.append(document)
            elif "file" in document and document["file"] != body.get("file"):
                await self._drop_file(document["file"])
        return left

    async def _keep_file(self, receipt_id: str, raw: bytes, origin: tuple[int, int]) -> ObjectId:
        metadata = {"receipt_id": receipt_id, "partition": origin[0], "offset": origin[1]}
        file: ObjectId = await self._bucket.upload_from_stream(receipt_id, raw, metadata=metadata)
        return file

    async def _drop_file(self, file: ObjectId) -> None:
        await self._chunks.delete_many({"files_id": file})
        await self._files.delete_one({"_id": file})

    @reaching
    async def raw(self, receipt_id: str) -> bytes:
        """The letter's bytes. Raises BodyMissing."""
        document = await self._bodies.find_one({"_id": receipt_id}, {"raw": 1, "file": 1})
        if document is None:
            raise BodyMissing(receipt_id)
        return await self._bytes(document)

    @reaching
    async def raws(self, receipt_ids: Iterable[str]) -> dict[str, bytes]:
        """The bytes of each receipt that has a body."""
        cursor = self._bodies.find({"_id": {"$in": list(set(receipt_ids))}}, {"raw": 1, "file": 1})
        return {document["_id"]: await self._bytes(document) async for document in cursor}

    @reaching
    async def some(self, receipt_ids: Iterable[str], most_bytes: int) -> tuple[dict[str, bytes], list[str]]:
        """The bytes of receipts until they are `most_bytes` or more; and the receipts that were not looked at."""
        left = sorted(set(receipt_ids))
        found: dict[str, bytes] = {}
        size = 0
        cursor = self._bodies.find({"_id": {"$in": left}}, {"raw": 1, "file": 1}).sort("_id", 1)
        async for document in cursor:
            found[document["_id"]] = await self._bytes(document)
            size += len(found[document["_id"]])
            if size >= most_bytes:
                return found, [receipt_id for receipt_id in left if receipt_id > document["_id"]]
        return found, []

    @reaching
    async def heads(self, receipt_ids: Iterable[str], most_bytes: int) -> dict[str, bytes]:
        """The first bytes of each receipt, enough for its headers; cut here, for the database cannot."""
        found: dict[str, bytes] = {}
        cursor = self._bodies.find({"_id": {"$in": list(set(receipt_ids))}}, {"raw": 1, "file": 1})
        async for document in cursor:
            if "raw" in document:
                found[document["_id"]] = bytes(document["raw"][:most_bytes])
            else:
                found[document["_id"]] = (await self._first_chunk(document["file"]))[:most_bytes]
        return found

    async def _bytes(self, document: dict[str, Any]) -> bytes:
        if "raw" in document:
            return bytes(document["raw"])
        content = io.BytesIO()
        await self._bucket.download_to_stream(document["file"], content)
        return content.getvalue()

    async def _first_chunk(self, file: ObjectId) -> bytes:
        stream = await self._bucket.open_download_stream(file)
        return await stream.readchunk()

    @reaching
    async def release(self, letters_by_receipt: dict[str, list[str]]) -> None:
        """These letters no longer use their bodies; a body that nobody uses goes, by compare-and-set on its list."""
        if not letters_by_receipt:
            return
        writes = [UpdateOne({"_id": r}, {"$pullAll": {"letters": ids}}) for r, ids in letters_by_receipt.items()]
        await self._bodies.bulk_write(writes, ordered=False)
        unused = self._bodies.find({"_id": {"$in": list(letters_by_receipt)}, "letters": []}, {"file": 1})
        files = {document["_id"]: document.get("file") async for document in unused}
        if not files:
            return
        inline = [receipt_id for receipt_id, file in files.items() if file is None]
        if inline:
            await self._bodies.delete_many({"_id": {"$in": inline}, "letters": []})
        for receipt_id, file in files.items():
            if file is None:
                continue
            if (await self._bodies.delete_one({"_id": receipt_id, "letters": []})).deleted_count:
                await self._drop_file(file)
        # After the bodies: what is kept from now on finds its body gone. One too many is only made again.
        await self._renderings.drop(files)

    @reaching
    async def sweep_files(self, committed: dict[int, int], own_before: datetime) -> int:
        """Take away files that no body points to and whose record will not come again; returns how many.

        `committed` is the next offset to be read for each partition of `received`. What did not come by mail was given
        up if it was begun before `own_before`.
        """
        swept = 0
        async for file in self._files.find({}, {"metadata": 1, "uploadDate": 1}):
            origin = file["metadata"]
            if origin["partition"] == _NO_RECORD[0] and file["uploadDate"] > own_before:
                continue
            if committed.get(origin["partition"], 0) <= origin["offset"] and origin["partition"] != _NO_RECORD[0]:
                continue
            if await self._bodies.find_one({"_id": origin["receipt_id"], "file": file["_id"]}, {"_id": 1}) is None:
                await self._drop_file(file["_id"])
                swept += 1
        return swept
