"""LIST, LSUB and STATUS: which folders there are, and how they stand (RFC 9051 sections 6.3.9 and 6.3.11, RFC 5258)."""

import re
from collections.abc import Callable, Iterable, Iterator

from services.store.folders.view import DELETED
from services.store.imap import commands as said
from services.store.imap import format as wire
from services.store.imap.answers import Answer
from services.store.imap.session import Session
from shared.mailbox.folders import Folder, FolderMissing
from shared.mailbox.letters import INBOX

SEPARATOR = "/"
# What those call it who know no extended LIST.
_PLAINLY = {"\\NonExistent": "\\Noselect"}


class Tree:
    """A user's folders by name, and the names above them that are no folders themselves."""

    def __init__(self, folders: Iterable[Folder], missed: Iterable[str] = ()) -> None:
        """`missed` are subscribed names without a folder."""
        self.folders = {folder.name: folder for folder in folders}
        self._missed = set(missed)
        self._parents = {above for name in self.folders for above in _above(name)}

    def names(self) -> list[str]:
        """INBOX first, the others by name."""
        return sorted({*self.folders, *self._parents, *self._missed}, key=lambda name: (name != INBOX, name))

    def is_there(self, name: str) -> bool:
        """Whether it is a folder, or stands above one."""
        return name in self.folders or name in self._parents

    def attributes(self, name: str) -> Iterator[str]:
        """Those of RFC 9051 section 7.3.1."""
        folder = self.folders.get(name)
        if folder is None:
            # In the plain form of LIST it is \\Noselect, which this implies.
            yield "\\NonExistent"
        yield "\\HasChildren" if name in self._parents else "\\HasNoChildren"
        if folder is not None and folder.use:
            yield folder.use

    def is_subscribed(self, name: str) -> bool:
        return name in self._missed or (name in self.folders and self.folders[name].is_subscribed)

    def below(self, name: str) -> Iterator[str]:
        return (other for other in self.folders if other.startswith(name + SEPARATOR))


def _above(name: str) -> Iterator[str]:
    levels = name.split(SEPARATOR)
    return (SEPARATOR.join(levels[:depth]) for depth in range(1, len(levels)))


def matches(pattern: str) -> re.Pattern[str]:
    """`*` stands for anything, `%` for anything within a level (RFC 9051 section 6.3.9). Runs of them are one: each
    more would double the time that a name takes."""
    pattern = re.sub(r"[*%]*\*[*%]*", "*", re.sub("%+", "%", pattern))
    parts = re.split("([*%])", pattern)
    ways = {"*": ".*", "%": f"[^{SEPARATOR}]*"}
    return re.compile("".join(ways.get(part) or re.escape(part) for part in parts), re.DOTALL)


def _is_inbox(text: str) -> str:
    """INBOX in any case is INBOX; so is the first level of a pattern."""
    head, separator, rest = text.partition(SEPARATOR)
    return INBOX + separator + rest if head.upper() == INBOX else text


async def list_folders(session: Session, command: said.List) -> Answer:
    address = session.address
    if not command.is_extended and command.patterns == ("",):
        await session.tell(b'* LIST (\\Noselect) "/" ""\r\n')
        return Answer("List completed")
    tree = Tree(await session.cabinet.folders(address), await session.cabinet.missed(address))
    patterns = [matches(_is_inbox(command.reference + pattern)) for pattern in command.patterns]
    for name in tree.names():
        if any(pattern.fullmatch(name) for pattern in patterns):
            await _tell_listed(session, command, tree, name)
    return Answer("List completed")


async def _tell_listed(session: Session, command: said.List, tree: Tree, name: str) -> None:
    is_chosen = _is_chosen(command, tree, name)
    children = _chosen_children(command, tree, name)
    if not is_chosen and not children:
        return
    attributes = list(tree.attributes(name))
    if not command.is_extended:
        attributes = [_PLAINLY.get(attribute, attribute) for attribute in attributes]
    if command.selecting | command.returning >= {"SUBSCRIBED"} and tree.is_subscribed(name):
        attributes.append("\\Subscribed")
    info = b"" if not children else b' ("CHILDINFO" ("SUBSCRIBED"))'
    spelt = wire.mailbox(name, session.is_utf8)
    await session.tell(b'* LIST %b "/" %b%b\r\n' % (wire.flag_list(attributes), spelt, info))
    if command.status and name in tree.folders:
        await session.tell(await _status_line(session, tree.folders[name], command.status))


def _is_chosen(command: said.List, tree: Tree, name: str) -> bool:
    if "SUBSCRIBED" in command.selecting:
        if not tree.is_subscribed(name):
            return False
    elif not tree.is_there(name):
        return False
    if "SPECIAL-USE" in command.selecting:
        return name in tree.folders and tree.folders[name].use is not None
    return True


def _chosen_children(command: said.List, tree: Tree, name: str) -> bool:
    """RFC 5258 section 3.5: a name is told for those below it that the patterns do not reach."""
    if "RECURSIVEMATCH" not in command.selecting:
        return False
    return any(tree.is_subscribed(below) for below in tree.below(name))


async def lsub(session: Session, command: said.Lsub) -> Answer:
    """RFC 3501 section 6.3.9: a name above a subscribed one that `%` does not reach is told with \\Noselect."""
    tree = Tree(await session.cabinet.folders(session.address), await session.cabinet.missed(session.address))
    pattern = matches(_is_inbox(command.reference + command.pattern))
    for name in tree.names():
        if not pattern.fullmatch(name):
            continue
        if tree.is_subscribed(name):
            attributes = [a for a in tree.attributes(name) if a != "\\NonExistent"]
        elif "%" in command.pattern and any(tree.is_subscribed(below) for below in tree.below(name)):
            attributes = ["\\Noselect"]
        else:
            continue
        spelt = wire.mailbox(name, session.is_utf8)
        await session.tell(b'* LSUB %b "/" %b\r\n' % (wire.flag_list(attributes), spelt))
    return Answer("Lsub completed")


async def namespace(session: Session, _: said.Namespace) -> Answer:
    session.address  # noqa: B018 - raises before login
    await session.tell(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
    return Answer("Namespace completed")


async def status(session: Session, command: said.Status) -> Answer:
    folder = await session.cabinet.folder(session.address, command.mailbox)
    await session.tell(await _status_line(session, folder, command.items))
    return Answer("Status completed")


async def _status_line(session: Session, folder: Folder, items: Iterable[said.StatusItem]) -> bytes:
    """`* STATUS name (...)`; b"" where the folder has gone at this moment."""
    told: list[bytes] = []
    try:
        async with session.cabinet.opened(folder) as view:
            values: dict[str, Callable[[], bytes]] = {
                "MESSAGES": lambda: b"%d" % len(view),
                "RECENT": lambda: b"0",
                "UIDNEXT": lambda: b"%d" % view.folder.uidnext,
                "UIDVALIDITY": lambda: b"%d" % view.folder.uidvalidity,
                "UNSEEN": lambda: b"%d" % view.unseen,
                "DELETED": lambda: b"%d" % view.count(DELETED),
                "SIZE": lambda: b"%d" % view.octets,
                "HIGHESTMODSEQ": lambda: b"%d" % view.folder.modseq,
                "APPENDLIMIT": lambda: b"%d" % session.imap.settings.max_message_bytes,
                "MAILBOXID": lambda: b"(%b)" % view.folder.id.encode(),
            }
            told = [b"%b %b" % (item.encode(), values[item]()) for item in items]
    except FolderMissing:
        return b""
    if "HIGHESTMODSEQ" in items:
        session.enabled.add("CONDSTORE")
    return b"* STATUS %b (%b)\r\n" % (wire.mailbox(folder.name, session.is_utf8), b" ".join(told))
