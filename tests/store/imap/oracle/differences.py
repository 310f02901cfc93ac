"""Where our server and Dovecot may differ, each with its reason. What is not here fails, and so does an entry of a
script that hides nothing any more."""

import re
from dataclasses import dataclass

from tests.store.imap.oracle.play import Difference


@dataclass(frozen=True, slots=True)
class Accepted:
    """Facts that `ours` alone told, or `theirs`: each an expression for a whole fact. They hold at steps in whose text
    `step` is found, in `script`; without one, in all of them, and need not occur."""

    reason: str
    ours: str | None = None
    theirs: str | None = None
    step: str = ""
    script: str = ""

    def covers(self, script: str, difference: Difference) -> bool:
        """Whether this is what `difference` is about."""
        fact = self.ours if difference.by == "ours" else self.theirs
        return (
            fact is not None
            and self.script in ("", script)
            and re.search(self.step, difference.step.text) is not None
            and re.fullmatch(fact, difference.fact, re.DOTALL) is not None
        )


# Dovecot's own extensions, and those that it does not have in this version.
_THEIRS = (
    "CATENATE|CONTEXT=SEARCH|ESORT|I18NLEVEL=1|LOGIN-REFERRALS|NOTIFY|PREVIEW|PREVIEW=FUZZY|SAVEDATE|SNIPPET=FUZZY"
    "|SORT|SORT=DISPLAY|THREAD=[A-Z]+|URL-PARTIAL|WITHIN"
)
_OURS = "IMAP4REV2|UTF8=ACCEPT|OBJECTID|APPENDLIMIT(=\\d+)?|CREATE-SPECIAL-USE|QUOTA=RES-[A-Z]+"

EVERYWHERE = [
    Accepted(
        "neither has all extensions of the other",
        ours=rf".*CAPABILITY ({_OURS})\]?",
        theirs=rf".*CAPABILITY ({_THEIRS})\]?",
    ),
    Accepted(
        "which flags there are may be told at any time, and need not be again",
        ours=r"FLAGS .*|\* OK \[PERMANENTFLAGS .*\]",
        theirs=r"FLAGS .*|\* OK \[PERMANENTFLAGS .*\]",
        step=r"^(?!SELECT|EXAMINE)",
    ),
    Accepted("the words for a letter's forward are ours", ours=r"FLAGS \$forward(pending|deferred|parked|cancelled)"),
    Accepted(
        "both are told unasked (RFC 7162 section 3.1.2, RFC 8474 section 4.1)",
        ours=r"\* OK \[(HIGHESTMODSEQ|MAILBOXID) \*\]",
        step="^(SELECT|EXAMINE) ",
    ),
    Accepted("Dovecot has no OBJECTID", ours=r"OK \[MAILBOXID \*\]", step="^CREATE "),
    Accepted(
        "it was told at SELECT",
        theirs=r"\* OK \[HIGHESTMODSEQ \*\]",
        step="MODSEQ|CONDSTORE",
    ),
    Accepted("Dovecot advises against STATUS of the selected folder", theirs=r"OK \[CLIENTBUG\]", step="^STATUS "),
    Accepted(
        "all attributes are told, wanted or not (RFC 5258 section 4, RFC 6154 section 2)",
        ours=r"(LIST|LSUB) '.*' is \\(haschildren|hasnochildren|sent|drafts|junk|trash|archive)",
        step="^(LIST|LSUB) ",
    ),
    Accepted(
        "a part that is not there is NIL (RFC 9051 section 7.5.2), and to Dovecot an empty one",
        ours=r"FETCH \d+ (BODY|BINARY)\[.*\] = NIL",
        theirs=r"FETCH \d+ (BODY|BINARY)\[.*\] = ''",
        step="FETCH",
    ),
    Accepted(
        "the flags are told where STORE changes none of them, too (RFC 9051 section 6.4.6)",
        ours=r"FETCH \d+ (FLAGS|UID|MODSEQ) = .*",
        step="STORE ",
    ),
    Accepted("a refusal says why", ours=r"NO \[(NONEXISTENT|CANNOT|NOPERM)\]"),
]

_ANY = ".*"

ACCEPTED = [
    *EVERYWHERE,
    Accepted(
        "a day or an hour that there is not",
        script="append_dates",
        step='"(32|01-Feb-2024 25|1-Feb)',
        ours=r"BAD|OK \[APPENDUID \* \[1\]\]",
        theirs="OK.*",
    ),
    Accepted("that it is a warning for people is Dovecot's", script="authenticate", theirs=r"NO \[ALERT\]"),
    Accepted(
        "RFC 3516 section 4.2 has numbers of parts there, and no HEADER",
        script="binary",
        step=r"\[HEADER\]",
        ours="BAD",
        theirs=_ANY,
    ),
    Accepted(
        "a whole letter has no encoding that could be undone: its octets are told",
        script="binary",
        step=r"SIZE\[\]",
        ours=_ANY,
        theirs=_ANY,
    ),
    Accepted(
        "a letter is kept as it was given, and not encoded anew",
        script="binary",
        step="^FETCH 5",
        ours=_ANY,
        theirs=_ANY,
    ),
    Accepted("ENABLE names at least one (RFC 9051 section 9)", script="condstore_enabling", ours="BAD", theirs="OK"),
    Accepted(
        "it may not be given in the selected state (RFC 9051 section 6.3.1), and does no harm",
        script="condstore_enabling",
        step="^ENABLE CONDSTORE$",
        ours=r"\* OK \[HIGHESTMODSEQ \*\]",
    ),
    Accepted("EXAMINE changes nothing", script="copy_move", step="^MOVE 1 Archive", ours=r"NO.*", theirs=_ANY),
    Accepted(
        "which charsets there are is told", ours=r"NO \[BADCHARSET \(US-ASCII UTF-8\)\]", theirs=r"NO \[BADCHARSET\]"
    ),
    Accepted("ENABLE is of the authenticated state", script="greeting", step="^ENABLE", ours="BAD", theirs="OK"),
    Accepted("as above", script="pipelined", step="NOOP", ours=r"\* OK \[(HIGHESTMODSEQ|MAILBOXID) \*\]"),
    Accepted("EXPUNGE has no argument", script="expunge", step="^EXPUNGE 1", ours="BAD", theirs="OK"),
    Accepted(
        "the part of a part that has none",
        script="fetch_sections",
        step=r"\[1.1.1\]",
        theirs=r"FETCH 2 BODY\[1.1.1\] = .*",
    ),
    Accepted(
        "the grammar has no part 0, no part of so many digits, no piece of no length and none without a length",
        script="fetch_sections",
        step=r"<0.0>|<5>|\[0\]|\[99999999999\]",
        ours="BAD",
        theirs=_ANY,
    ),
    Accepted("an empty line is no command, and no mistake", script="hostile", step="^NOOP$", theirs=r"\* BAD"),
    Accepted(
        "Dovecot hangs up, we go on",
        script="hostile",
        step="99999|^NOOP",
        ours="BAD|OK",
        theirs=r"\* BYE|CLOSED",
    ),
    Accepted(
        "the two are one name (RFC 9051 section 6.3.9), and Dovecot calls a name that begins with / absolute",
        script="list",
        step='"a/b" "/c"',
        ours="LIST 'a/b/c' '/'",
    ),
    Accepted(
        "a pattern has to match INBOX in capitals (RFC 9051 section 6.3.9)",
        script="list",
        step='"in%"',
        theirs="LIST 'INBOX' .*",
    ),
    Accepted("a name may be too long", script="long_line", step="l2", ours=r"NO( \[LIMIT\])?", theirs="BAD"),
    Accepted(
        "a letter cannot be moved to where it is; Dovecot copies it and takes the first one away",
        script="move_same",
        ours=_ANY,
        theirs=_ANY,
    ),
    Accepted("folders above one that is made are made, too", script="parents", theirs=r"LIST '[a-z/]+' is \\noselect"),
    Accepted("and can be opened", script="parents", step="^SELECT", ours=_ANY, theirs="NO"),
    Accepted("and deleted", script="parents", step="^DELETE", ours="OK", theirs="NO"),
    Accepted(
        "ID has an argument, and names and values (RFC 2971)",
        script="plain_commands",
        step="^ID",
        ours="BAD",
        theirs=_ANY,
    ),
    Accepted(
        "quota is of folders that there are", script="plain_commands", step="^GETQUOTAROOT n", ours="NO", theirs=_ANY
    ),
    Accepted("the root's name is the server's", script="plain_commands", step='^GETQUOTA ""', ours=_ANY, theirs="NO"),
    Accepted("NOOP has no argument", script="plain_commands", step="^NOOP extra", ours="BAD", theirs="OK"),
    Accepted(
        "CLOSE that expunges tells it (RFC 7162 section 3.2.10)",
        script="qresync",
        step="^CLOSE",
        ours=r"OK \[HIGHESTMODSEQ \*\]",
    ),
    Accepted(
        "a command that is not understood closes no folder",
        script="qresync",
        step=r"QRESYNC(\)| \(\$validity( 0)?\)\))",
        ours=r"\* OK \[CLOSED\]",
        theirs=r"\* OK \[CLOSED\]",
    ),
    Accepted("it goes without NOOP's saying it", script="qresync_two", step="NOOP", theirs=r"OK \[HIGHESTMODSEQ \*\]"),
    Accepted(
        "letter 1 is seen and not answered; Dovecot leaves it out",
        script="search_combined",
        step=r"^SEARCH NOT \(SEEN ANSWERED\)",
        ours=r"SEARCH \[1, 2, 4, 5, 6, 7, 8\]",
        theirs=r"SEARCH \[2, 4, 5, 6, 7, 8\]",
    ),
    Accepted("a day that there is not", script="search_combined", step="31-Feb", ours="BAD", theirs=_ANY),
    Accepted(
        "ß and SS are the same where case is not minded", script="search_keys", step="GRÜ", ours=_ANY, theirs=_ANY
    ),
    Accepted(
        "a letter without a date was not sent before another day",
        script="search_keys",
        step="SENTBEFORE",
        ours=_ANY,
        theirs=_ANY,
    ),
    Accepted("EXAMINE refuses to change", script="select", step="^(STORE|EXPUNGE)", ours="NO.*", theirs="OK"),
    Accepted("SELECT has one argument", script="select", step="INBOX extra", ours="BAD", theirs=_ANY),
    Accepted(
        "a use that folders cannot have is refused (RFC 6154 section 3)", script="special_use", ours=_ANY, theirs="OK"
    ),
    Accepted("a folder has the use that it was made for", script="special_use", step="^LIST", ours="LIST 'Memos' .*"),
    Accepted("DELETED is IMAP4rev2's", script="status", step="DELETED", ours=_ANY, theirs="BAD"),
    Accepted("STORE has flags", script="store", step="^STORE 1 FLAGS$", ours="BAD", theirs=_ANY),
    Accepted(
        "a name that is neither a folder's nor subscribed",
        script="subscribe",
        step="^UNSUBSCRIBE nothere",
        ours="NO",
        theirs="OK",
    ),
    Accepted(
        "other sessions' changes may be told with FETCH, and an expunge with UID FETCH; Thunderbird misses one there",
        script="two",
        ours="EXPUNGE 1",
        theirs=r"EXPUNGE 1|FETCH 2 FLAGS = .*",
    ),
]


def unexplained(accepted: list[Accepted], script: str, found: list[Difference]) -> list[Difference]:
    """What no entry covers."""
    return [one for one in found if not any(entry.covers(script, one) for entry in accepted)]


def outlived(accepted: list[Accepted], script: str, found: list[Difference]) -> list[Accepted]:
    """The entries for `script` that cover nothing."""
    named = [entry for entry in accepted if entry.script == script]
    return [entry for entry in named if not any(entry.covers(script, one) for one in found)]
