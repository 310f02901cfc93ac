"""The table of a letter's moves: these and no other."""

from shared.letter import MOVES, UNFINISHED, Mode, State, event_id, letter_id

S = State
# Written down a second time on purpose: whoever changes the table must mean it.
ALLOWED = {
    ("claim", S.PENDING, S.IN_FLIGHT),
    ("claim", S.DEFERRED, S.IN_FLIGHT),
    ("deliver", S.IN_FLIGHT, S.FORWARDED),
    ("deliver", S.PENDING, S.FORWARDED),
    ("deliver", S.DEFERRED, S.FORWARDED),
    ("deliver", S.PARKED, S.FORWARDED),
    ("deliver", S.CANCELLED, S.FORWARDED),
    ("defer", S.IN_FLIGHT, S.DEFERRED),
    ("park", S.IN_FLIGHT, S.PARKED),
    ("give_back", S.IN_FLIGHT, S.DEFERRED),
    ("expire", S.PENDING, S.PARKED),
    ("expire", S.DEFERRED, S.PARKED),
    ("delete", S.PENDING, S.CANCELLED),
    ("delete", S.DEFERRED, S.CANCELLED),
    ("delete", S.PARKED, S.CANCELLED),
    ("rearm", S.PARKED, S.PENDING),
    ("rearm", S.CANCELLED, S.PENDING),
    ("rearm", S.FORWARDED, S.PENDING),
}


def test_only_the_moves_of_the_design_are_in_the_table() -> None:
    assert {(name, start, move.end) for name, move in MOVES.items() for start in move.start} == ALLOWED


def test_a_wish_turns_every_end_of_a_claim_but_delivery_into_cancelled() -> None:
    ends_of_a_claim = {name for name, move in MOVES.items() if State.IN_FLIGHT in move.start}
    assert {name for name in ends_of_a_claim if MOVES[name].wished is None} == {"deliver"}
    assert {MOVES[name].wished for name in ends_of_a_claim - {"deliver"}} == {State.CANCELLED}


def test_delete_never_cancels_what_is_in_flight() -> None:
    assert State.IN_FLIGHT not in MOVES["delete"].start


def test_unfinished_are_exactly_the_states_from_which_a_letter_is_still_sent() -> None:
    assert set(UNFINISHED) == {*MOVES["claim"].start, State.IN_FLIGHT}


def test_ids_are_derived_so_doing_a_step_again_makes_the_same() -> None:
    receipt = "01M83JCAFY9ANXG9J9BKMT17FA"
    assert letter_id(receipt, "ann@example.test") == "01M83JCAFY9ANXG9J9BKMT17FA-7RBB7EDRZEM7I2LH"
    assert letter_id(receipt, "bob@example.test") != letter_id(receipt, "ann@example.test")
    assert event_id("letter", "stored", 2) == "letter.stored.2"


def test_ids_of_letters_sort_by_arrival() -> None:
    earlier, later = "01M83JCAFY9ANXG9J9BKMT17FA", "01M83JCB99DW3PK052RE6Z1N3B"
    assert letter_id(earlier, "zoe@example.test") < letter_id(later, "ann@example.test")


def test_store_only_is_the_one_mode_that_forwards_nothing() -> None:
    assert [mode for mode in Mode if not mode.forwards] == [Mode.STORE_ONLY]
