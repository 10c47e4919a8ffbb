"""Notices of rights-holders: what they ask for, in mails, tables and texts; and the desk that answers them."""

from __future__ import annotations

import gzip
import json
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

import tiktokactions as ta
from tiktokactions.cli import main
from tiktokactions.errors import UsageError
from tiktokactions.takedowns.notices import read_notice
from tiktokactions.takedowns.reports import signature

IDS = [str((1_717_200_000 + number << 32) + number + 1) for number in range(6)]
LINK = "https://www.tiktok.com/@ann.example/video/"


@pytest.mark.parametrize(
    ("text", "ids", "accounts", "mentioned", "unclear"),
    [
        (f"Please remove {LINK}{IDS[0]}, and {LINK}{IDS[1]}?lang=en.", IDS[:2], (), (), ()),
        (f"I am @ann.example. Please remove\n* {LINK}{IDS[0]}\nYours, @ann.example", IDS[:1], (), ("ann.example",), ()),
        ("Please delete all videos of @Bob_1, write to me@example.org", (), ("bob_1",), (), ()),
        ("the accounts\n- @bob\n- @cid.x\n", (), ("bob", "cid.x"), (), ()),
        ("https://www.tiktok.com/@bob?lang=en", (), ("bob",), (), ()),
        ("https://vm.tiktok.com/ZM12/ and tiktok.com/t/Z8", (), (), (), ("https://vm.tiktok.com/ZM12/", "tiktok.com/t/Z8")),
        (f"video {IDS[2]}, call 4915112345678901234", IDS[2:3], (), (), ()),
        (f"Video ID;Account\n{IDS[3]};@bob\n;cid\n", IDS[3:4], ("cid",), ("bob",), ()),
        (f"<a href='{LINK}{IDS[4]}'>mine</a>", IDS[4:5], (), (), ()),
        (f"https://out.example/?url=https%3A%2F%2Fwww.tiktok.com%2F%40a%2Fvideo%2F{IDS[0]}&d=1", IDS[:1], (), (), ()),
        (f"remove https://www.tiktok.com/@ann.example/\n> video/{IDS[0]}\n", IDS[:1], (), (), ()),
        (f"I am https://www.tiktok.com/@ann; it is\n{LINK}{IDS[0]}", IDS[:1], (), ("ann",), ()),
        (f"bitte l\xf6schen: {LINK}{IDS[0]}", IDS[:1], (), (), ()),
        ("username\nbob\n@cid\n", (), ("bob", "cid"), ("username",), ()),
        ("account,reason\n@ann,copyright\nbob,privacy\n", (), ("ann", "bob"), ("reason",), ()),
        ("Do not remove all videos of @ann, only one", (), (), ("ann",), ()),
        ("Nicht alle Videos von @bob, bitte", (), (), ("bob",), ()),
        ("rimuovete tutti i video di @bob", (), ("bob",), (), ()),
        ("everything by dora.x\nmy user name is gina\n", (), (), ("dora.x", "gina"), ()),
    ],
)  # fmt: skip
def test_a_text(tmp_path: Path, text: str, ids: Any, accounts: Any, mentioned: Any, unclear: Any) -> None:
    (tmp_path / "notice.txt").write_bytes(text.encode("cp1252"))
    found = read_notice(tmp_path / "notice.txt")
    assert (found.ids, found.accounts, found.mentioned, found.unclear) == (tuple(ids), accounts, mentioned, unclear)


@pytest.mark.parametrize("kind", ["plain", "html", "both", "attached", "forwarded", "unknown charset"])
def test_a_mail(tmp_path: Path, kind: str) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Änn <ann@example.org>", "lab@example.org", "Mes vidéos"
    mail["Date"] = "Mon, 30 Nov 2026 10:00:00 +0100"
    link = f"{LINK}{IDS[0]}"
    long = f"Bitte löschen Sie {'bitte ' * 15}{LINK}{IDS[0]}"
    if kind != "html":
        mail.set_content("see the list" if kind in ("attached", "forwarded") else long)
    if kind == "unknown charset":
        mail.set_param("charset", "odd-8")
    if kind == "forwarded":
        inner = EmailMessage()
        inner.set_content(long)
        mail.add_attachment(inner)
    if kind == "html":
        mail.set_content(f"<p>siehe <a href='{LINK}{IDS[0]}'>hier</a>", subtype="html")
    if kind == "both":
        mail.add_alternative(f"<p>{long}", subtype="html")
    if kind == "attached":
        packed = gzip.compress(f"url\n{link}\n".encode("utf-16"))
        mail.add_attachment(packed, maintype="application", subtype="gzip", filename="list.csv.gz")
        mail.add_attachment(b"\xff\xd8\xff\xe0", maintype="image", subtype="jpeg", filename="id.jpg")
    path = tmp_path / ("mail.eml" if kind == "plain" else "mail.txt")
    path.write_bytes(mail.as_bytes())
    found = read_notice(path)
    assert (found.ids, found.sender, found.subject) == ((IDS[0],), "Änn <ann@example.org>", "Mes vidéos")
    assert found.date.startswith("Mon, 30 Nov 2026") and found.accounts == ()
    assert found.unclear == (("the attachment id.jpg",) if kind == "attached" else ())


@pytest.mark.parametrize("data", [bytes(range(256)), b"%PDF-1.4", b"PK\x03\x04docx"], ids=["bytes", "pdf", "docx"])
def test_what_is_no_text(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "notice").write_bytes(data)
    with pytest.raises(UsageError, match=r"expected a mail, a table or a text .* save it as text"):
        read_notice(tmp_path / "notice")


def test_no_notice(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a mail, a table or a text"):
        read_notice(tmp_path / "notice.txt")


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    rows = [
        {"id": i, "username": name, "video_description": f"my {word} morning in the yard"}
        for i, name, word in zip(IDS, ("ann", "ann", "bob", "cid", "dora", "eve"), "abcdef", strict=True)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    ta.collect_import(tmp_path / "rows.jsonl", tmp_path / "col")
    ta.collect_export(tmp_path / "col", tmp_path / "rows-out.jsonl")
    return tmp_path / "col"


@pytest.mark.parametrize(
    ("text", "videos", "mentioned"),
    [
        ("My a morning in the yard, on https://www.tiktok.com/@ann", IDS[:1], {"ann": 1}),
        ("My page is https://www.tiktok.com/@ann", IDS[:2], {}),
        ("the video “My b morning in the yard!” is mine", IDS[1:2], {}),
    ],
    ids=["a title and a page", "a page alone", "a title without its hashtags"],
)
def test_what_a_notice_names(
    collection: Path, tmp_path: Path, text: str, videos: list[str], mentioned: dict[str, int]
) -> None:
    (tmp_path / "more.jsonl").write_text(
        json.dumps({"id": IDS[1], "video_description": "My b morning in the yard! 💪 #gym"})
    )
    ta.collect_import(tmp_path / "more.jsonl", collection)
    (tmp_path / "notice.txt").write_text(text, encoding="utf-8")
    found = ta.takedown(collection, notice=tmp_path / "notice.txt")
    assert (sorted(found.videos), found.mentioned) == (videos, mentioned)


def test_the_desk(collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notice = tmp_path / "notice.txt"
    notice.write_text(
        f"{LINK}{IDS[2]}\n«My D  morning in\nthe yard»\nall of @ANN please\nI am @eve\n7300000000000000009\n"
    )
    before, given = (collection / "collection.sqlite").read_bytes(), (tmp_path / "rows.jsonl").read_text()
    asked = ta.takedown(collection, notice=notice)
    assert (set(asked.videos), asked.unknown, asked.mentioned) == ({*IDS[:4]}, ("7300000000000000009",), {"eve": 1})
    assert asked.videos[IDS[3]] == "the title 'my d morning in the yard'" and asked.videos[IDS[0]] == "the account @ann"
    assert asked.held == {str(collection): 4, str(tmp_path / "rows-out.jsonl"): 4, str(tmp_path / "rows.jsonl"): 4}
    assert not asked.is_done and (collection / "collection.sqlite").read_bytes() == before
    typed = ["takedown", str(collection), "--notice", str(notice), "--yes"]
    assert main(typed) == 1  # somebody has to look at what was only mentioned
    told = capsys.readouterr()
    assert f"in {collection}: 4" in told.out and f"{tmp_path / 'rows-out.jsonl'} (export, 20" in told.out
    assert "@eve (1 videos)" in told.err
    for name in ("rows-out.jsonl", "rows.jsonl"):
        assert [json.loads(line)["id"] for line in (tmp_path / name).read_text().splitlines()] == IDS[4:]
    report = json.loads((tmp_path / "notice.report.json").read_text())
    assert report["sha256"] == signature(report) and report["ids"] == sorted(IDS[:4])
    assert report["reports"] == [
        {"path": str(path), "sha256": json.loads(path.read_text())["sha256"]}
        for path in (collection / "removals").iterdir()
    ]
    answer = (tmp_path / "notice.answer.txt").read_text()
    assert "We removed 4 videos" in answer and "Of these we hold nothing: 7300000000000000009" in answer
    again = ta.takedown(collection, notice=notice, yes=True, output=tmp_path / "second")
    assert (again.videos, set(again.before)) == ({}, {IDS[2], "7300000000000000009"})
    assert "had been removed before" in (tmp_path / "second/answer.txt").read_text()
    # A removed id stays out.
    (tmp_path / "again.jsonl").write_text(given)
    assert ta.collect_import(tmp_path / "again.jsonl", collection).new == 0
