"""In which order a search asks, and what it refuses."""

import pytest

from services.store.imap.commands import All, AllOf, ChangedSince, Dated, Either, HasFlag, HasHeader, HasText, Key, Not
from services.store.imap.search import TooBroad
from services.store.imap.search.plan import MOST_NAMES, MOST_TEXTS, Every, InField, Level, Opposite, Some, Term, planned
from tests.store.imap.search.samples import NOW

SEEN, BODY, SUBJECT = HasFlag("\\Seen"), HasText("x", in_headers=False), HasHeader("Subject", "Lunch")
ROW_TERM, TEXT_TERM = Term(SEEN, Level.ROW), Term(BODY, Level.TEXT)
FIELD_TERM = Term(InField(b"subject", "lunch"), Level.HEADERS)

STEPS = [
    (SEEN, ROW_TERM),
    (AllOf((BODY, SUBJECT, SEEN)), Every((ROW_TERM, FIELD_TERM, TEXT_TERM), Level.TEXT)),
    (Either(BODY, SEEN), Some((ROW_TERM, TEXT_TERM), Level.TEXT)),
    (Either(Either(BODY, SEEN), SUBJECT), Some((ROW_TERM, FIELD_TERM, TEXT_TERM), Level.TEXT)),
    (AllOf((SUBJECT, AllOf((SEEN,)))), Every((ROW_TERM, FIELD_TERM), Level.HEADERS)),
    (Not(SUBJECT), Opposite(FIELD_TERM, Level.HEADERS)),
    # An empty text is in every letter.
    (HasText("", in_headers=True), Term(All(), Level.ROW)),
]


@pytest.mark.parametrize(("key", "step"), STEPS)
def test_what_is_cheap_is_asked_first(key: Key, step: object) -> None:
    assert planned(key).step == step


def test_a_plan_knows_what_it_needs() -> None:
    plan = planned(AllOf((HasHeader("TO", "a"), Not(HasHeader("to", "b")), SUBJECT)))
    assert (plan.names, plan.needs_day, plan.has_modseq) == ((b"subject", b"to"), False, False)
    plan = planned(Either(Dated("on", NOW.date(), is_sent=True), Not(ChangedSince(5))))
    assert (plan.names, plan.needs_day, plan.has_modseq) == ((), True, True)


@pytest.mark.parametrize("in_headers", [True, False])
def test_texts_are_counted(in_headers: bool) -> None:
    keys = [HasText(str(number), in_headers) for number in range(MOST_TEXTS)]
    planned(AllOf((*keys, *keys)))
    with pytest.raises(TooBroad):
        planned(AllOf((*keys, HasText("more", in_headers))))


def test_names_of_fields_are_counted() -> None:
    keys = [HasHeader(f"X-{number}", "a") for number in range(MOST_NAMES)]
    planned(AllOf((*keys, HasHeader("x-1", "b"))))
    with pytest.raises(TooBroad):
        planned(AllOf((*keys, HasHeader("more", "a"))))
