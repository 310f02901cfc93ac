"""IMAP commands as they go over the wire: one of every kind, and how a reader cuts them into lines and literals."""

from services.store.imap.parse import literal_of

CRLF = b"\r\n"


def cut(wire: bytes) -> list[bytes]:
    """[line, literal, line, ..., line] of what was sent, however little of it there is. Raises BadCommand as
    `literal_of` does."""
    chunks: list[bytes] = []
    at = 0
    while True:
        end = wire.find(CRLF, at)
        line = wire[at:] if end < 0 else wire[at:end]
        chunks.append(line)
        ahead = literal_of(line)
        if ahead is None:
            return chunks
        at += len(line) + len(CRLF)
        chunks.append(wire[at : at + ahead.octets])
        at += ahead.octets


# Most are from the examples of RFC 3501, 9051 and those of the extensions.
VALID = (
    b"abcd CAPABILITY",
    b"a002 NOOP",
    b"A023 LOGOUT",
    b'a023 ID ("name" "sodr" "version" "19.34" "vendor" "Pink Floyd Music Limited" "os" NIL)',
    b"a042 ID NIL",
    b"a002 STARTTLS",
    b"A01 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=",
    b"A01 AUTHENTICATE EXTERNAL =",
    b"a001 LOGIN SMITH SESAME",
    b'a001 LOGIN "smith@example.test" "a \\"quoted\\" \\\\ word"',
    b"A001 LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man",
    b"A001 LOGIN {4+}\r\nfred {3+}\r\nabc",
    b"a1 ENABLE CONDSTORE X-GOOD-IDEA UTF8=ACCEPT",
    b"A142 SELECT INBOX",
    b"A142 SELECT INBOX (CONDSTORE)",
    b"A02 SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541 (1,3,5 2,9,11)))",
    b"A932 EXAMINE blurdybloop",
    b"A003 CREATE owatagusiam/",
    b"t1 CREATE MySpecial (USE (\\Drafts \\Sent))",
    b"A683 DELETE blurdybloop",
    b"A683 RENAME blurdybloop sarasoop",
    b"A002 SUBSCRIBE #news.comp.mail.mime",
    b"A002 UNSUBSCRIBE &U,BTFw-/&ZeVnLIqe-",
    b'A101 LIST "" ""',
    b"A103 LIST /usr/staff/jones %",
    b'A04 LIST (SUBSCRIBED) "" "*" RETURN (CHILDREN SPECIAL-USE)',
    b'BBB LIST "" ("INBOX" "Drafts" "Sent/%")',
    b'D01 LIST (SUBSCRIBED RECURSIVEMATCH REMOTE) "" * RETURN (STATUS (MESSAGES UNSEEN HIGHESTMODSEQ) SUBSCRIBED)',
    b'A002 LSUB "#news." "comp.mail.*"',
    b"A001 NAMESPACE",
    b"A042 STATUS blurdybloop (UIDNEXT MESSAGES SIZE MAILBOXID APPENDLIMIT DELETED)",
    b'G0001 GETQUOTA ""',
    b"G0002 GETQUOTAROOT INBOX",
    b"S0001 SETQUOTA #user/alice (STORAGE 510)",
    b"A003 APPEND saved-messages (\\Seen) {12}\r\nSubject: a\r\n",
    b'A003 APPEND saved (\\Seen $Junk) " 7-Feb-1994 21:52:25 -0800" {3+}\r\nabc (\\Flagged) {4+}\r\ndefg',
    b"A003 APPEND x ~{4}\r\na\0\0b",
    b'A003 APPEND x "17-Jul-1996 02:44:25 +0000" UTF8 (~{5+}\r\n\xc3\xa9abc)',
    b"A002 IDLE",
    b"FXXZ CHECK",
    b"A341 CLOSE",
    b"A342 UNSELECT",
    b"A202 EXPUNGE",
    b"A003 UID EXPUNGE 3000:3002",
    b'A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"',
    b"A284 SEARCH CHARSET UTF-8 TEXT {12}\r\n\xd0\xb6\xd0\xb8\xd0\xb2\xd0\xbe\xd1\x82\xd1\x8b",
    b"A282 UID SEARCH RETURN (MIN COUNT SAVE) OR DELETED OR (SEEN NOT NEW) 2:4 BEFORE 1-Feb-1994",
    b'a SEARCH MODSEQ "/flags/\\\\draft" all 620162338 YOUNGER 600 OLDER 60 LARGER 100 SMALLER 20000 UID $ $',
    b'a SEARCH HEADER "Message-ID" <a@b> EMAILID M6d99ac3275bb4e THREADID T64b478a75b7ea9 UNKEYWORD $Junk',
    b"A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])",
    b"A654 FETCH 1,3:*,5 FULL",
    b"a UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS.NOT (From To {7}\r\nSubject)])",
    b"a UID FETCH 7 (BODY[1.2.MIME]<0.100> BINARY[3] BINARY.PEEK[1]<1.2> BINARY.SIZE[2.1] BODY[TEXT] ENVELOPE)",
    b"s100 UID FETCH 300:500 (FLAGS MODSEQ EMAILID THREADID) (CHANGEDSINCE 12345 VANISHED)",
    b"A003 STORE 2:4 +FLAGS (\\Deleted)",
    b"d105 UID STORE 7,5,9 (UNCHANGEDSINCE 320162338) -FLAGS.SILENT \\Seen $Junk",
    b"A003 COPY 2:4 MEETING",
    b'a UID MOVE 42:69 "Trash"',
)
