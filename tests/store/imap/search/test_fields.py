"""The texts of header fields, as they are compared."""

import pytest

from services.store.imap.search.fields import folded, texts_of

HEADER = (
    b"Received: from a\r\n\tby b\r\n"
    b"SUBJECT : =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_aus?= and\r\n\ta  folded one  \r\n"
    b"To: Ann <ann@x.test>,\r\n bob@x.test\r\n"
    b"To: carl@x.test\r\n"
    b"X-Empty:\r\n"
    b"X-Latin: J\xf6rg\r\n"
    b"no field at all\r\n"
    b"\r\n"
    b"Bcc: not@in.header\r\n"
)

FIELDS = [
    (b"received", "from a by b"),
    (b"subject", folded("grüße aus and a folded one")),
    (b"to", "ann <ann@x.test>, bob@x.test\ncarl@x.test"),
    (b"x-empty", ""),
    (b"x-latin", folded("jörg")),
    (b"cc", None),
    (b"", None),
    (b"no field at all", None),
    (b"to:", None),
    (b"from a\r\n\tby b", None),
    (b".*", None),
]

ALIKE = [
    ("Lunch", "lUNCH"),
    ("a\r\n\t b", "a b"),
    ("GRÜSSE", "Grüße"),
    # One character, or a letter and its mark.
    ("Jo\u0308rg", "J\u00f6rg"),
    ("\ufb01sh", "fish"),
    ("ΣΊΣΥΦΟΣ", "σίσυφος"),
]

WORDS = [
    (b"=?utf-8?b?w7w=?=", "u\u0308"),
    (b"=?ISO-8859-1*de?q?=FC?=", "u\u0308"),
    (b"=?koi8-u?q?=C1?=", "\u0430"),
    (b"=?windows-1252?q?=80?=", "\u20ac"),
    (b"=?no-such-charset?q?abc?=", "abc"),
    # What Python knows, but takes quadratic time for, is no charset of mail.
    (b"=?idna?q?xn--abc?=", "xn--abc"),
    (b"=?unicode_escape?q?=5Cu0041?=", "\\u0041"),
]


@pytest.mark.parametrize(("name", "text"), FIELDS)
def test_a_field_is_unfolded_and_decoded(name: bytes, text: str | None) -> None:
    header = HEADER[: HEADER.index(b"Bcc")]
    assert texts_of(header, [name]) == ({} if text is None else {name: text})


def test_fields_are_read_together() -> None:
    assert set(texts_of(HEADER, [b"subject", b"to", b"cc"])) == {b"subject", b"to"}


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_case_and_composition_and_white_space_make_no_difference(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(("word", "text"), WORDS)
def test_encoded_words_are_read_in_charsets_of_mail_only(word: bytes, text: str) -> None:
    assert texts_of(b"Subject: " + word + b"\r\n\r\n", [b"subject"]) == {b"subject": text}


def test_a_field_of_too_many_encoded_words_stands_as_it_is() -> None:
    words = b"=?utf-8?q?a?= " * 3000
    assert texts_of(b"Subject: " + words, [b"subject"]) == {b"subject": words.decode().strip()}


def test_a_text_is_found_behind_what_a_list_of_letters_would_show() -> None:
    many = b", ".join(b"a%d@x.test" % number for number in range(2000))
    assert texts_of(b"To: " + many, [b"to"])[b"to"].endswith("a1999@x.test")
