"""What a rights-holder's notice asks for: videos by link, id, name of a file, title or bytes, and accounts.

A notice is a mail, a table, or plain text. It is compared with what is held, so that names of files and titles are found as
they stand there, blanks and all.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from tiktokactions.collection.store import Collection, is_collection
from tiktokactions.errors import UsageError
from tiktokactions.files import Place
from tiktokactions.metadata.documents import column_names, table_rows, text_of
from tiktokactions.metadata.names import id_in_address, is_platform_id
from tiktokactions.takedowns.scrub import is_distinct

TITLE = 8
"""Characters of a title that is looked for in a text."""
_LINK = re.compile(r"https?://[^\s\"'<>,;|\])]+|\b(?:www\.|vm\.|vt\.|m\.)?tiktok\.com/[^\s\"'<>,;|\])]+")
_ACCOUNT = re.compile(r"(?<![\w./@+-])@([\w.]{1,30}\w)")
_PROFILE = re.compile(r"tiktok\.com/@([\w.-]*[\w-])/?(?:[?#]|$)")
_WHOLE = re.compile(
    r"\b(?:all|every\w*|any|account|channel|profile|user|creator|konto|cuenta|compte|alle[sn]?|tod[oa]s|tous|toutes|tutt[ei]"
    r"|alla|wszystki\w*|все)\b|すべて|全て|全部|所有|모든",
    re.I,
)
"""Words of a sentence that asks for all videos of the account that it names."""
_ONLY = re.compile(
    r"\b(?:only|just|nur|s[oó]lo|solamente|seulement|uniquement|solo|soltanto|alleen|apenas|somente|tylko|только)\b"
    r"|\b(?:not|nicht|no|pas|non|niet|não)\s(?:\w+\s){0,2}(?:all|alle|tod[oa]s|tous|toutes|tutt[ei])\b",
    re.I,
)
"""Words of one that does not."""
_NAME = re.compile(
    r"\b(?:handle|user[ -]?name|nickname|account|profile|channel|creator|user|konto|profil|compte|cuenta|by|von|de|par)"
    r"\W{1,3}(?:(?:is|name|called|ist|est|es)\W{1,3})*([\w.]{1,30}\w)",
    re.I,
)
"""What may be an account without ``@``; those of which nothing is held are not told."""
_BROKEN = re.compile(r"(tiktok\.com/@[\w.-]*[\w-])/?=?[ \t]*\r?\n[> \t]*/?(?=(?:video|photo)/\d)")
"""An address that a mail program broke in two: the first part alone is a profile."""
UNREAD = "the attachment "
_FILE = re.compile(r"\.(?:mp4|m4v|mov|webm|mkv|avi|ts|flv|3gp|wmv|mpe?g|gif)\b", re.I)
_WORD = re.compile(r"[\w.-]{6,}")
_MAIL = re.compile(r"\A(?:From |[A-Za-z-]+: [^\n]*\n(?:[ \t][^\n]*\n|[A-Za-z-]+:[^\n]*\n)*\r?\n)")
_VIDEO_COLUMN = re.compile(r"(?:^|_)id$|url|link|title|caption|file|video")
_ACCOUNTS = ("creator", "account", "username", "user", "author", "channel", "uploader")


@dataclass(frozen=True)
class Notice:
    """What a notice says."""

    name: str
    sha256: str
    text: str
    ids: tuple[str, ...]
    accounts: tuple[str, ...]
    """Of which everything is to go."""
    profiles: tuple[str, ...]
    """Accounts whose page is given, which is all that is to go if no video is named otherwise."""
    mentioned: tuple[str, ...]
    """Accounts that are named, but not to ask for all of their videos."""
    unclear: tuple[str, ...]
    """Links that do not say which video they show, and attachments that cannot be read."""
    sender: str = ""
    subject: str = ""
    date: str = ""


@dataclass(frozen=True)
class Held:
    """A held video that a notice names, and by what."""

    video_id: str
    by: str


def read_notice(path: Path) -> Notice:
    """Read a notice.

    Raises:
        UsageError: no such file, or one without text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"`notice` {path}: expected a mail, a table or a text ({error.strerror})") from None
    sha256 = hashlib.sha256(data).hexdigest()
    head = data[:4096].replace(b"\r\n", b"\n").decode("utf-8", "replace").lstrip("\ufeff")
    is_mail = path.suffix.lower() == ".eml" or bool(
        _MAIL.match(head) and re.search(r"^(?:From|To|Subject): ", head, re.M)
    )
    sender = subject = date = ""
    if is_mail:
        message = email.message_from_bytes(data, policy=email.policy.default)
        sender, subject, date = (str(message.get(header, "")) for header in ("From", "Subject", "Date"))
        texts = [subject, *_parts(message)]
    else:
        try:
            texts = [_plain_text(data, "", is_text=not re.search(rb"[\x00-\x08\x0e-\x1f]", data))]
        except UsageError as error:
            raise UsageError(
                f"`notice` {path}: expected a mail, a table or a text ({error}); save it as text"
            ) from None
    found: dict[str, dict[str, None]] = {name: {} for name in ("ids", "accounts", "profiles", "mentioned", "unclear")}
    for text in texts:
        _read_text(text, found)
    for name in (*found["accounts"], *found["profiles"]):
        found["mentioned"].pop(name, None)
    ids, accounts, profiles, mentioned, unclear = (tuple(words) for words in found.values())
    text = "\n".join(texts)
    return Notice(path.name, sha256, text, ids, accounts, profiles, mentioned, unclear, sender, subject, date)


def _parts(message: email.message.EmailMessage) -> Iterator[str]:
    """The texts of a mail, of what is attached and of mails in it; an attachment that cannot be read is named instead."""
    for part in message.walk():
        if part.is_multipart():
            continue
        data, kind = part.get_payload(decode=True), part.get_content_type()
        assert isinstance(data, bytes)
        try:
            text = _plain_text(data, part.get_content_charset() or "", is_text=kind.startswith("text/"))
        except (UsageError, LookupError):
            if part.is_attachment():
                yield f"{UNREAD}{part.get_filename() or kind}"
            continue
        if kind == "text/html":
            links = " ".join(re.findall(r"href=[\"']([^\"']+)", text))
            text = f"{html.unescape(re.sub(r'<[^>]+>', ' ', text))} {html.unescape(links)}"
        yield text


def _plain_text(data: bytes, charset: str, is_text: bool) -> str:
    if charset in ("", "us-ascii", "utf-8", "utf-16") or not is_text:
        if data.startswith((b"%PDF", b"PK\x03\x04")):
            raise UsageError("it is a document of another program")
        try:
            return text_of(data, "its bytes")
        except UsageError:
            if not is_text:
                raise
    try:
        return data.decode(charset or "cp1252", "replace")
    except LookupError:
        return data.decode("utf-8", "replace")


def _read_text(text: str, found: dict[str, dict[str, None]]) -> None:
    if text.startswith(UNREAD):
        found["unclear"][text] = None
        return
    text = _BROKEN.sub(r"\1/", text)
    rows = table_rows(text)
    header = column_names(rows[0]) if rows else []
    names_ids = any(id_in_address(unquote(link)) for link in _LINK.findall(text))
    if columns := [number for number, name in enumerate(header) if name in _ACCOUNTS]:
        for row in rows[1:]:
            cells = [cell.strip() for cell in row]
            rest = set(range(min(len(header), len(cells)))).difference(columns)
            others = [cells[n] for n in rest if cells[n] and _VIDEO_COLUMN.search(header[n])]
            accounts = {cells[n].lstrip("@").lower(): None for n in columns if n < len(cells) and cells[n]}
            found["mentioned" if others else "accounts"] |= accounts
    for line in text.splitlines():
        links = [unquote(link).rstrip(".,:)!?") for link in _LINK.findall(line)]
        bare = _LINK.sub(" ", line)
        ids = [
            *(id_in_address(link) for link in links),
            *(n for n in re.findall(r"\d{17,20}", bare) if is_platform_id(n)),
        ]
        found["ids"] |= {video_id: None for video_id in ids if video_id}
        profiles = {profile[1].lower(): None for link in links if (profile := _PROFILE.search(link))}
        unclear = [link for link in links if "tiktok" in link and not id_in_address(link) and not _PROFILE.search(link)]
        found["unclear"] |= dict.fromkeys(unclear)
        accounts = {name.lower(): None for name in _ACCOUNT.findall(bare)}
        is_list = re.fullmatch(r"[\s*•\-\d.)]*(?:@[\w.]+)?\s*", bare) is not None
        asks = not any(ids) and (is_list or (_WHOLE.search(bare) is not None and not _ONLY.search(bare)))
        found["accounts" if asks else "mentioned"] |= accounts
        found["accounts" if asks else "mentioned" if names_ids else "profiles"] |= profiles
        found["mentioned"] |= {
            name.lower(): None for name in [*_NAME.findall(bare), *re.findall(r"\A\W*([\w.]{1,30}\w)\W*\Z", line)]
        }


# --- what of it is held ---------------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """A text as it is compared: without capitals, accents' spelling and line breaks."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def held_by_name(folder: Place, notice: Notice) -> list[Held]:
    """Videos of a folder that a notice names by their own id, the name or the bytes of their file, or their title."""
    text, found = plain(notice.text), []
    words = {part for word in _WORD.findall(notice.text) for part in (word, word.rpartition(".")[0], word.rstrip("."))}
    for video_id, path, title, sha256 in _videos(folder, names_files=_FILE.search(notice.text) is not None):
        name = path.rpartition("/")[2]
        stem = name.rpartition(".")[0]
        if video_id in words and is_distinct(video_id):
            found.append(Held(video_id, "its id"))
        elif sha256 and sha256 in words:
            found.append(Held(video_id, "its bytes"))
        elif stem and _stands_in(plain(name), text):
            found.append(Held(video_id, f"the file {name}"))
        elif _names(text, title):
            found.append(Held(video_id, f"the title {title.strip()!r}"))
    return found


def _names(text: str, title: str) -> bool:
    """Whether a title stands in a text, if it is long, also without its hashtags and pictures."""
    core = plain(re.sub(r"#\w+|[^\w\s.,:;!?'’&/()-]", " ", title))
    is_told = len(title.strip()) >= TITLE and _stands_in(plain(title), text)
    return is_told or (len(core) >= 2 * TITLE and core.count(" ") > 1 and _stands_in(core, text))


def _stands_in(words: str, text: str) -> bool:
    """Whether words stand in a text, not inside of other words."""
    return words in text and re.search(rf"(?<![\w.-]){re.escape(words)}(?!\w)", text) is not None


def _videos(folder: Place, names_files: bool) -> Iterable[tuple[str, str, str, str]]:
    """Id, path of the file, title and SHA-256 of every video; what is not known is empty. Byte-identical copies, which only
    the records know, where ``names_files``."""
    if not is_collection(folder):
        from tiktokactions.takedowns.dataset import batches, copied_files

        for batch in batches(folder, ["video_id", "source_path", "title", "sha256"]):
            columns = (batch[name].to_pylist() for name in ("video_id", "source_path", "title", "sha256"))
            yield from (
                (i, path or "", title or "", sha256 or "") for i, path, title, sha256 in zip(*columns, strict=True)
            )
        if names_files:
            yield from ((video_id, path, "", "") for video_id, path in copied_files(folder))
        return
    with Collection(folder) as collection:
        files = "SELECT video_id, coalesce(path, '') FROM downloads"
        paths = dict(collection.database.execute(files))
        captions = "SELECT video_id, coalesce(json_extract(raw, '$.video_description'), '') FROM videos"
        for video_id, title in collection.database.execute(captions):
            yield video_id, paths.pop(video_id, ""), str(title), ""
        yield from ((video_id, path, "", "") for video_id, path in paths.items())
