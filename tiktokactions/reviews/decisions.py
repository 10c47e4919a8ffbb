"""The nouns of the review: a decision, a person, a known answer; and the checks of a decision on its own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from tiktokactions.errors import UsageError
from tiktokactions.records import ActionSegment, JsonObject
from tiktokactions.reviews.rows import column, column_names, shown, to_json

RELEASED = "released"
"""How a verdict came about that was taken over from a release. What people of this dataset decide stands above it."""
VERDICTS = ("accept", "reject", "skip", "unsure")
Answer = Literal["yes", "no", "cannot_tell", "not_asked"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
"""What can be said of one label. ``not_asked``: it was offered, but not in sight when the clip was judged."""
EVERY_OTHER = "*"
"""Stands in :attr:`Judgement.answers` for every label that is not named there: somebody said all that is in the clip."""
TEXT_AT_MOST, NAMES_AT_MOST, ANSWERS_AT_MOST, SEGMENTS_AT_MOST = 100, 50, 500, 100
SECONDS: JsonObject = {"ge": 0, "le": 1e7, "allow_inf_nan": False}
CLIENT_KEY = re.compile(r"^[A-Za-z0-9_.:\-]{8,128}$")


class DecisionError(UsageError):
    """A decision that is refused. The message can be shown to the person who made it."""


@dataclass(frozen=True)
class Judgement:
    """What is said about a video. Decisions and verdicts, their tables, their exports and the web interface all take these
    fields from here."""

    verdict: str = field(metadata=shown("given answer judgement", choices=VERDICTS))
    """``accept``, ``reject``, ``skip`` or ``unsure``."""
    labels: tuple[str, ...] | None = column(
        None,
        "given judgement",
        "The actions in the clip: those of `answers` with yes. Empty: none of them; null: nothing is said about actions.",
    )
    """The actions in the clip; empty where somebody acts and none fits, None where nothing was said about them."""
    tags: tuple[str, ...] = column((), "given judgement", "Free words.")
    no_action: bool = column(False, "given judgement", "Nobody acts in it; only with reject.")
    scene: int | None = column(None, "given", ge=0, le=10**6)
    start_s: float | None = column(
        None, "given judgement", "With end_s: the segment, seconds in the source; null: as proposed.", **SECONDS
    )
    """With ``end_s``: the segment that becomes the clip, seconds in the source; None: as proposed."""
    end_s: float | None = column(None, "given judgement", **SECONDS)
    answers: dict[str, str] | None = column(
        None,
        "given judgement",
        "For each label yes, no, cannot_tell or not_asked. Without it, `labels` says all: the clip's other hashtags are no.",
    )
    """For each label one of :data:`ANSWERS`; None where nothing was said about actions."""
    why: str = column("", "given judgement", "Why it is rejected, in a few words.", max_length=TEXT_AT_MOST)
    segments: tuple[ActionSegment, ...] = column(
        (), "given judgement", "Parts of the video with labels of their own; seconds in the source."
    )

    @property
    def answered(self) -> dict[str, str] | None:
        """``answers``; where only ``labels`` were given, they are yes and every other label is no."""
        if self.answers is not None or self.labels is None:
            return self.answers
        return dict.fromkeys(self.labels, "yes") | {EVERY_OTHER: "no"}


@dataclass(frozen=True)
class _Taken:
    """Who made a decision, when, and on which video."""

    id: int = field(default=0, kw_only=True, metadata=shown("answer"))
    """The number of the row; 0 until it is written."""
    client_key: str = field(metadata=shown("given answer", pattern=CLIENT_KEY.pattern))
    """Made by the client, new for every decision, so that a decision that is sent twice is recognised."""
    at_utc: str = field(default="", kw_only=True, metadata=shown("written"))
    reviewer: str = field(default="", kw_only=True, metadata=shown("judgement"))
    video_id: str = field(metadata=shown("given answer", min_length=1, max_length=200))


@dataclass(frozen=True)
class Decision(Judgement, _Taken):
    """One decision of one person on one video: a row of the table ``decisions``. ``verdict`` may also be ``undo``."""

    seconds: float = column(0.0, "given", "Time spent on it.", **SECONDS)
    page_version: str = column("", "given", max_length=TEXT_AT_MOST)
    queue: str = column("", "given", "Where it was handed out from; empty: the queue that is open.", max_length=150)
    """``review``, ``sample``, ``label:<label>``, ``conflicts``, ``gallery`` …"""
    adjudication: bool = column(False, "given", "The last word in a conflict; owners only.")
    prefilled: bool = column(False, "given", "The hashtags were marked with yes before anybody looked.")
    origin: str = "web"
    undoes: int | None = None
    """The row that an ``undo`` takes back; it stays in the table."""
    previous: JsonObject | None = None
    """What that row said."""
    repeated: bool = column(False, "written", "Nothing was written: this client_key was known.", kept=False)
    """Nothing was written: a decision with this client key was there already."""


@dataclass(frozen=True)
class _OfVideo:
    video_id: str


@dataclass(frozen=True)
class Verdict(Judgement, _OfVideo):
    """What people agreed on about a video: a row of the table ``verdicts``."""

    judgements: int = 0
    """How many people's; 0 of a released verdict that no person came to."""
    confidence: float = 0.0
    """Share of agreeing judgements, or the model's probability of the verdict."""
    method: str = "majority"


@dataclass(frozen=True)
class Reviewer:
    id: str
    name: str
    role: str
    """``owner``, ``reviewer``, or ``outside`` for those whose answers were imported."""
    created_utc: str
    disabled: bool = False
    has_token: bool = False


@dataclass(frozen=True)
class Gold:
    """A video whose right answer is known."""

    video_id: str
    verdict: str
    labels: tuple[str, ...] | None


def value_of(decision: Decision) -> JsonObject:
    """What a decision says, as JSON types."""
    return to_json(decision, [*column_names(Judgement), "queue"])


def checked_decision(new: Decision) -> Decision:
    """The decision with its texts normalised.

    Raises:
        DecisionError: a field that makes no sense for any video.
    """
    if not CLIENT_KEY.fullmatch(new.client_key):
        raise DecisionError(f"client_key: got {new.client_key[:80]!r}, expected 8 to 128 letters, digits or _.:-")
    if new.verdict not in VERDICTS:
        raise DecisionError(f"verdict: got {new.verdict[:80]!r}, expected one of {', '.join(VERDICTS)}")
    if new.no_action and (new.verdict != "reject" or new.labels):
        raise DecisionError("no_action: nobody acts in the clip, so its verdict is 'reject' and it has no labels")
    answers = _checked_answers(new)
    if (new.start_s is None) != (new.end_s is None):
        raise DecisionError("start_s and end_s: expected both or neither")
    if new.start_s is not None and new.end_s is not None and not 0 <= new.start_s < new.end_s < 1e6:
        raise DecisionError(f"segment: got {new.start_s:g} to {new.end_s:g} s, expected a start before its end")
    if not 0 <= new.seconds < 1e9:
        raise DecisionError(f"seconds: got {new.seconds:g}, expected 0 or more")
    return replace(
        new,
        labels=labels_in(answers),
        answers=answers,
        why=clean_label(new.why, "why") if new.why else "",
        tags=clean_texts(new.tags, "tags"),
        segments=_checked_segments(new),
        seconds=min(new.seconds, 86_400.0),
        page_version=new.page_version[:TEXT_AT_MOST],
        queue=new.queue[: TEXT_AT_MOST + 10],
    )


def labels_in(answers: Mapping[str, str] | None) -> tuple[str, ...] | None:
    """The labels with yes; None where nothing was said of any, or nobody could tell: that is not to say that none fits."""
    if answers is None or (answers and set(answers.values()) <= {"cannot_tell", "not_asked"}):
        return None
    return tuple(label for label, said in answers.items() if said == "yes")


def _checked_answers(new: Judgement) -> dict[str, str] | None:
    """What is said of each label, from ``answers``, else from ``labels``."""
    if new.answers is None:
        return None if new.labels is None else Judgement("", clean_texts(new.labels, "labels")).answered
    clean_texts(new.answers, "answers", ANSWERS_AT_MOST)
    answers = {clean_label(label): said for label, said in new.answers.items()}
    if unknown := set(answers.values()).difference(ANSWERS):
        raise DecisionError(f"answers: got {min(unknown)[:80]!r}, expected one of {', '.join(ANSWERS)}")
    if answers.get(EVERY_OTHER, "no") != "no":
        raise DecisionError(
            f"answers: got {answers[EVERY_OTHER]} for {EVERY_OTHER}, which stands for every other label"
        )
    said_yes = {label for label, said in answers.items() if said == "yes"}
    if new.labels is not None and set(clean_texts(new.labels, "labels")) != said_yes:
        raise DecisionError("labels: got others than those of `answers` with yes; send one of the two")
    if new.no_action and said_yes:
        raise DecisionError("no_action: nobody acts in the clip, so no label can be yes")
    return answers


def _checked_segments(new: Judgement) -> tuple[ActionSegment, ...]:
    if len(new.segments) > SEGMENTS_AT_MOST:
        raise DecisionError(f"segments: got {len(new.segments)}, expected at most {SEGMENTS_AT_MOST}")
    if new.segments and new.verdict not in ("accept", "unsure"):
        raise DecisionError(f"segments: got some with {new.verdict!r}; actions are marked with accept or unsure")
    checked: list[ActionSegment] = []
    for part in new.segments:
        start_s, end_s, labels = part["start_s"], part["end_s"], clean_texts(part["labels"], "labels of a segment")
        if not (0 <= start_s < end_s < 1e6 and labels):
            raise DecisionError(
                f"segments: got {start_s:g} to {end_s:g} s, expected a start before its end, and a label"
            )
        checked.append({"start_s": start_s, "end_s": end_s, "labels": list(labels)})
    return tuple(sorted(checked, key=lambda part: (part["start_s"], part["end_s"])))


def clean_texts(texts: Iterable[str], what: str, at_most: int = NAMES_AT_MOST) -> tuple[str, ...]:
    cleaned = tuple(dict.fromkeys(clean_label(text, what) for text in texts))
    if len(cleaned) > at_most:
        raise DecisionError(f"{what}: got {len(cleaned)}, expected at most {at_most}")
    return cleaned


def clean_label(text: str, what: str = "label") -> str:
    """A label, tag or name as it is stored: in NFC, without a leading ``#``, each run of spaces as one.

    Raises:
        DecisionError: empty, longer than 100 characters, or with characters that cannot be shown, or that turn the text
            around them or cannot be seen (so that one name looks like another).
    """
    label = " ".join(unicodedata.normalize("NFC", text).split()).lstrip("#").strip()
    joins = "\u200c\u200d"  # Persian, Indic scripts and emoji need these two between letters
    hidden = any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Cn") and c not in joins for c in text.strip())
    if not label.strip(joins) or len(label) > TEXT_AT_MOST or hidden:
        raise DecisionError(f"{what} {text[:80]!r}: expected 1 to {TEXT_AT_MOST} characters that can be shown")
    return label
