"""Where our server and Dovecot may differ, each with its reason. What is not here fails, and so does an entry of a
script that hides nothing any more."""

import re
from dataclasses import dataclass

from tests.store.imap.oracle.play import Difference

OURS, DOVECOT = "ours", "Dovecot"


@dataclass(frozen=True, slots=True)
class Accepted:
    """Facts told `by` one server alone which match `fact` whole, at steps which have `step` in them (expressions).

    Without `script` it holds in all of them, and need not occur."""

    by: str
    fact: str
    reason: str
    step: str = ""
    script: str = ""

    def covers(self, script: str, difference: Difference) -> bool:
        """Whether this is what `difference` is about."""
        return (
            self.script in ("", script)
            and self.by == difference.by
            and re.fullmatch(self.fact, difference.fact, re.DOTALL) is not None
            and re.search(self.step, difference.step.text) is not None
        )


# Dovecot's own extensions, and those that it does not have in this version.
_THEIRS = (
    "CATENATE|CONTEXT=SEARCH|ESORT|I18NLEVEL=1|LOGIN-REFERRALS|NOTIFY|PREVIEW|PREVIEW=FUZZY|SAVEDATE|SNIPPET=FUZZY"
    "|SORT|SORT=DISPLAY|THREAD=[A-Z]+|URL-PARTIAL|WITHIN"
)
_OURS = "IMAP4REV2|UTF8=ACCEPT|OBJECTID|APPENDLIMIT(=\\d+)?|CREATE-SPECIAL-USE|QUOTA=RES-[A-Z]+"

ACCEPTED = [
    Accepted(DOVECOT, rf".*CAPABILITY ({_THEIRS})\]?", "extensions that we do not offer"),
    Accepted(OURS, rf".*CAPABILITY ({_OURS})\]?", "extensions that Dovecot 2.3 does not offer"),
]


def unexplained(accepted: list[Accepted], script: str, found: list[Difference]) -> list[Difference]:
    """What no entry covers."""
    return [one for one in found if not any(entry.covers(script, one) for entry in accepted)]


def outlived(accepted: list[Accepted], script: str, found: list[Difference]) -> list[Accepted]:
    """The entries for `script` that cover nothing."""
    named = [entry for entry in accepted if entry.script == script]
    return [entry for entry in named if not any(entry.covers(script, one) for one in found)]
