"""Thunderbird without a window, with one account and a profile of its own."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from deploy.local.ports import free_port
from tests.kit.mailprograms.account import LOOPBACK, Account, Program
from tests.kit.mailprograms.marionette import Marionette

# What would otherwise ask, fetch from elsewhere, or wait for a person.
_SETTINGS: dict[str, Any] = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultClient": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mail.winsearch.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.proxy.type": 0,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "mail.biff.play_sound": False,
    "mail.biff.show_alert": False,
    "mail.account.account1.server": "server1",
    "mail.account.account1.identities": "id1",
    "mail.account.account2.server": "server2",
    "mail.accountmanager.accounts": "account1,account2",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.accountmanager.localfoldersserver": "server2",
    "mail.identity.id1.fullName": "Ann",
    "mail.identity.id1.valid": True,
    "mail.server.server1.type": "imap",
    "mail.server.server1.hostname": LOOPBACK,
    "mail.server.server1.name": "Ann",
    "mail.server.server1.socketType": 0,
    "mail.server.server1.authMethod": 3,
    "mail.server.server1.login_at_startup": False,
    "mail.server.server1.check_new_mail": False,
    "mail.server.server1.use_idle": True,
    "mail.server.server2.type": "none",
    "mail.server.server2.hostname": "Local Folders",
    "mail.server.server2.name": "Local Folders",
    "mail.server.server2.userName": "nobody",
}

_BEGIN = """
globalThis.MailServices = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs").MailServices;
const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
const origin = "imap://" + args[0];
login.init(origin, null, origin, args[1], args[2], "", "");
await Services.logins.addLoginAsync(login);
globalThis.account = MailServices.accounts.accounts.find(a => a.incomingServer.type == "imap");
globalThis.root = account.incomingServer.rootFolder;
globalThis.listened = (begin) => new Promise((done, fail) => begin({
  OnStartRunningUrl() {},
  OnStopRunningUrl(url, code) { code ? fail(new Error("ended with " + code.toString(16))) : done(); },
  QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
}));
globalThis.opened = async (name) => {
  const folder = name == "INBOX" ? root.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox) : root.getChildNamed(name);
  folder.QueryInterface(Ci.nsIMsgImapMailFolder);
  // While it looks into a folder by itself, the end of our look is not always told.
  await Promise.race([listened(l => folder.updateFolderWithListener(null, l)), pause(2000)]);
  // The headers come after that.
  for (let i = 0; i < 200 && letters(folder).length != folder.getTotalMessages(false); i++) await pause(25);
  return folder;
};
globalThis.pause = (milliseconds) => new Promise(done => {
  const timer = Cc["@mozilla.org/timer;1"].createInstance(Ci.nsITimer);
  timer.initWithCallback(() => done(timer), milliseconds, Ci.nsITimer.TYPE_ONE_SHOT);
});
globalThis.letters = (folder) => [...folder.messages];
globalThis.letter = (folder, subject) => letters(folder).find(l => l.mime2DecodedSubject == subject);
"""
# The first look makes the folders known.
_CONNECT = "await listened(l => MailServices.imap.discoverAllFolders(root, l, null));"


class Thunderbird(Program):
    """A running one. What is deleted goes to Trash."""

    name: ClassVar[str] = "thunderbird"

    def __init__(self, account: Account, folder: Path) -> None:
        self._port = free_port()
        super().__init__(account, folder)
        self._process = self._start()
        try:
            self._wire = Marionette(self._port)
            self._wire.run(_BEGIN, LOOPBACK, account.address, account.password)
            self._wire.run(_CONNECT)
        except BaseException:
            self.kill()
            raise

    def configure(self) -> None:
        settings = {
            **_SETTINGS,
            "marionette.port": self._port,
            "mail.identity.id1.useremail": self.account.address,
            "mail.server.server1.port": self.account.imap_port,
            "mail.server.server1.userName": self.account.address,
            "mail.server.server1.directory": str(self.folder / "imap"),
            "mail.server.server2.directory": str(self.folder / "local"),
        }
        lines = [f'user_pref("{name}", {_in_javascript(value)});' for name, value in settings.items()]
        (self.folder / "user.js").write_text("\n".join(lines) + "\n")

    def _start(self) -> subprocess.Popen[bytes]:
        command = [
            "thunderbird",
            "--headless",
            "--marionette",
            "--remote-allow-system-access",
            "--no-remote",
            "--profile",
            str(self.folder),
        ]
        environment = {"HOME": str(self.folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it, and what it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def folders(self) -> list[str]:
        """The names of the account's folders."""
        names: list[str] = self._wire.run("return root.descendants.map(f => f.name).sort()")
        return names

    def subjects(self, folder: str = "INBOX") -> list[str]:
        found: list[str] = self._wire.run(
            "return letters(await opened(args[0])).map(l => l.mime2DecodedSubject).sort()", folder
        )
        return found

    def shown(self, folder: str = "INBOX") -> list[str]:
        """The subjects that it shows without asking the server: what IDLE has brought."""
        found: list[str] = self._wire.run(
            """const folder = args[0] == "INBOX" ? root.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox)
                                                 : root.getChildNamed(args[0]);
            return letters(folder).map(l => l.mime2DecodedSubject).sort()""",
            folder,
        )
        return found

    def text(self, subject: str) -> str:
        """Read a letter of INBOX: all of it, as it came."""
        found: str = self._wire.run(
            """const folder = await opened("INBOX"), uri = folder.getUriForMsg(letter(folder, args[0]));
            const service = MailServices.messageServiceFromURI(uri), bytes = [];
            return new Promise((done, fail) => service.streamMessage(uri, {
              onStartRequest() {},
              onDataAvailable(request, stream, offset, count) {
                const reader = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
                reader.setInputStream(stream);
                bytes.push(reader.readBytes(count));
              },
              onStopRequest(request, code) { code ? fail(new Error(code.toString(16))) : done(bytes.join("")); },
              QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
            }, null, null, false, "", false));""",
            subject,
        )
        return found

    def flag(self, subject: str) -> None:
        """Mark a letter of INBOX with a star, and as read."""
        self._wire.run(
            """const folder = await opened("INBOX"), found = [letter(folder, args[0])];
            folder.markMessagesFlagged(found, true); folder.markMessagesRead(found, true);
            await opened("INBOX");""",
            subject,
        )

    def delete(self, subject: str) -> None:
        self._wire.run(
            """const folder = await opened("INBOX"), found = [letter(folder, args[0])];
            await new Promise((done, fail) => folder.deleteMessages(found, null, false, true, {
              onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() {},
              onStopCopy(code) { code ? fail(new Error(code.toString(16))) : done(); },
              QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]),
            }, false));""",
            subject,
        )


def _in_javascript(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else f'"{value}"'


@contextlib.contextmanager
def thunderbird(account: Account, folder: Path) -> Iterator[Thunderbird]:
    """Running while the block does."""
    program = Thunderbird(account, folder)
    try:
        yield program
    finally:
        program.kill()
