"""Renderings are made once, kept, and gone with the body; what cannot be looked into is told barely."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from services.store import renderer as renderer_module
from services.store.mime.rendering import VERSION, Rendering, bare, render
from services.store.renderer import Renderer
from services.store.renderings import Renderings
from shared.mailbox.connect import MailboxUnavailable, connect
from shared.mailbox.renderings import KeptRenderings
from shared.settings import MIB, Store
from tests.kit import corpus
from tests.kit.letters import Room, a_letter
from tests.kit.scope import Scope
from tests.store import mortal

MULTIPART = (
    b"From: ann@x.test\r\nSubject: =?utf-8?q?gr=C3=BCn?=\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Stra=DFe\r\n--x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nU2VjcmV0\r\n--x--\r\n"
)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The renderings, and where they are kept."""

    renderings: Renderings
    renderer: Renderer
    kept: KeptRenderings
    room: Room
    scope: Scope

    async def put(self, *raws: bytes) -> list[str]:
        """Bodies, each of a letter of its own; returns their receipts."""
        receipts = []
        for raw in raws:
            letter = a_letter()
            await self.room.put(letter, raw=raw)
            receipts.append(letter["receipt_id"])
        return receipts

    def again(self, **settings: object) -> Renderings:
        """Another store, with nothing in its memory."""
        return Renderings(self.room.database, self.scope.settings(Store, **settings), self.renderer)


@pytest.fixture
async def shelf(scope: Scope) -> AsyncIterator[Shelf]:
    room, renderer = Room(scope.connect()), Renderer()
    renderings = Renderings(room.database, scope.settings(Store), renderer)
    async with renderings:
        yield Shelf(renderings, renderer, KeptRenderings(room.database), room, scope)
    room.database.client.close()


async def kill(renderer: Renderer) -> None:
    """A renderer that is asked now has to be made again."""
    process = renderer._process
    assert process is not None
    process.kill()
    await process.wait()


async def test_each_receipt_has_its_rendering(shelf: Shelf) -> None:
    raws = [MULTIPART, b"Subject: x\r\n\r\nhi\r\n", b"", b"\r\n"]
    receipts = await shelf.put(*raws)
    found = await shelf.renderings.fill(receipts)
    assert found == {receipt: render(raw) for receipt, raw in zip(receipts, raws, strict=True)}


async def test_a_purged_letter_has_no_rendering(shelf: Shelf) -> None:
    (receipt,) = await shelf.put(MULTIPART)
    assert list(await shelf.renderings.fill([receipt, "gone"])) == [receipt]
    assert await shelf.renderings.containing([receipt, "gone"], "secret", False) == set()


async def test_what_was_rendered_is_kept_and_not_made_again(shelf: Shelf) -> None:
    receipts = await shelf.put(MULTIPART)
    made = await shelf.renderings.fill(receipts)
    await shelf.room.database["bodies"].delete_many({})
    assert await shelf.again().fill(receipts) == made


async def test_a_rendering_of_another_version_is_made_again(shelf: Shelf) -> None:
    receipts = await shelf.put(MULTIPART)
    await shelf.renderings.fill(receipts)
    await shelf.room.database["renderings"].update_many({}, {"$set": {"version": VERSION - 1, "envelope": b"old"}})
    assert (await shelf.again().fill(receipts))[receipts[0]] == render(MULTIPART)


async def test_memory_holds_no_more_than_its_bytes(shelf: Shelf) -> None:
    raws = [b"Subject: %d\r\nX: %b\r\n\r\nhi\r\n" % (number, b"x" * 50_000) for number in range(40)]
    receipts = await shelf.put(*raws)
    renderings = shelf.again(rendering_cache_bytes=MIB)
    assert len(await renderings.fill(receipts)) == len(receipts)
    assert 0 < renderings._cache._bytes <= MIB
    assert len(renderings._cache.many(receipts)) < len(receipts)
    assert len(await renderings.fill(receipts)) == len(receipts)


async def test_a_rendering_goes_with_its_body(shelf: Shelf) -> None:
    stays, goes = a_letter(), a_letter()
    ids = await shelf.room.put(stays, goes, raw=MULTIPART)
    receipts = [stays["receipt_id"], goes["receipt_id"]]
    await shelf.renderings.fill(receipts)
    await shelf.room.bodies.release({goes["receipt_id"]: [ids[1]]})
    assert list(await shelf.kept.many(receipts, VERSION)) == [stays["receipt_id"]]


async def test_a_rendering_stays_while_a_copy_uses_the_body(shelf: Shelf) -> None:
    letter = a_letter()
    await shelf.room.bodies.insert(
        [(letter["receipt_id"], MULTIPART, ["one", "two"])], origin={letter["receipt_id"]: (0, 0)}
    )
    await shelf.renderings.fill([letter["receipt_id"]])
    await shelf.room.bodies.release({letter["receipt_id"]: ["one"]})
    assert await shelf.kept.many([letter["receipt_id"]], VERSION)
    await shelf.room.bodies.release({letter["receipt_id"]: ["two"]})
    assert not await shelf.kept.many([letter["receipt_id"]], VERSION)


async def test_a_rendering_that_comes_after_its_body_went_does_not_stay(shelf: Shelf) -> None:
    await shelf.kept.keep({"gone": {"envelope": b"()"}}, VERSION)
    assert not await shelf.kept.many(["gone"], VERSION)


async def test_two_who_look_at_once_have_it_rendered_once(shelf: Shelf) -> None:
    receipts = await shelf.put(*[MULTIPART] * 3)
    first, second = await asyncio.gather(shelf.renderings.fill(receipts), shelf.renderings.fill(receipts))
    assert first == second
    assert all(first[receipt] is second[receipt] for receipt in receipts)


async def test_texts_are_searched_decoded_and_in_any_case(shelf: Shelf) -> None:
    receipts = await shelf.put(MULTIPART, b"Subject: strasse\r\n\r\nother\r\n")

    async def holding(needle: str, in_headers: bool) -> list[int]:
        found = await shelf.renderings.containing(receipts, needle, in_headers)
        return [receipts.index(receipt) for receipt in sorted(found, key=receipts.index)]

    assert await holding("STRASSE", in_headers=False) == [0]
    assert await holding("straße", in_headers=True) == [0, 1]
    assert await holding("GRÜN", in_headers=True) == [0]
    assert await holding("grün", in_headers=False) == []
    # An image is no text.
    assert await holding("secret", in_headers=True) == []
    assert await holding("image/png", in_headers=True) == [0]


async def test_many_letters_are_taken_in_batches(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.store.renderings.BATCH_BYTES", 1000)
    raws = [b"Subject: %d\r\n\r\n%b\r\n" % (number, b"x" * 400) for number in range(70)]
    receipts = await shelf.put(*raws)
    found = await shelf.renderings.fill(receipts)
    assert [found[receipt] for receipt in receipts] == [render(raw) for raw in raws]
    assert await shelf.renderings.containing(receipts, "xxx", False) == set(receipts)


async def test_what_kills_the_renderer_is_told_barely_and_remembered(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renderer_module, "PROGRAM", mortal.__name__)
    deadly = b"Subject: x\r\n\r\n" + mortal.POISON
    receipts = await shelf.put(MULTIPART, deadly, MULTIPART)
    told = dict(zip(receipts, (render(MULTIPART), bare(deadly), render(MULTIPART)), strict=True))
    assert await shelf.renderings.fill(receipts) == told
    assert await shelf.renderings.containing(receipts, "straße", False) == {receipts[0], receipts[2]}
    monkeypatch.undo()
    await kill(shelf.renderer)
    assert await shelf.again().fill(receipts) == told


async def test_a_letter_that_is_too_large_for_the_renderer_is_told_barely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderer_module, "LARGEST_LETTER_BYTES", 1000)
    large = b"Subject: large\r\n\r\n" + b"x" * 1000
    async with Renderer() as renderer:
        assert await renderer.renderings([MULTIPART, large]) == [render(MULTIPART), bare(large)]
        assert await renderer.renderings([large]) == [bare(large)]


async def test_a_renderer_that_died_costs_no_rendering(shelf: Shelf) -> None:
    receipts = await shelf.put(MULTIPART, b"Subject: x\r\n\r\nhi\r\n")
    await shelf.renderings.fill(receipts[:1])
    await kill(shelf.renderer)
    assert (await shelf.renderings.fill(receipts))[receipts[1]] == render(b"Subject: x\r\n\r\nhi\r\n")


async def test_an_answer_that_is_late_is_not_taken_for_the_next(shelf: Shelf) -> None:
    receipts = await shelf.put(*[b"Subject: %d\r\n\r\n%b\r\n" % (number, b"--x\r\n" * 100_000) for number in range(20)])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await shelf.renderer.renderings([MULTIPART] * 5000)
    assert len(await shelf.renderings.fill(receipts)) == len(receipts)


async def test_a_letter_of_50_mib_goes_through_while_others_are_served(shelf: Shelf) -> None:
    raw = MULTIPART + b"x" * 76 + b"\r\n" + (b"y" * 76 + b"\r\n") * (50 * MIB // 78)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    await shelf.renderer.renderings([b""])
    ticking = asyncio.create_task(tick())
    (rendering,) = await shelf.renderer.renderings([raw])
    ticking.cancel()
    assert rendering == render(raw)
    assert ticks > 0


async def test_a_stopped_database_is_unavailable(scope: Scope) -> None:
    settings = scope.settings(Store, mongodb_url="mongodb://127.0.0.1:9/?directConnection=true")
    async with Renderings(connect(settings), settings) as renderings:
        with pytest.raises(MailboxUnavailable):
            await renderings.fill(["any"])
        with pytest.raises(MailboxUnavailable):
            await renderings.containing(["any"], "x", False)


async def test_every_letter_of_the_corpus_renders_within_limits() -> None:
    letters = [letter.raw for letter in corpus.letters("ann@example.test")]
    async with Renderer() as renderer:
        rendered: list[Rendering] = []
        for start in range(0, len(letters), 50):
            rendered += await renderer.renderings(letters[start : start + 50])
    assert len(rendered) == corpus.LETTERS
    for raw, rendering in zip(letters, rendered, strict=True):
        assert rendering.size == len(raw)
        assert rendering.envelope != bare(raw).envelope
        assert rendering.weight < 64 * 1024
