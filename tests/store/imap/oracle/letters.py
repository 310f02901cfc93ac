"""The letters of the scripts, each with something of its own."""

from tests.kit.mailserver import Filed


def _letter(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("latin-1")


_PLAIN = """Received: from a.test by b.test; Thu, 1 Feb 2024 11:00:00 +0000
Message-ID: <plain@elsewhere.test>
From: Bob Builder <bob@elsewhere.test>
To: ann@example.test, "Smith, John" <john@example.test>
Cc: carol@example.test
Subject: Lunch on Friday
Date: Thu, 1 Feb 2024 12:00:00 +0100
X-Number: 42

Shall we have lunch?

Bob
"""

_MIXED = """Message-ID: <mixed@elsewhere.test>
In-Reply-To: <plain@elsewhere.test>
References: <first@elsewhere.test>
 <plain@elsewhere.test>
From: carol@elsewhere.test (Carol)
Sender: desk@elsewhere.test
Reply-To: reply@elsewhere.test
To: undisclosed-recipients:;
Bcc: Ann <ann@example.test>
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= and
\ta folded subject
Date: Fri, 2 Feb 2024 10:00:00 -0500
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=_outer"; charset=us-ascii

preamble
--=_outer
Content-Type: multipart/alternative; boundary=inner
Content-Language: en, de

--inner
Content-Type: text/plain; charset=utf-8; format=flowed
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe =
joined
--inner
Content-Type: text/html; charset="utf-8"
Content-Transfer-Encoding: 8BIT
Content-ID: <html@elsewhere.test>
Content-Location: http://elsewhere.test/a

<p>Gr\xc3\xbc\xc3\x9fe</p>
--inner--

--=_outer
Content-Type: Application/PDF; name="a b.pdf"; x-unix-mode=0644
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="a b.pdf"; size=11
Content-Description: A small file
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==

SGVsbG8gV29y
bGQ=
--=_outer--
epilogue
"""

_NESTED = """From: dave@elsewhere.test
To: ann@example.test
Subject: Fwd: Lunch
Date: Sat, 3 Feb 2024 09:00:00 +0000
Message-ID: <nested@elsewhere.test>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b1

--b1

no header at all in this part
--b1
Content-Type: message/rfc822
Content-Disposition: inline

From: eve@elsewhere.test
Subject: inner
Date: Sat, 3 Feb 2024 08:00:00 +0000
Content-Type: multipart/mixed; boundary=b2

--b2
Content-Type: text/plain

innermost text
--b2
Content-Type: message/rfc822

Subject: deepest

deep
--b2--

--b1--
"""

_BARE = """Subject: no sender, no date

x
"""

_HEADERLESS = """
nothing above this line
"""

_LATIN = """From: =?iso-8859-1?q?J=F6rg?= <joerg@elsewhere.test>
To: Team: a@x.test, b@x.test;, c@x.test
Subject: latin1 in the text, and "quotes" \\ and a backslash
Date: Sun, 4 Feb 2024 00:00:30 +0900
Message-ID: <latin@elsewhere.test>
MIME-Version: 1.0
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: 8bit

Gr\xfc\xdfe aus K\xf6ln
"""

_BROKEN = """From: x
To: <>
Subject:
Date: yesterday
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=never

no boundary ever comes
"""

_UNCLOSED = """From: a@b.test
Subject: an unclosed multipart
Date: Mon, 5 Feb 2024 00:00:00 +0000
Message-ID: <unclosed@elsewhere.test>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=cut

--cut
Content-Type: text/plain

one
--cut
Content-Type: image/gif
Content-Transfer-Encoding: base64

R0lGODlh
"""

LETTERS = {
    "plain": Filed(_letter(_PLAIN), "\\Seen"),
    "mixed": Filed(_letter(_MIXED), "\\Flagged", "02-Feb-2024 23:30:00 -0500"),
    "nested": Filed(_letter(_NESTED), "\\Answered \\Seen", "03-Feb-2024 12:00:00 +0000"),
    "bare": Filed(_letter(_BARE), "", "04-Feb-2024 12:00:00 +0000"),
    "headerless": Filed(_letter(_HEADERLESS), "$Forwarded", "05-Feb-2024 12:00:00 +0000"),
    "latin": Filed(_letter(_LATIN), "\\Deleted", "06-Feb-2024 00:30:00 +0200"),
    "broken": Filed(_letter(_BROKEN), "\\Draft", "07-Feb-2024 12:00:00 +0000"),
    "unclosed": Filed(_letter(_UNCLOSED), "\\Seen $Label1", "08-Feb-2024 12:00:00 +0000"),
}
