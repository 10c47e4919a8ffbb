"""The JSON interface under ``/api``: what pages and programs ask for and send."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel

from tiktokactions.records import JsonObject, Status
from tiktokactions.reviews import flags, ledger, people
from tiktokactions.reviews.decisions import DecisionError
from tiktokactions.reviews.desk import LabelChoice
from tiktokactions.reviews.folding import catch_up
from tiktokactions.reviews.gallery import Filters, browse
from tiktokactions.reviews.items import ReviewItem
from tiktokactions.reviews.pace import Progress
from tiktokactions.reviews.queue import QueueItem
from tiktokactions.reviews.suggestions import look_alikes_of
from tiktokactions.reviews.web import shapes
from tiktokactions.reviews.web.context import (
    SECURITY,
    SET_ASIDE,
    UNREADABLE,
    MayChange,
    Owner,
    OwnerMayChange,
    SignedIn,
    TheWeb,
    Web,
    hides_clip,
    readable_item,
)
from tiktokactions.reviews.web.sessions import Session

_SAID = {
    400: "Wrong Host header, or a body that is no JSON.",
    401: "Not signed in.",
    403: "Sent by another site, without X-Review-Token, or not allowed.",
    413: "The body is too large.",
    409: "Well formed, but it does not fit what is there: the video's scenes, the names that are taken.",
    415: "The body is not application/json.",
    422: "What was sent makes no sense.",
}
PROBLEMS: dict[int | str, JsonObject] = {
    code: {"model": shapes.Problem, "description": text} for code, text in _SAID.items()
}
UNKNOWN: dict[int | str, JsonObject] = {404: {"model": shapes.Problem, "description": "No such video, person or page."}}
OWNERS_QUEUES = ("sample", "suggested", "conflicts", "flagged")
_log = logging.getLogger(__name__)
PathId = Annotated[str, Path(max_length=200)]
open_api = APIRouter(prefix="/api", responses=PROBLEMS)
"""For those who are not signed in yet."""
api = APIRouter(prefix="/api", responses=PROBLEMS, dependencies=SECURITY)


# --- sessions --------------------------------------------------------------------------------------------------------


@api.get("/session")
def get_session(web: TheWeb, session: SignedIn) -> shapes.SessionAnswer:
    """Who you are, and the value for X-Review-Token."""
    return _session_answer(web, session)


def _session_answer(web: Web, session: Session) -> shapes.SessionAnswer:
    person = session.person
    return shapes.SessionAnswer(
        reviewer=person.id, name=person.name, role=person.role, token=web.sessions.mark(session)
    )


@open_api.post("/join")
def join(web: TheWeb, request: Request, given: shapes.TokenGiven, response: Response) -> shapes.SessionAnswer:
    """Sign in with the token of an invitation; the answer sets the cookie. Somebody else's session in the same browser is
    ended only with `replace`."""
    session = web.sessions.with_token(given.token.strip())
    if session is None:
        raise HTTPException(401, "This link is not valid, or a newer one has replaced it.")
    before = web.sessions.session_of(request)
    if before is not None and before.person.id != session.person.id and not given.replace:
        raise HTTPException(
            409, f"You are signed in as {before.person.name} here. Joining as {session.person.name} ends that."
        )
    web.sessions.keep(response, session)
    return _session_answer(web, session)


@api.post("/leave")
def leave(web: TheWeb, session: MayChange, response: Response) -> shapes.Done:
    """Sign out of this browser."""
    web.desk.release(session.person.id)
    web.sessions.forget(response)
    return shapes.Done()


# --- judging ---------------------------------------------------------------------------------------------------------


@api.post("/next")
def next_videos(web: TheWeb, session: MayChange, given: shapes.NextGiven) -> shapes.NextAnswer:
    """The next videos, reserved for you for a while. Those you hold already and do not name in `exclude` come first."""
    queue = given.queue or web.desk.options.queue
    check_queue(web, session, queue)
    return next_answer(web, session, queue, given.count, given.exclude, given.tab)


def check_queue(web: Web, session: Session, queue: str) -> None:
    """403 for a queue that would tell a reviewer what others know of its videos."""
    if not session.is_owner and queue in OWNERS_QUEUES and queue != web.desk.options.queue:
        raise HTTPException(403, "This queue is the owner's.")


def next_answer(
    web: Web, session: Session, queue: str, count: int, exclude: Collection[str], tab: str = ""
) -> shapes.NextAnswer:
    unreadable: list[str] = []
    while True:
        waiting = web.desk.next_items(session.person.id, queue, count, [*exclude, *unreadable], tab)
        found = {entry.video_id: _item(web, entry.video_id) for entry in waiting}
        broken = [video_id for video_id, item in found.items() if item is None]
        # A record that is gone or damaged cannot be judged: it is left aside, and the next ones are asked for.
        if broken and not set(broken) <= set(unreadable) and len(unreadable) < 100:
            unreadable += broken
            continue
        items = [_answer(web, session, item, entry) for entry in waiting if (item := found[entry.video_id]) is not None]
        return shapes.NextAnswer(items=items, progress=web.desk.progress(session.person.id, queue))


def _item(web: Web, video_id: str) -> ReviewItem | None:
    try:
        return web.desk.item(video_id)
    except ValueError:
        return None


def _answer(web: Web, session: Session, item: ReviewItem, entry: QueueItem) -> shapes.Item:
    decided = ledger.decision_of(web.desk.store, session.person.id, entry.video_id)
    told = session.is_owner and entry.queue == "conflicts"
    again = flags.sent_back(web.desk.store, session.person.id).get(entry.video_id)
    judgements = ledger.judgements(web.desk.store, entry.video_id) if told else None
    shown = shapes.item_answer(item, entry.queue, decided, entry.second_look, judgements)
    is_blind = not told and (decided is None or decided.verdict == "skip")
    return shown.model_copy(
        update={
            "why": item.evidence if is_blind else item.why,
            "labels": web.desk.guide.offered(item.record.labels),
            "note": "" if again is None else f"Please look again. {again.comment}",
            "prefill": web.desk.is_prefilled(entry.queue, entry.video_id),
            "clip": shown.clip if told or not hides_clip(web, session, item) else None,
        }
    )


@api.post("/decisions", responses=UNKNOWN)
def decide(web: TheWeb, session: MayChange, given: shapes.DecisionGiven) -> shapes.DecisionAnswer:
    """Record a decision. It is on the disk when the answer comes."""
    said = given.as_decision()
    if said.adjudication and not session.is_owner:
        raise HTTPException(403, "Only the owner settles conflicts.")
    try:
        decision = web.desk.decide(session.person.id, said, said.adjudication, given.together)
    except DecisionError:
        raise
    except ValueError as error:
        raise HTTPException(404, UNREADABLE) from error
    return shapes.DecisionAnswer.model_validate(decision)


@api.post("/undo")
def undo(web: TheWeb, session: MayChange, given: shapes.UndoGiven) -> shapes.UndoAnswer:
    """Take back one of your decisions that stand: the one you name, else the newest; call it again for the one before."""
    undone = web.desk.undo(session.person.id, given.client_key, given.page_version, given.takes_back, given.tab)
    if undone is None:
        return shapes.UndoAnswer(undone=None, item=None, previous=None)
    item = _item(web, undone.video_id)
    shown = None if item is None else _answer(web, session, item, QueueItem(undone.video_id, undone.queue))
    written = shapes.DecisionAnswer.model_validate(undone)
    return shapes.UndoAnswer(undone=written, item=shown, previous=undone.previous)


@api.post("/bulk")
def bulk(web: TheWeb, session: MayChange, given: shapes.BulkGiven) -> shapes.BulkAnswer:
    """Judge several videos at once; each judgement is one of its own, with the origin `bulk`."""
    if given.label and given.verdict != "accept":
        raise HTTPException(409, "label: only with accept")
    each = given.each()
    away = set() if session.is_owner else {flag.video_id for flag in flags.set_aside(web.desk.store)}
    shown = [new for new in each if new.video_id not in away]
    refused = web.desk.decide_many(session.person.id, shown, given.label, given.said)
    refused |= {new.video_id: SET_ASIDE for new in each if new.video_id in away}
    return shapes.BulkAnswer(recorded=len(each) - len(refused), refused=refused)


@api.post("/bulk/undo")
def undo_bulk(web: TheWeb, session: MayChange, given: shapes.BulkUndoGiven) -> shapes.BulkUndoAnswer:
    """Take back all judgements of one bulk action that still stand."""
    return shapes.BulkUndoAnswer(undone=web.desk.undo_many(session.person.id, given.takes_back))


@api.post("/leases/renew")
def renew(web: TheWeb, session: MayChange, given: shapes.LeasesGiven) -> shapes.Renewed:
    """The page is still open: keep these videos reserved. The answer names those that are not in the dataset any more."""
    web.desk.renew(session.person.id, given.video_ids, given.tab)
    return shapes.Renewed(gone=[video_id for video_id in given.video_ids if not web.desk.is_there(video_id)])


@api.post("/leases/release")
def release(web: TheWeb, session: MayChange, given: shapes.LeasesGiven) -> shapes.Done:
    """The page closes: others may have these videos."""
    web.desk.release(session.person.id, given.video_ids, given.tab)
    return shapes.Done()


@api.post("/flags", responses=UNKNOWN)
def flag(web: TheWeb, session: MayChange, given: shapes.FlagGiven) -> shapes.Done:
    """Set a video aside at once, until the owner has looked at it. Owners also send a judgement back (`sent_back`)."""
    if given.kind == flags.SENT_BACK and (
        not session.is_owner or people.reviewer(web.desk.store, given.reviewer) is None
    ):
        raise HTTPException(403, "Only the owner sends judgements back, to people who gave one.")
    whose = given.reviewer if given.kind == flags.SENT_BACK else session.person.id
    web.desk.flag(whose, given.video_id, given.kind, given.comment)
    if given.kind != flags.SENT_BACK:
        _log.warning("%s flagged %s as %s: see the owner's page", session.person.id, given.video_id, given.kind)
    return shapes.Done()


@api.post("/flags/{flag_id}/settle")
def settle_flag(web: TheWeb, session: OwnerMayChange, flag_id: int) -> shapes.Done:
    """The owner has looked: the video may be shown again."""
    flags.settle_flag(web.desk.store, flag_id)
    catch_up(web.desk.index, web.desk.store)
    return shapes.Done()


@api.get("/progress")
def progress(web: TheWeb, session: SignedIn, queue: Annotated[str, Query(max_length=150)] = "") -> Progress:
    """How far the queue is, and how fast you are."""
    return web.desk.progress(session.person.id, queue)


@api.get("/labels")
def labels(
    web: TheWeb,
    session: SignedIn,
    q: Annotated[str, Query(max_length=100)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[LabelChoice]:
    """Labels that contain a text: of the dataset, then those that people gave, then classes of known benchmarks."""
    return web.desk.label_choices(q, limit)


# --- looking ---------------------------------------------------------------------------------------------------------


class GalleryQuery(BaseModel):
    """What the gallery is asked for; the same names in the page's address."""

    status: Status | None = None
    label: Annotated[str | None, Query(max_length=100)] = None
    reason: Annotated[str | None, Query(max_length=100)] = None
    text: Annotated[str | None, Query(max_length=100)] = None
    score_min: Annotated[float | None, Query(ge=0, le=1)] = None
    score_max: Annotated[float | None, Query(ge=0, le=1)] = None
    judged: Literal["yes", "no", "conflict"] | None = None
    order: Literal["id", "-id", "score", "-score", "duration", "-duration"] = "id"

    def filters(self, session: Session) -> Filters:
        """Only owners may filter by what others said, and what became of it."""
        hidden = {} if session.is_owner else dict.fromkeys(("judged", "status", "reason"))
        return Filters(**self.model_dump() | hidden)


@api.get("/videos", responses=UNKNOWN)
def videos(
    web: TheWeb,
    session: SignedIn,
    query: Annotated[GalleryQuery, Query()],
    after: Annotated[str | None, Query(max_length=400)] = None,
    before: Annotated[str | None, Query(max_length=400)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 60,
) -> shapes.GalleryAnswer:
    """Browse the dataset."""
    try:
        page = browse(web.desk.index, query.filters(session), after, before, limit)
    except ValueError as error:
        raise HTTPException(404, "after, before: no such page; expected what an earlier answer gave") from error
    hidden: JsonObject = {"judged": None, "conflict": None, "status": "", "reasons": ()}
    hidden = {} if session.is_owner else hidden
    found = [shapes.VideoAnswer.model_validate(row).model_copy(update=hidden) for row in page.rows]
    return shapes.GalleryAnswer(videos=found, next=page.next, previous=page.previous, total=page.total)


@api.get("/videos/{video_id}", responses=UNKNOWN)
def video(web: TheWeb, session: SignedIn, video_id: PathId) -> shapes.Item:
    """One video, as its page shows it."""
    return item_of(web, session, video_id)


def item_of(web: Web, session: Session, video_id: str) -> shapes.Item:
    return _answer(web, session, readable_item(web, session, video_id), QueueItem(video_id, "gallery"))


@api.get("/videos/{video_id}/alike", responses=UNKNOWN)
def alike(web: TheWeb, session: SignedIn, video_id: PathId) -> list[shapes.Item]:
    """Clips that look like one and wait for your judgement, copies first. None where quality is measured."""
    readable_item(web, session, video_id)
    found = look_alikes_of(web.desk.index, web.desk.store, session.person.id, video_id)
    return [item_of(web, session, other).model_copy(update={"is_copy": copy}) for other, copy in found.items()]


# --- the owner's -----------------------------------------------------------------------------------------------------


@api.get("/report")
def report(web: TheWeb, session: Owner) -> JsonObject:
    """Agreement, speed, precision; the fields that `tiktokactions review status` prints as JSON."""
    return dataclasses.asdict(web.desk.report())


@api.post("/invitations")
def invite(web: TheWeb, session: OwnerMayChange, given: shapes.InvitationGiven) -> shapes.InvitationAnswer:
    """A link for one person; an earlier one of the same name ends."""
    person, token = people.invite(web.desk.store, given.name, given.role)
    return shapes.InvitationAnswer(reviewer=person.name, role=person.role, token=token, path=f"/join?token={token}")


@api.post("/reviewers/{reviewer}/disable", responses=UNKNOWN)
def disable(web: TheWeb, session: OwnerMayChange, reviewer: PathId) -> shapes.Done:
    """Shut a person out; what they decided stays."""
    known = people.reviewer(web.desk.store, reviewer)
    if known is None:
        raise HTTPException(404, "No such person.")
    if known.id == session.person.id:
        raise HTTPException(409, "You cannot shut yourself out.")
    people.disable_reviewer(web.desk.store, known.id)
    web.desk.release(known.id)
    return shapes.Done()


@api.post("/videos/{video_id}/gold", responses=UNKNOWN)
def gold(web: TheWeb, session: OwnerMayChange, video_id: PathId, given: shapes.GoldGiven) -> shapes.Done:
    """Make a video a gold item, whose answer is known, or end that."""
    readable_item(web, session, video_id)
    web.desk.set_gold(video_id, given.verdict, by=session.person.id)
    return shapes.Done()
