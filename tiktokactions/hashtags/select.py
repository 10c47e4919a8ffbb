"""From candidates to hashtags: which variants mean the same action, which of them stays, and what became of the others."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from tiktokactions.hashtags.estimate import ViewEstimate
from tiktokactions.hashtags.principles import (
    AS_IS,
    CONSOLIDATION,
    GENERALIZATION,
    NOUN_SUBSTITUTION,
    NOUN_VERB_ORDER,
    SOCIAL,
    SPECIFICATION,
    HashtagError,
    Knowledge,
    Proposal,
    Reading,
    category_of,
    read_hashtag,
    shared_principle,
)
from tiktokactions.metadata.documents import DocumentError, table_rows, text_of
from tiktokactions.metadata.values import MisfitError, as_count
from tiktokactions.text import clean_hashtag

STARTER = "starter"
"""The name of the shipped list of action hashtags, wherever candidates are read."""
MIN_VIEWS = 5_000_000
"""Paper, section 3.2."""
_RANK = (SOCIAL, SPECIFICATION, GENERALIZATION, NOUN_SUBSTITUTION, NOUN_VERB_ORDER, CONSOLIDATION, AS_IS)
"""Where views are unknown, the variant of the earlier principle stays."""
_MERGES = (CONSOLIDATION, GENERALIZATION)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed hashtag and what is known about it."""

    hashtag: str
    category: str
    principle: str
    phrases: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    views: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one candidate. ``decision``: ``kept``, ``merged into``, ``replaced by`` or ``dropped``."""

    hashtag: str
    decision: str
    into: str
    """The hashtag that stands for it; empty if it was kept or dropped."""
    principle: str
    why: str
    category: str
    views: float | None
    phrases: str
    estimate: ViewEstimate | None = None
    """Set if ``views`` is an estimate."""
    story: tuple[str, ...] = ()
    """``principle: what it did`` for every principle that affected the candidate, in order."""

    @property
    def views_are(self) -> str:
        """``given``, ``estimate``, ``estimate, lower bound`` or ``unknown``."""
        if self.views is None:
            return "unknown"
        if self.estimate is None:
            return "given"
        return "estimate, lower bound" if self.estimate.is_lower_bound else "estimate"


@dataclass(frozen=True, slots=True)
class Selection:
    """The decisions, and how many candidates were left after each step (Figure 1)."""

    decisions: tuple[Decision, ...]
    steps: tuple[tuple[str, int], ...]
    estimated: str = ""
    """What views were estimated from; empty if none were."""
    drawn: int = 0
    """Hashtags with unknown views that a draw chose among others, balanced over the categories."""
    seed: int = 0

    @property
    def kept(self) -> tuple[Decision, ...]:
        return tuple(decision for decision in self.decisions if decision.decision == "kept")


def candidates_of(proposals: Sequence[Proposal]) -> list[Candidate]:
    """One candidate for each hashtag, by its strongest principle, with every phrase that led to it."""
    by_tag: dict[str, list[Proposal]] = defaultdict(list)
    for proposal in proposals:
        by_tag[proposal.hashtag].append(proposal)
    found = []
    for tag, same in by_tag.items():
        best = min(same, key=lambda p: _RANK.index(p.principle))
        phrases, sources = dict.fromkeys(p.phrase for p in same), dict.fromkeys(p.source for p in same)
        found.append(Candidate(tag, best.category, best.principle, tuple(phrases), tuple(sources)))
    return sorted(found, key=lambda c: c.hashtag)


def write_candidates(candidates: Sequence[Candidate]) -> str:
    """CSV: ``hashtag, category, principle, views, sources, phrases`` (lists joined by `` | ``)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("hashtag", "category", "principle", "views", "sources", "phrases"))
    writer.writerows(
        (c.hashtag, c.category, c.principle, plain(c.views), " | ".join(c.sources), " | ".join(c.phrases))
        for c in candidates
    )
    return out.getvalue()


def read_candidates(path: Path, knowledge: Knowledge) -> list[Candidate]:
    """The candidates of a file of :func:`write_candidates`, or of any CSV with a column ``hashtag``; each hashtag once."""
    found: dict[str, Candidate] = {}
    for row in csv_rows(path, "hashtag"):
        tag = tag_of(row["hashtag"])
        if not tag:
            continue
        is_challenge = tag in knowledge.challenges or tag.endswith("challenge")
        principle = row.get("principle") or (SOCIAL if is_challenge else AS_IS)
        if principle not in _RANK:
            raise HashtagError(f"{path}, #{tag}: principle {principle!r}, expected one of {', '.join(_RANK)}")
        phrases, sources = (tuple(filter(None, row.get(name, "").split(" | "))) for name in ("phrases", "sources"))
        category = row.get("category") or category_of([*read_hashtag(tag, knowledge).words, tag], knowledge)
        views = _number(row.get("views"), path, tag)
        found.setdefault(tag, Candidate(tag, category, principle, phrases, sources, views))
    if not found:
        raise HashtagError(f"{path}: no hashtag in it")
    return list(found.values())


def read_views(path: Path) -> dict[str, float]:
    """Views by hashtag from a CSV with these two columns; ``44.4B``, ``29.4M``, ``5e6`` and ``1,234`` are numbers."""
    rows = csv_rows(path, "hashtag", "views")
    read = [(tag := tag_of(row["hashtag"]), _number(row["views"], path, tag)) for row in rows]
    return {tag: views for tag, views in read if tag and views is not None}


def select(
    candidates: Sequence[Candidate],
    knowledge: Knowledge,
    views: Mapping[str, float],
    min_views: float = MIN_VIEWS,
    target: int | None = None,
    estimates: Mapping[str, ViewEstimate] | None = None,
    estimated_from: str = "",
    seed: int = 0,
) -> Selection:
    """Decide about every candidate: specification, variants by views (by rule if unknown), threshold, target.

    ``estimates`` are used where neither ``views`` nor the candidates say anything. An estimate drops a hashtag only if its
    whole interval is below the threshold; an estimate without an interval never does. Places of the target that known views
    do not fill are drawn (``seed``), as many of each category as far as possible.
    """
    given = {c.hashtag: views.get(c.hashtag, c.views) for c in candidates}
    guessed = {tag: found for tag, found in (estimates or {}).items() if tag in given and given[tag] is None}
    known = given | {tag: found.views for tag, found in guessed.items()}
    texts = {tag: _views_text(count, guessed.get(tag)) for tag, count in known.items()}
    readings = {c.hashtag: read_hashtag(c.hashtag, knowledge, c.phrases) for c in candidates}
    by_tag = {c.hashtag: c for c in candidates}
    stories = {c.hashtag: _proposed(c) for c in candidates}
    decided: dict[str, Decision] = {}
    steps = [("candidates", len(candidates))]

    def decide(tag: str, decision: str, into: str, principle: str, why: str) -> None:
        c = by_tag[tag]
        if principle != c.principle or decision != "kept":
            stories[tag].append(f"{principle}: {why}")
        decided[tag] = Decision(
            tag, decision, into, principle, why, c.category, known[tag], " | ".join(c.phrases), guessed.get(tag)
        )

    for tag in by_tag:
        parts = [part for part in knowledge.specific.get(tag, ()) if part in by_tag]
        if parts:
            into = " ".join(parts)
            decide(tag, "replaced by", into, SPECIFICATION, f"#{tag} holds distinct actions, each has its own hashtag")
            for part in parts:
                stories[part].append(f"{SPECIFICATION}: stands for a distinct part of #{tag}")
    steps.append(("after specification", len(candidates) - len(decided)))

    for members, links in _groups([c for c in candidates if c.hashtag not in decided], readings, knowledge):
        winner = min(members, key=lambda tag: _order(by_tag[tag], known[tag], links, knowledge))
        for tag in members:
            if tag == winner:
                continue
            path = _path(tag, winner, links)
            hops = [(one, other, links[frozenset((one, other))]) for one, other in itertools.pairwise(path)]
            for one, other, principle in hops[:-1]:
                stories[tag].append(f"{principle}: {_link_text(one, other, principle, knowledge)}")
            one, _, principle = hops[-1]
            how = "merged into" if hops[0][2] in _MERGES else "replaced by"
            text = _link_text(one, winner, principle, knowledge)
            decide(tag, how, winner, hops[0][2], "")
            stories[tag][-1] = f"{principle}: {text}"
            why = _link_text(tag, path[1], hops[0][2], knowledge)
            why += f", which stands with #{winner} ({', '.join(p for _, _, p in hops[1:])})" if len(hops) > 1 else ""
            decided[tag] = replace(decided[tag], why=f"{why}; {_comparison(tag, winner, known, texts)}")
        ours = {pair: principle for pair, principle in links.items() if winner in pair}
        for principle in dict.fromkeys(ours[pair] for pair in sorted(ours, key=sorted)):
            others = sorted(tag for pair, p in ours.items() if p == principle for tag in pair - {winner})
            stories[winner].append(f"{principle}: stands for {' '.join(f'#{tag}' for tag in others)}")
    steps.append(("after one hashtag for each action", len(candidates) - len(decided)))

    for tag in [tag for tag in by_tag if tag not in decided]:
        count = known[tag]
        most = count if tag not in guessed else guessed[tag].high
        if count is not None and most is not None and most < min_views:
            decide(tag, "dropped", "", "views", f"{texts[tag]}, fewer than {_count(min_views)}")
    left = [tag for tag in by_tag if tag not in decided]
    steps.append((f"at least {_count(min_views)} views, or unknown", len(left)))

    ranked = sorted((tag for tag in left if known[tag] is not None), key=lambda tag: (-(known[tag] or 0.0), tag))
    with_views = len(ranked)
    ranked += _balanced(
        [by_tag[tag] for tag in left if known[tag] is None], seed, [by_tag[tag].category for tag in ranked]
    )
    for place, tag in enumerate(ranked, start=1):
        count = known[tag]
        if target is not None and place > target:
            how = "by views" if count is not None else f"in the draw among those with unknown views (seed {seed})"
            decide(tag, "dropped", "", "target", f"place {place} {how}, {target} wanted")
            continue
        why = "views unknown, decided by rule" if count is None else texts[tag]
        if count is None and target is not None and target < len(ranked):
            why += f"; drawn among those of its category (seed {seed})"
        if tag in guessed and guessed[tag].views < min_views:
            why += f"; may reach {_count(min_views)}, so it is kept"
        decide(tag, "kept", "", by_tag[tag].principle, why)
    steps.append(("kept", sum(d.decision == "kept" for d in decided.values())))
    order = {tag: place for place, tag in enumerate(ranked)}
    told = (replace(d, story=tuple(dict.fromkeys(stories[d.hashtag]))) for d in decided.values())
    decisions = sorted(told, key=lambda d: (d.decision != "kept", order.get(d.hashtag, 0), d.hashtag))
    drawn = max(0, min(target, len(ranked)) - with_views) if target is not None and target < len(ranked) else 0
    return Selection(tuple(decisions), tuple(steps), estimated_from if guessed else "", drawn, seed)


def _proposed(candidate: Candidate) -> list[str]:
    """The first line of a story: where the candidate came from."""
    if not candidate.phrases:
        return [] if candidate.principle == AS_IS else [f"{candidate.principle}: as listed"]
    named = ", ".join(f"'{phrase}'" for phrase in candidate.phrases[:3])
    more = f" and {len(candidate.phrases) - 3} more" if len(candidate.phrases) > 3 else ""
    return [f"{candidate.principle}: proposed for {named}{more}"]


def _path(tag: str, winner: str, links: Mapping[frozenset[str], str]) -> list[str]:
    """The shortest path from a hashtag to the one that stands for it, along links between hashtags."""
    before = {tag: tag}
    queue = [tag]
    for here in queue:
        for there in sorted(other for pair in links if here in pair for other in pair - {here}):
            if there not in before:
                before[there] = here
                queue.append(there)
    path = [winner]
    while path[-1] != tag:
        path.append(before[path[-1]])
    return path[::-1]


def _groups(
    candidates: Sequence[Candidate], readings: Mapping[str, Reading], knowledge: Knowledge
) -> list[tuple[list[str], dict[frozenset[str], str]]]:
    """Groups of candidates that mean one action, each with the principle that links every pair."""
    tags = [c.hashtag for c in candidates]
    principles, parts = {c.hashtag: c.principle for c in candidates}, knowledge.parts
    # Two hashtags can only be linked if they share a lemma, or if one is an umbrella.
    by_lemma: dict[str, list[str]] = defaultdict(list)
    for tag in tags:
        for word in {*readings[tag].lemmas, *readings[tag].usual}:
            by_lemma[word].append(tag)
    pairs = {frozenset((a, b)) for same in by_lemma.values() for a in same for b in same if a != b}
    pairs |= {frozenset((tag, f"{tag}s")) for tag in tags if f"{tag}s" in readings}
    pairs |= {frozenset((u, tag)) for u in tags if u in knowledge.umbrellas for tag in tags if tag != u}
    links: dict[frozenset[str], str] = {}
    for pair in sorted(pairs, key=sorted):
        one, other = sorted(pair)
        principle = shared_principle(readings[one], readings[other], knowledge)
        # Challenges and the parts of a broad term are kept apart on purpose.
        apart = {one, other} <= parts or SOCIAL in (principles[one], principles[other])
        if principle is not None and not apart:
            links[pair] = principle
    group = {tag: tag for tag in tags}

    def root(tag: str) -> str:
        while group[tag] != tag:
            tag = group[tag]
        return tag

    for pair in links:
        one, other = (root(tag) for tag in sorted(pair))
        group[max(one, other)] = min(one, other)
    members: dict[str, list[str]] = defaultdict(list)
    for tag in tags:
        members[root(tag)].append(tag)
    groups = [same for same in members.values() if len(same) > 1]
    return [(same, {pair: p for pair, p in links.items() if pair <= set(same)}) for same in groups]


def _order(
    candidate: Candidate, views: float | None, links: Mapping[frozenset[str], str], knowledge: Knowledge
) -> tuple[float, int, int, str]:
    """The order within a group: most views first; if unknown, umbrella, noun, noun before verb, then the shorter name."""
    tag = candidate.hashtag
    is_umbrella = tag in knowledge.umbrellas and any(p == GENERALIZATION and tag in pair for pair, p in links.items())
    # The noun stands for the phrase with a verb, whichever principle proposed it.
    is_noun = any(p == NOUN_SUBSTITUTION and tag == min(pair, key=len) for pair, p in links.items() if tag in pair)
    is_usual = (
        any(p == CONSOLIDATION and tag in pair for pair, p in links.items()) and knowledge.synonyms.get(tag) == tag
    )
    rank = 0 if is_umbrella or is_usual else 1 + _RANK.index(NOUN_SUBSTITUTION if is_noun else candidate.principle)
    return -(views or 0.0), rank, len(tag), tag


def _balanced(candidates: Sequence[Candidate], seed: int, before: Sequence[str]) -> list[str]:
    """Hashtags in the order of a draw in which the category with the fewest comes next.

    ``before``: the categories of the hashtags that have their place already.
    """
    waiting: dict[str, list[str]] = defaultdict(list)
    for candidate in sorted(candidates, key=lambda c: hashlib.sha256(f"{seed}/{c.hashtag}".encode()).digest()):
        waiting[candidate.category].append(candidate.hashtag)
    placed = Counter(before)
    order = []
    while waiting:
        category = min(waiting, key=lambda name: (placed[name], name))
        placed[category] += 1
        order.append(waiting[category].pop(0))
        if not waiting[category]:
            del waiting[category]
    return order


def _link_text(tag: str, other: str, principle: str, knowledge: Knowledge) -> str:
    """What a principle says about a hashtag and the one it leads to."""
    if principle == GENERALIZATION and other not in knowledge.umbrellas:
        return f"#{tag} is the broad hashtag of the same action as #{other}"
    return {
        GENERALIZATION: f"#{other} is the broad hashtag of the same action",
        NOUN_SUBSTITUTION: f"the noun without its verb, #{min(tag, other, key=len)}, says the same",
        NOUN_VERB_ORDER: f"the same words as #{other} in another order or form",
        CONSOLIDATION: f"the same action as #{other} by another name, or with another thing of the same kind",
    }[principle]


def _comparison(tag: str, winner: str, known: Mapping[str, float | None], texts: Mapping[str, str]) -> str:
    if known[winner] is None:
        return "views unknown, decided by rule"
    if known[tag] is None:
        return f"#{winner} has {texts[winner]}"
    return f"{texts[tag].removesuffix(' views')} against {texts[winner]}"


def _views_text(count: float | None, estimate: ViewEstimate | None) -> str:
    """``44.4 B views``; ``about 1.2 M views (estimate from 40 videos: 0.9 M to 1.9 M, lower bound)``."""
    if count is None:
        return "views unknown"
    if estimate is None:
        return f"{_count(count)} views"
    if estimate.low is None or estimate.high is None:
        between = "too few for an interval"
    else:
        between = f"95 %: {_count(estimate.low)} to {_count(estimate.high)}"
    bound = ", a lower bound" if estimate.is_lower_bound else ""
    return f"about {_count(count)} views (estimate from {estimate.videos} videos, {between}{bound})"


def _count(number: float) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def csv_rows(path: Path, *needed: str) -> list[dict[str, str]]:
    """The rows of a CSV file or of the shipped starter list; raises ``HashtagError`` if a needed column is missing."""
    shipped = files("tiktokactions.hashtags").joinpath("data/starter.csv")
    try:
        table = table_rows(text_of((shipped if str(path) == STARTER else path).read_bytes(), str(path)))
    except (OSError, DocumentError) as error:
        raise HashtagError(f"{path}: expected a CSV file ({error})") from None
    columns = [name.strip().lower() for name in table[0]] if table else []
    missing = [name for name in needed if name not in columns]
    if missing:
        raise HashtagError(f"{path}: expected a column {missing[0]!r}, got {', '.join(columns) or 'nothing'}")
    return [
        dict(itertools.zip_longest(columns, map(str.strip, row[: len(columns)]), fillvalue="")) for row in table[1:]
    ]


def tag_of(text: str) -> str:
    """A hashtag as it is compared: in lower case and NFC, without ``#`` and blanks."""
    return "".join(clean_hashtag(text).split())


def plain(views: float | None) -> str:
    """A cell of a table; empty if unknown."""
    return "" if views is None else f"{views:.0f}"


def _number(text: str | None, path: Path, tag: str) -> float | None:
    if not text or text.lower() in ("unknown", "na", "nan", "none", "-"):
        return None
    try:
        return float(as_count(text))
    except MisfitError:
        told = f"views {text!r}, expected a number such as 29400000, 29.4M or 44.4B"
        raise HashtagError(f"{path}, #{tag}: {told}") from None
