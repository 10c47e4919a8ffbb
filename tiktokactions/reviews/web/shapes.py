"""What goes over the wire between page and server, and how a video's record becomes that."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tiktokactions.reviews.decisions import NAMES_AT_MOST, TEXT_AT_MOST, Decision, NewDecision
from tiktokactions.reviews.items import ReviewItem
from tiktokactions.reviews.web.proxies import PART_S, WINDOW_S, plays_in_browsers
from tiktokactions.reviews.web.ranges import file_mark

ClientKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:\-]{8,128}$")]
VideoId = Annotated[str, Field(min_length=1, max_length=200)]
QueueName = Annotated[str, Field(max_length=150)]
Text = Annotated[str, Field(max_length=TEXT_AT_MOST)]
Texts = Annotated[list[Text], Field(max_length=NAMES_AT_MOST)]
# JSON knows no whole numbers: 12.0 is one. It stands after the bounds, else they are not in the OpenAPI description.
WHOLE = BeforeValidator(lambda v: int(v) if isinstance(v, float) and v.is_integer() else v)
Seconds = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]


class _Given(BaseModel):
    """What a page sends: nothing unknown in it, and nothing of another kind."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Problem(BaseModel):
    """Every answer that is not a success."""

    error: str


class DecisionGiven(_Given):
    """One decision. Sent again with the same `client_key` it changes nothing."""

    client_key: ClientKey
    video_id: VideoId
    verdict: Literal["accept", "reject", "skip", "unsure"]
    labels: Texts | None = Field(None, description="Actions that are seen; null where nothing is said about them.")
    tags: Texts = Field([], description="Free words.")
    no_action: bool = Field(False, description="Nobody acts in it; only with reject.")
    scene: Annotated[int, Field(ge=0, le=10**6), WHOLE] | None = None
    start_s: Seconds | None = Field(
        None, description="With end_s: the segment, seconds in the source; null: as proposed."
    )
    end_s: Seconds | None = None
    seconds: Seconds = Field(0.0, description="Time spent on it.")
    page_version: Annotated[str, Field(max_length=100)] = ""
    queue: QueueName = Field("", description="Where it was handed out from; empty: the queue that is open.")
    adjudication: bool = Field(False, description="The last word in a conflict; owners only.")

    def as_decision(self) -> NewDecision:
        fields = self.model_dump(exclude={"adjudication"})
        labels = None if self.labels is None else tuple(self.labels)
        return NewDecision(**fields | {"labels": labels, "tags": tuple(self.tags)})


class UndoGiven(_Given):
    client_key: ClientKey
    page_version: Annotated[str, Field(max_length=100)] = ""


class NextGiven(_Given):
    queue: QueueName = ""
    count: Annotated[int, Field(ge=1, le=20), WHOLE] = 3
    exclude: Annotated[list[VideoId], Field(max_length=200)] = []


class LeasesGiven(_Given):
    video_ids: Annotated[list[VideoId], Field(max_length=200)]


class NameGiven(_Given):
    name: Annotated[str, Field(min_length=1, max_length=TEXT_AT_MOST)]


class TokenGiven(_Given):
    token: Annotated[str, Field(min_length=1, max_length=200)]


class InvitationGiven(_Given):
    name: Annotated[str, Field(min_length=1, max_length=TEXT_AT_MOST)]
    role: Literal["reviewer", "owner"] = "reviewer"


class GoldGiven(_Given):
    verdict: Literal["accept", "reject"] | None = Field(description="The right answer; null: no gold item any more.")


class SessionAnswer(BaseModel):
    reviewer: str
    name: str
    role: str
    token: str = Field(description="To be sent back as X-Review-Token with every POST that relies on the cookie.")


class DecisionAnswer(BaseModel):
    """The row of the table `decisions`; it is on the disk when this is sent."""

    id: int
    client_key: str
    video_id: str
    verdict: str
    at_utc: str
    repeated: bool = Field(description="Nothing was written: this client_key was known.")


class Segment(BaseModel):
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


class Judgement(BaseModel):
    reviewer: str
    verdict: str
    labels: list[str] | None
    tags: list[str]
    no_action: bool
    start_s: float | None
    end_s: float | None


class Item(BaseModel):
    """A video with everything its page shows."""

    video_id: str
    queue: str
    second_look: bool
    title: str | None
    creator: str | None
    file_name: str
    labels: list[str]
    why: str
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
    part_s: float = PART_S
    window_s: float = WINDOW_S
    poster: str | None
    strip: str | None = Field(description="The sampled frames side by side, in the order of samples.")
    decided: str | None = Field(description="What you said of it before.")
    judgements: list[Judgement] | None = Field(description="What everybody said; to owners, who settle conflicts.")


class ProgressAnswer(BaseModel):
    queue: str
    total: int
    done: int
    left: int
    own_done: int
    own_today: int
    own_seconds_per_video: float | None
    videos_per_minute: float | None
    seconds_left: float | None


class NextAnswer(BaseModel):
    items: list[Item]
    progress: ProgressAnswer


class UndoAnswer(BaseModel):
    undone: DecisionAnswer | None = Field(description="null: there was nothing to take back.")
    item: Item | None = Field(description="The video to be judged anew.")
    previous: dict[str, Any] | None = Field(description="What was said of it.")


class LabelAnswer(BaseModel):
    label: str
    videos: int


class VideoAnswer(BaseModel):
    """A video in the gallery; `judged` and `conflict` are told to owners only."""

    video_id: str
    status: str
    reasons: list[str]
    labels: list[str]
    creator: str | None
    title: str | None
    file_name: str
    duration_s: float | None
    width: int | None
    height: int | None
    person_frames: int | None
    sampled_frames: int | None
    best_score: float | None
    judged: int | None
    conflict: str | None


class GalleryAnswer(BaseModel):
    videos: list[VideoAnswer]
    next: str | None = Field(description="Give it as `after` for the page behind this one.")
    previous: str | None = Field(description="Give it as `before` for the page ahead of this one.")
    total: int | None = Field(description="null: more than 10,000.")


class InvitationAnswer(BaseModel):
    reviewer: str
    role: str
    token: str
    path: str = Field(description="Of the link, to be put behind the server's address.")


class Done(BaseModel):
    ok: bool = True


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
    record, video_id = item.record, item.record.video_id
    plays = item.source_path is not None and plays_in_browsers(record.probe, item.source_path)
    clip_url = _marked(video_id, "clip", item.clip_path)
    source_url = _marked(video_id, "source", item.source_path) if plays else None
    clip = None
    if clip_url is not None and record.segment is not None:
        clip = Media(url=clip_url, start_s=record.segment.start_s, end_s=record.segment.end_s)
    copies = item.source is not None and not plays and record.probe is not None and bool(record.scenes)
    return Item(
        video_id=video_id,
        queue=queue,
        second_look=second_look,
        title=record.source.title,
        creator=record.source.creator,
        file_name=Path(record.source.path).name,
        labels=list(record.labels),
        why=item.why,
        duration_s=record.probe.duration_s if record.probe else None,
        fps=record.probe.fps if record.probe else None,
        width=record.probe.width if record.probe else None,
        height=record.probe.height if record.probe else None,
        scenes=[Segment(start_s=scene.start_s, end_s=scene.end_s) for scene in record.scenes],
        scene=item.scene,
        samples=[
            SampleAnswer(
                time_s=sample.time_s,
                people=[Person(xyxy=p.xyxy, score=p.score, counts=p.score >= item.person_score) for p in sample.people],
            )
            for sample in record.samples
        ],
        person_score=item.person_score,
        min_clip_s=item.min_clip_s,
        max_clip_s=item.max_clip_s,
        segment=None if item.segment is None else Segment(start_s=item.segment[0], end_s=item.segment[1]),
        clip=clip,
        source=None
        if source_url is None
        else Media(url=source_url, start_s=0.0, end_s=record.probe.duration_s if record.probe else None),
        scene_url=media_url(video_id, "scenes/") if copies else None,
        poster=_marked(video_id, "poster", item.poster_path),
        strip=_marked(video_id, "strip", item.strip_path) if record.samples else None,
        decided=None if decided is None else decided.verdict,
        judgements=None if judgements is None else [judgement_answer(judgement) for judgement in judgements],
    )


def judgement_answer(said: Decision) -> Judgement:
    return Judgement(
        reviewer=said.reviewer,
        verdict=said.verdict,
        labels=None if said.labels is None else list(said.labels),
        tags=list(said.tags),
        no_action=said.no_action,
        start_s=said.start_s,
        end_s=said.end_s,
    )


def decision_answer(decision: Decision) -> DecisionAnswer:
    return DecisionAnswer(
        id=decision.id,
        client_key=decision.client_key,
        video_id=decision.video_id,
        verdict=decision.verdict,
        at_utc=decision.at_utc,
        repeated=decision.repeated,
    )
