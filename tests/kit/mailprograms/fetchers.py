"""Programs that fetch mail and, if told so, delete it there."""

from typing import ClassVar

from tests.kit.mailprograms.account import LOOPBACK, Program, subjects_in

# fetchmail's way to say that there was nothing.
_NO_MAIL = 1


class Getmail(Program):
    """getmail6, over IMAP."""

    name: ClassVar[str] = "getmail"
    retriever: ClassVar[str] = 'SimpleIMAPRetriever\nmailboxes = ("INBOX",)'

    @property
    def port(self) -> int:
        return self.account.imap_port

    def fetch(self, *, deletes: bool = False) -> list[str]:
        """Fetch everything; the subjects."""
        mail = self.folder / "mail"
        mail.write_bytes(b"")
        (self.folder / "rc").write_text(f"""
[retriever]
type = {self.retriever}
server = {LOOPBACK}
port = {self.port}
username = {self.account.address}
password = {self.account.password}
[destination]
type = MDA_external
path = /usr/bin/tee
arguments = ("-a", "{mail}")
allow_root_commands = True
[options]
delete = {deletes}
read_all = True
delivered_to = False
received = False
""")
        self.run("getmail", f"--getmaildir={self.folder}", f"--rcfile={self.folder}/rc")
        return subjects_in(mail.read_bytes())

    def subjects(self) -> list[str]:
        return self.fetch()

    def delete(self, subject: str) -> None:
        assert subject in self.fetch(deletes=True)


class GetmailPop3(Getmail):
    """The same over POP3."""

    name: ClassVar[str] = "getmail-pop3"
    retriever: ClassVar[str] = "SimplePOP3Retriever"

    @property
    def port(self) -> int:
        return self.account.pop3_port


class Fetchmail(Program):
    """fetchmail, over POP3."""

    name: ClassVar[str] = "fetchmail"
    protocol: ClassVar[str] = "POP3"

    @property
    def port(self) -> int:
        return self.account.pop3_port

    def fetch(self, *, deletes: bool = False) -> list[str]:
        """Fetch everything; the subjects."""
        mail = self.folder / "mail"
        mail.write_bytes(b"")
        settings = self.folder / "rc"
        settings.touch(mode=0o600)
        settings.write_text(f"""
poll {LOOPBACK} service {self.port} protocol {self.protocol} auth password
  user "{self.account.address}" password "{self.account.password}"
  sslproto '' fetchall no rewrite {"no keep" if deletes else "keep"}
  mda "cat >> {mail}"
""")
        kept = ["--idfile", f"{self.folder}/ids", "--pidfile", f"{self.folder}/pid"]
        self.run("fetchmail", "--fetchmailrc", settings, *kept, may_end=(0, _NO_MAIL))
        return subjects_in(mail.read_bytes())

    def subjects(self) -> list[str]:
        return self.fetch()

    def delete(self, subject: str) -> None:
        assert subject in self.fetch(deletes=True)


class FetchmailImap(Fetchmail):
    """The same over IMAP."""

    name: ClassVar[str] = "fetchmail-imap"
    protocol: ClassVar[str] = "IMAP"

    @property
    def port(self) -> int:
        return self.account.imap_port
