"""The messages between page and server, and how a video's record becomes one."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from tiktokactions.records import JsonObject
from tiktokactions.reviews.decisions import (
    ANSWERS_AT_MOST,
    NAMES_AT_MOST,
    SECONDS,
    SEGMENTS_AT_MOST,
    TEXT_AT_MOST,
    Answer,
    Decision,
)
from tiktokactions.reviews.index import VideoRow
from tiktokactions.reviews.items import ReviewItem
from tiktokactions.reviews.pace import Progress
from tiktokactions.reviews.rows import in_view, kinds_of
from tiktokactions.reviews.web.proxies import PART_S, WINDOW_S, plays_in_browsers
from tiktokactions.reviews.web.served import file_mark

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ClientKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:\-]{8,128}$")]
VideoId = Annotated[str, Field(min_length=1, max_length=200)]
QueueName = Annotated[str, Field(max_length=150)]
Tab = Annotated[
    str, Field(max_length=64, description="Names one of several pages of a person, which hold videos of their own.")
]
Text = Annotated[str, Field(max_length=TEXT_AT_MOST)]
Texts = Annotated[list[Text], Field(max_length=NAMES_AT_MOST)]
# JSON has no whole numbers: 12.0 may be one. This stands after the bounds, or OpenAPI would not describe them.
WHOLE = BeforeValidator(lambda v: int(v) if isinstance(v, float) and v.is_integer() else v)


class _Given(BaseModel):
    """What a page sends: no unknown fields, no values of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Problem(BaseModel):
    """Every answer that is not a success."""

    error: str


class _DecisionGiven(_Given):
    together: Annotated[list[VideoId], Field(max_length=NAMES_AT_MOST)] = Field(
        [],
        description="Look-alikes judged with it: each gets this decision, with `.1`, `.2` … after its client_key.",
    )

    def as_decision(self) -> Decision:
        values = self.model_dump(exclude={"together"})
        return Decision(**values | {name: tuple(v) for name, v in values.items() if isinstance(v, list)})


class _OfRecord(BaseModel):
    """Takes its values from the fields of a record."""

    model_config = ConfigDict(from_attributes=True)


class SegmentSaid(_Given):
    """A part of the video with labels of its own; seconds in the source."""

    start_s: Annotated[float, Field(**SECONDS)]
    end_s: Annotated[float, Field(**SECONDS)]
    labels: Annotated[list[Text], Field(min_length=1, max_length=NAMES_AT_MOST)]


_SEGMENTS = {"segments": Annotated[list[SegmentSaid], Field(max_length=SEGMENTS_AT_MOST)]}


def _given(kind: type[DataclassInstance]) -> dict[str, object]:
    """What a page may send of a record, each field within its bounds."""
    fields: dict[str, object] = {}
    for field in (f for f in dataclasses.fields(kind) if "given" in f.metadata.get("views", ())):
        of_type, is_optional = kinds_of(kind)[field.name]
        about = dict(field.metadata["about"])
        if "choices" in about:
            of_type = Literal[about.pop("choices")]
        elif typing.get_origin(of_type) is tuple:
            of_type = _SEGMENTS.get(field.name, Texts)
        elif typing.get_origin(of_type) is dict:
            of_type = Annotated[dict[Text, Answer], Field(max_length=ANSWERS_AT_MOST)]
        elif of_type is int:
            of_type = Annotated[int, Field(ge=about.pop("ge"), le=about.pop("le")), WHOLE]
        default = ... if field.default is dataclasses.MISSING else field.default
        fields[field.name] = (
            of_type | None if is_optional else of_type,
            Field(list(default) if isinstance(default, tuple) else default, **about),
        )
    return fields


def _told(kind: type[DataclassInstance], *views: str) -> dict[str, object]:
    """What is sent of a record."""
    hints = typing.get_type_hints(kind) | _SEGMENTS
    described = {f.name: f.metadata.get("about", {}).get("description") for f in dataclasses.fields(kind)}
    names = [name for view in views for name in in_view(kind, view)]
    return {name: (hints[name], Field(description=described[name])) for name in names}


if TYPE_CHECKING:
    DecisionGiven = _DecisionGiven
    DecisionAnswer = _OfRecord
    JudgementAnswer = _OfRecord
    VideoAnswer = _OfRecord
else:  # the fields are those of the records
    DecisionGiven = create_model(
        "DecisionGiven",
        __base__=_DecisionGiven,
        __doc__="One decision. Sent again with the same `client_key` it changes nothing.",
        **_given(Decision),
    )
    DecisionAnswer = create_model(
        "DecisionAnswer",
        __base__=_OfRecord,
        __doc__="The row of the table `decisions`; it is on the disk when this is sent.",
        **_told(Decision, "answer", "written"),
    )
    JudgementAnswer = create_model("Judgement", __base__=_OfRecord, **_told(Decision, "judgement"))
    VideoAnswer = create_model(
        "VideoAnswer",
        __base__=_OfRecord,
        __doc__="A video in the gallery; `judged` and `conflict` are shown to owners only.",
        **_told(VideoRow, "gallery") | {"judged": (int | None, None), "conflict": (str | None, None)},
    )


class UndoGiven(_Given):
    client_key: ClientKey
    takes_back: Annotated[str, Field(max_length=128)] = Field(
        "", description="The `client_key` of the decision to take back; empty: your newest."
    )
    page_version: Annotated[str, Field(max_length=100)] = ""
    tab: Tab = ""


class NextGiven(_Given):
    queue: QueueName = ""
    count: Annotated[int, Field(ge=1, le=20), WHOLE] = 3
    exclude: Annotated[list[VideoId], Field(max_length=200)] = []
    tab: Tab = ""


class LeasesGiven(_Given):
    video_ids: Annotated[list[VideoId], Field(max_length=200)]
    tab: Tab = ""


class BulkGiven(_Given):
    client_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_:\-]{8,64}$")]
    video_ids: Annotated[list[VideoId], Field(min_length=1, max_length=200)]
    verdict: Literal["accept", "reject"]
    label: Text = Field("", description="With accept: what `said` says of this label of each.")
    said: Literal["yes", "no"] = "yes"
    page_version: Text = ""

    def each(self) -> list[Decision]:
        """A decision on each video; its client key is the common one, a dot, and its number."""
        ids = enumerate(dict.fromkeys(self.video_ids))
        said = replace(Decision("", "", self.verdict), page_version=self.page_version, queue="gallery")
        return [replace(said, client_key=f"{self.client_key}.{n}", video_id=video_id) for n, video_id in ids]


class BulkUndoGiven(_Given):
    takes_back: Annotated[str, Field(min_length=8, max_length=64)] = Field(
        description="The `client_key` of the bulk action."
    )


class FlagGiven(_Given):
    video_id: VideoId
    kind: Literal["illegal", "sensitive", "minor", "sent_back"]
    comment: Text = ""
    reviewer: Annotated[str, Field(max_length=TEXT_AT_MOST)] = Field(
        "", description="Of `sent_back`: who must look again."
    )


class TokenGiven(_Given):
    token: Annotated[str, Field(min_length=1, max_length=200)]
    replace: bool = Field(False, description="End the session of somebody else in this browser.")


class InvitationGiven(_Given):
    name: Annotated[str, Field(min_length=1, max_length=TEXT_AT_MOST)]
    role: Literal["reviewer", "owner"] = "reviewer"


class GoldGiven(_Given):
    verdict: Literal["accept", "reject"] | None = Field(
        description="The right answer; null: stop using it as a gold item."
    )


class SessionAnswer(BaseModel):
    reviewer: str
    name: str
    role: str
    token: str = Field(description="Send it back as X-Review-Token with every POST that relies on the cookie.")


class Segment(_OfRecord):
    start_s: float
    end_s: float


class Person(BaseModel):
    xyxy: tuple[float, float, float, float] = Field(description="Pixels of the upright source picture.")
    score: float
    counts: bool = Field(description="The score reaches the threshold.")


class SampleAnswer(BaseModel):
    time_s: float
    people: list[Person]


class Media(BaseModel):
    url: str
    start_s: float = Field(0.0, description="The source's time at the first frame of this file.")
    end_s: float | None = None


class Item(BaseModel):
    """A video with everything its page shows."""

    video_id: str
    queue: str
    second_look: bool
    title: str | None
    creator: str | None
    file_name: str
    labels: list[str]
    why: str = Field(description="What was seen in it; once you have judged it, also what became of it.")
    note: str = Field("", description="Why the owner sent your judgement back; empty: it was not.")
    prefill: bool = Field(False, description="Its labels are marked beforehand.")
    duration_s: float | None
    fps: float | None
    width: int | None
    height: int | None
    scenes: list[Segment]
    scene: int | None
    samples: list[SampleAnswer]
    person_score: float
    min_clip_s: float
    max_clip_s: float
    segment: Segment | None
    clip: Media | None
    source: Media | None = Field(description="The source itself, where browsers play it.")
    scene_url: str | None = Field(description="Copies of the scenes: this, the scene's number, a slash, and the part.")
    sound_url: str | None = Field(description="The same with sound, asked for with ?sound=true; null: it has none.")
    part_s: float = PART_S
    window_s: float = WINDOW_S
    poster: str | None
    strip: str | None = Field(description="The sampled frames side by side, in the order of samples.")
    decided: str | None = Field(description="What you said of it before.")
    is_copy: bool = Field(False, description="Among look-alikes: it is the same footage.")
    decided_key: str | None = Field(None, description="The `client_key` of that decision, to take it back.")
    judgements: list[JudgementAnswer] | None = Field(
        description="What everybody said; to owners, who settle conflicts."
    )


class NextAnswer(BaseModel):
    items: list[Item]
    progress: Progress


class UndoAnswer(BaseModel):
    undone: DecisionAnswer | None = Field(description="null: there was nothing to take back.")
    item: Item | None = Field(description="The video to be judged anew.")
    previous: JsonObject | None = Field(description="What was said of it.")


class BulkAnswer(BaseModel):
    recorded: int
    refused: dict[str, str] = Field(description="Videos of which nothing was recorded, and why.")


class BulkUndoAnswer(BaseModel):
    undone: list[str]


class GalleryAnswer(BaseModel):
    videos: list[VideoAnswer]
    next: str | None = Field(description="Pass it as `after` for the next page.")
    previous: str | None = Field(description="Pass it as `before` for the previous page.")
    total: int | None = Field(description="null: more than 10,000.")


class InvitationAnswer(BaseModel):
    reviewer: str
    role: str
    token: str
    path: str = Field(description="Path of the link, to append to the server's address.")


class Done(BaseModel):
    ok: bool = True


class Renewed(Done):
    gone: list[str] = Field(description="Not in the dataset any more: taken down, for example.")


def media_url(video_id: str, what: str) -> str:
    return f"/media/{quote(video_id, safe='')}/{what}"


def _marked(video_id: str, what: str, path: Path | None) -> str | None:
    try:
        return None if path is None else f"{media_url(video_id, what)}?v={file_mark(path)}"
    except OSError:
        return None  # gone since it was looked for


def item_answer(
    item: ReviewItem,
    queue: str,
    decided: Decision | None = None,
    second_look: bool = False,
    judgements: list[Decision] | None = None,
) -> Item:
    record, video_id, probe = item.record, item.record.video_id, item.record.probe
    plays = item.source_path is not None and plays_in_browsers(probe, item.source_path)
    copies = item.source is not None and not plays and probe is not None and bool(record.scenes)
    has_sound = item.source is not None and probe is not None and probe.has_audio and bool(record.scenes)
    clip_url = _marked(video_id, "clip", item.clip_path)
    source_url = _marked(video_id, "source", item.source_path) if plays else None
    clip = source = None
    if clip_url is not None and record.segment is not None:
        clip = Media(url=clip_url, start_s=record.segment.start_s, end_s=record.segment.end_s)
    if source_url is not None and probe is not None:
        end_s = record.scenes[-1].end_s if record.scenes else probe.duration_s
        source = Media(url=source_url, start_s=0.0, end_s=end_s)
    samples = []
    for sample in record.samples:
        people = [Person(xyxy=p.xyxy, score=p.score, counts=p.score >= item.person_score) for p in sample.people]
        samples.append(SampleAnswer(time_s=sample.time_s, people=people))
    values = vars(item) | {name: getattr(probe, name, None) for name in ("duration_s", "fps", "width", "height")}
    return Item.model_validate(
        values
        | {
            "video_id": video_id,
            "queue": queue,
            "second_look": second_look,
            "title": record.source.title,
            "creator": record.source.creator,
            "file_name": Path(record.source.path).name,
            "labels": record.labels,
            "scenes": record.scenes,
            "samples": samples,
            "clip": clip,
            "source": source,
            "scene_url": media_url(video_id, "scenes/") if copies else None,
            "sound_url": media_url(video_id, "scenes/") if has_sound else None,
            "poster": _marked(video_id, "poster", item.poster_path),
            "strip": _marked(video_id, "strip", item.strip_path) if record.samples else None,
            "decided": None if decided is None else decided.verdict,
            "decided_key": None if decided is None else decided.client_key,
            "judgements": judgements,
        }
    )
