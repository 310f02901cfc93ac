"""Every index, and which question it answers. Partial where it can be: a move then touches few of them."""

from pymongo import ASCENDING, IndexModel

from shared.mailbox.connect import Database, reaching

CHANGES_KEPT_SECONDS = 3600
TOMBSTONES_KEPT_SECONDS = 60 * 24 * 3600


def _partial(keys: list[str], exists: str) -> IndexModel:
    return IndexModel([(key, ASCENDING) for key in keys], partialFilterExpression={exists: {"$exists": True}})


INDEXES: dict[str, list[IndexModel]] = {
    "letters": [
        # A mailbox, newest first. Gravestones have no address.
        _partial(["address", "folder", "_id"], "address"),
        # What a folder has to do with: arrivals without a number, what left, what stirred; and its numbered letters.
        # None by modseq: setting flags of a whole folder would take three times as long (measured); the log of changes
        # serves instead.
        _partial(["news", "_id"], "news"),
        _partial(["folder_id", "uid"], "uid"),
        # What waits for a destination, by partition, when due; covers the counts of the metrics and lifetimes.
        _partial(["forward.destination", "partition", "forward.due", "received_at", "forward.armed_at"], "forward.due"),
        # What is in flight, by whose claim.
        _partial(["forward.claim.by", "forward.claim.at"], "forward.claim.at"),
        # Forwarded copies that are still to be taken away.
        _partial(["copy_due"], "copy_due"),
        # Moves that no event has told yet.
        _partial(["unannounced_since"], "unannounced_since"),
        # Senders that are to be told of a failure, by partition, the longest parked first.
        _partial(["partition", "notice_due"], "notice_due"),
        # The bin, by expiry.
        _partial(["binned.expires_at"], "binned.expires_at"),
        # Gravestones: those that still hold a body; the others are taken away once their record cannot come again.
        _partial(["gone.holds_body", "gone.partition", "gone.offset"], "gone"),
    ],
    "folders": [
        # A user's folders by name. One that was deleted has no name any more.
        IndexModel(
            [("address", ASCENDING), ("name", ASCENDING)],
            unique=True,
            partialFilterExpression={"name": {"$exists": True}},
        ),
    ],
    "tombstones": [
        # What has gone from a folder since a reader last looked. A program that comes later is told all that is not
        # there.
        _partial(["folder", "modseq"], "folder"),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=TOMBSTONES_KEPT_SECONDS),
    ],
    "changes": [
        # What the jobs of a folder changed. A view that has not looked for so long reads the folder anew.
        _partial(["folder", "modseq"], "folder"),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=CHANGES_KEPT_SECONDS),
    ],
    "bodies": [
        # Bodies in GridFS, so that orphaned files can be told from used ones.
        _partial(["file"], "file"),
    ],
    "destinations": [
        # What has changed since a forwarder last looked.
        _partial(["changed_at"], "changed_at"),
    ],
    "users": [
        # Whose letters go where: re-filing, and the list of destinations.
        _partial(["target.name"], "target.name"),
        _partial(["retargeted_at"], "retargeted_at"),
    ],
    "tries": [
        # Counts that mean nothing any more, for the database to take away by itself.
        IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0),
    ],
}


@reaching
async def create(database: Database) -> None:
    """Make what is missing; can be repeated, by several at once. Raises MailboxUnavailable."""
    for collection, models in INDEXES.items():
        await database[collection].create_indexes(models)
