"""The small sister of the campaign `fuzz`."""

from tests.campaigns.fuzz import nothing_escapes

SECONDS = 2.0


def test_no_input_escapes_from_what_reads_the_bytes_of_strangers() -> None:
    nothing_escapes(SECONDS, seed=2026)
