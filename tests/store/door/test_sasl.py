"""What programs say in AUTHENTICATE, decoded."""

import pytest

from services.store.door import sasl
from services.store.door.sasl import SaslRefused


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"\0ann@x.test\0hush", ("ann@x.test", "hush")),
        (b"ann@x.test\0ann@x.test\0hush", ("ann@x.test", "hush")),
        (b"ANN@x.test\0ann@x.test\0hush", ("ann@x.test", "hush")),
        ("\0ann@x.test\0gr\u00fc\u00df".encode(), ("ann@x.test", "gr\u00fc\u00df")),
        # As programs of old send it.
        ("\0ann@x.test\0gr\u00fc\u00df".encode("latin-1"), ("ann@x.test", "gr\u00fc\u00df")),
        (b"\0\0", ("", "")),
    ],
)
def test_plain_is_a_name_and_a_password(message: bytes, said: tuple[str, str]) -> None:
    assert sasl.plain(message) == said


@pytest.mark.parametrize(
    "message", [b"", b"ann@x.test", b"ann@x.test\0hush", b"\0a\0b\0c", b"ben@x.test\0ann@x.test\0x"]
)
def test_plain_of_another_form_or_for_another_is_refused(message: bytes) -> None:
    with pytest.raises(SaslRefused):
        sasl.plain(message)


def test_login_is_two_answers() -> None:
    assert sasl.login(b"ann@x.test", b"\xfc") == ("ann@x.test", "\u00fc")
    for name, password in ((b"a\0b", b"x"), (b"a", b"x\0")):
        with pytest.raises(SaslRefused):
            sasl.login(name, password)


@pytest.mark.parametrize("line", [b"=", b"YQ", b"YQ==\r", b"Y Q==", b"YQ==YQ==", b"\xff\xff\xff\xff", b"Y-_="])
def test_what_is_no_base64_is_refused(line: bytes) -> None:
    with pytest.raises(SaslRefused):
        sasl.decode(line)
    assert sasl.decode(b"") == b""
    assert sasl.decode(b"YQ==") == b"a"
