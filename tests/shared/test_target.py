"""Target servers as people write them."""

import pytest

from shared.target import HIDDEN, TargetRefused, TargetServer, parse, printed

GOOD = [
    ("main.example.com", "main.example.com", 25, None, None),
    ("Main.Example.COM.", "main.example.com", 25, None, None),
    ("  main.example.com:587 ", "main.example.com", 587, None, None),
    ("main.example.com:1", "main.example.com", 1, None, None),
    ("main.example.com:65535", "main.example.com", 65535, None, None),
    ("main.example.com:0025", "main.example.com", 25, None, None),
    ("mail_1.internal", "mail_1.internal", 25, None, None),
    ("mail", "mail", 25, None, None),
    ("192.0.2.7", "192.0.2.7", 25, None, None),
    ("192.0.2.7:2525", "192.0.2.7", 2525, None, None),
    ("[2001:DB8:0:0::1]", "2001:db8::1", 25, None, None),
    ("[2001:db8::1]:587", "2001:db8::1", 587, None, None),
    ("user:password@mail.example.com:587", "mail.example.com", 587, "user", "password"),
    ("user:password@[::1]:26", "::1", 26, "user", "password"),
    ("user:p@ss@host", "host", 25, "user", "p@ss"),
    ("user@corp:pass@host", "host", 25, "user@corp", "pass"),
    ("user:pa:ss@host", "host", 25, "user", "pa:ss"),
    ("us%3Aer:p%40s%25s%20%C3%A4@host", "host", 25, "us:er", "p@s%s ä"),
    ("user:pässwort@host", "host", 25, "user", "pässwort"),
    ("user:a+b@host", "host", 25, "user", "a+b"),
    ("user:***@host", "host", 25, "user", HIDDEN),
    ("user:http://@host", "host", 25, "user", "http://"),
    ("bücher.example", "xn--bcher-kva.example", 25, None, None),
]


@pytest.mark.parametrize(("text", "host", "port", "username", "password"), GOOD)
def test_what_people_write_is_understood(
    text: str, host: str, port: int, username: str | None, password: str | None
) -> None:
    assert parse(text) == TargetServer(host, port, username, password)


REFUSED = [
    ("", "is needed"),
    ("   ", "is needed"),
    ("x" * 3000, "is needed"),
    ("main.example.com:465", "TLS from the first byte is not spoken; use 587 or 25 with STARTTLS"),
    ("[2001:db8::1]:465", "TLS from the first byte"),
    ("user:password@main:465", "TLS from the first byte"),
    ("main.example.com:0", "from 1 to 65535"),
    ("main.example.com:65536", "from 1 to 65535"),
    ("main.example.com:", "from 1 to 65535"),
    ("main.example.com:smtp", "from 1 to 65535"),
    ("main.example.com:-1", "from 1 to 65535"),
    ("main.example.com:٢٥", "from 1 to 65535"),
    (":25", "host is missing"),
    (".", "host is missing"),
    ("user:password@", "host is missing"),
    ("user:password@:25", "host is missing"),
    ("user@host", "user:password@host"),
    ("user:@host", "user:password@host"),
    (":password@host", "user:password@host"),
    ("smtp://main.example.com", "without scheme"),
    ("smtp://user:password@main.example.com", "without scheme"),
    ("user:password@smtp://main", "without scheme"),
    ("main example.com", "no spaces"),
    ("user:pass word@main", "no spaces"),
    ("main\r\nRCPT.example", "no spaces or control"),
    ("main\x00", "no spaces or control"),
    ("user:a%0d%0ab@host", "no control characters"),
    ("user:100%@host", "write % as %25"),
    ("user:%zz@host", "write % as %25"),
    ("user:%ff@host", "not UTF-8"),
    ("2001:db8::1", "in brackets"),
    ("::1", "in brackets"),
    ("[2001:db8::1", "[address]"),
    ("[2001:db8::1]25", "[address]"),
    ("[fe80::1%eth0]", "zone"),
    ("[192.0.2.7]", "no IPv6 address"),
    ("[]", "no IPv6 address"),
    ("-main.example.com", "no valid name"),
    ("main..example.com", "no valid name"),
    ("main/path", "no valid name"),
    ("main,other", "no valid name"),
    ("x" * 64 + ".example", "no valid name"),
    ("a." * 130 + "example", "no valid name"),
    ("ü" * 70 + ".example", "no valid name"),
    # Resolvers read these as addresses, of this machine for one.
    ("127.1", "no valid IPv4"),
    ("2130706433", "no valid IPv4"),
    ("0x7f.0.0.0x1", "no valid IPv4"),
    ("0177.0.0.1", "no valid IPv4"),
    ("192.0.2.256", "no valid IPv4"),
    ("1.2.3.4.5", "no valid IPv4"),
]


@pytest.mark.parametrize(("text", "why"), REFUSED)
def test_what_cannot_be_a_target_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(TargetRefused) as refused:
        parse(text)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [("MAIN", "main:25"), ("192.0.2.7:26", "192.0.2.7:26"), ("[2001:0db8::0001]", "[2001:db8::1]:25")],
)
def test_a_destination_has_one_name(text: str, name: str) -> None:
    assert parse(text).name == name


@pytest.mark.parametrize("text", ["main:25", "[2001:db8::1]:587", "u:***@main:25", "u%40corp%3A:***@[::1]:26"])
def test_what_is_shown_can_be_written_back(text: str) -> None:
    server = parse(text)
    assert printed(server.host, server.port, server.username, has_password=server.password is not None) == text


def test_a_password_is_not_shown_where_a_target_is_logged() -> None:
    server = parse("user:hush@main:587")
    assert str(server) == "user:***@main:587"
    assert "hush" not in repr(server)
