"""Near-duplicates: which videos show the same footage as a better copy, by the perceptual hashes of sampled frames.

Two videos are the same footage if their frames look alike *and change alike*. Looking alike is not enough: one person
filmed twice before the same wall gives nearly equal hashes. So, with hashes A_1..A_n and B_1..B_n of the frames at the
same places of two videos (n is 10 as a rule), B as it is or mirrored, whichever is nearer:

- *distance* = median over i of |A_i - B_i|, in bits of 256;
- *motion* = mean over i != j of |A_i - A_j|, or the same of B where that is less: how much the footage changes;
- *agreement* = (mean over i != j of |A_i - B_j|, minus mean over i of |A_i - B_i|) / motion: about 1 where B changes in
  step with A, about 0 where it does something else before the same background.

They are duplicates where the agreement reaches 0.3 at a distance up to 64, or 0.4 at a distance up to 112. Footage that
hardly moves (motion under 4 bits) has no agreement to measure: it needs a distance up to 6 and durations within 2 %.

**Index.** All pairs are never compared. Two videos are compared if, at one of the ten places, the 63 low-frequency bits
of their hashes agree in at least two of seven groups of nine bits. So every pair with a place at which at most 5 of these
63 bits differ is found (two groups of seven are then untouched); most pairs that are further apart are found as well.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tiktokactions.errors import UsageError

HASH_BYTES = 32

NEAR_BITS, NEAR_AGREEMENT = 64, 0.3
FAR_BITS, FAR_AGREEMENT = 112, 0.4
STILL_MOTION_BITS, STILL_BITS, STILL_DURATION_SHARE = 4.0, 6, 0.02
MIN_COMMON_SHARE = 0.6
"""Share of the longer video's frames that must have a hash in both."""

GROUPS, GROUP_BITS = 7, 9
CANDIDATE_BITS = 14
"""Pairs of the index that differ in more of the 63 low-frequency bits at the place where they met are not looked at."""
PAIRS_AT_ONCE = 2048
PAIRS_IN_MEMORY = 4_000_000


class HashedVideos:
    """The hashes of all videos, packed: 654 bytes per video of ten frames, filled one video at a time.

    ``frames`` is the largest number of sampled frames that a video can have.
    """

    def __init__(self, frames: int = 10) -> None:
        self.frames = frames
        self.video_ids: list[str] = []
        self._plain = bytearray()
        self._mirrored = bytearray()
        self._present = bytearray()
        self._durations_s = array("f")

    def __len__(self) -> int:
        return len(self.video_ids)

    def add(self, video_id: str, phashes: Sequence[str], phashes_mirrored: Sequence[str], duration_s: float) -> None:
        """One video: the hashes of its sampled frames in order ("" where a frame has none), duration of what was sampled.

        Raises:
            ValueError: more frames than there is room for, lists of different lengths, or a hash that is not 256 bits.
        """
        if not len(phashes) == len(phashes_mirrored) <= self.frames:
            raise UsageError(
                f"{video_id}: got {len(phashes)} hashes and {len(phashes_mirrored)} mirrored ones, "
                f"expected as many of both, at most {self.frames}"
            )
        pairs = [_hash_bytes(video_id, p, m) for p, m in zip(phashes, phashes_mirrored, strict=True)]
        pairs += [None] * (self.frames - len(pairs))
        for pair in pairs:
            plain, mirrored = pair or (bytes(HASH_BYTES), bytes(HASH_BYTES))
            self._plain += plain
            self._mirrored += mirrored
            self._present.append(pair is not None)
        self._durations_s.append(duration_s)
        self.video_ids.append(video_id)

    @property
    def plain(self) -> np.ndarray:
        """(V, frames, 32) uint8, a view."""
        return np.frombuffer(self._plain, np.uint8).reshape(len(self), self.frames, HASH_BYTES)

    @property
    def mirrored(self) -> np.ndarray:
        """(V, frames, 32) uint8, a view."""
        return np.frombuffer(self._mirrored, np.uint8).reshape(len(self), self.frames, HASH_BYTES)

    @property
    def present(self) -> np.ndarray:
        """(V, frames) bool: the frame has a hash."""
        return np.frombuffer(self._present, bool).reshape(len(self), self.frames)

    @property
    def durations_s(self) -> np.ndarray:
        """(V,) float32."""
        return np.frombuffer(self._durations_s, np.float32)


def _hash_bytes(video_id: str, plain: str, mirrored: str) -> tuple[bytes, bytes] | None:
    if not plain or not mirrored:
        return None
    pair = bytes.fromhex(plain), bytes.fromhex(mirrored)
    if len(pair[0]) != HASH_BYTES or len(pair[1]) != HASH_BYTES:
        raise UsageError(
            f"{video_id}: got the hashes {plain!r} and {mirrored!r}, expected {2 * HASH_BYTES} hex digits each"
        )
    return pair


def find_duplicates(videos: HashedVideos, quality: Sequence[Any], bucket_neighbours: int = 32) -> dict[str, str]:
    """Map the id of every near-duplicate to the id of the better copy that stays.

    A kept video is never a key, and every duplicate matches the very copy it is mapped to: going from the best video to
    the worst, each is kept unless it matches one already kept. The result does not depend on the order of ``videos``.

    ``quality``: one comparable key per video, higher is better, e.g. ``(pixels, duration_s)``; the smaller id breaks ties.
    ``bucket_neighbours``: in the index a video meets at most this many others per bucket, those with the most similar hash
    first, so that thousands of look-alikes cost no quadratic time. Groups held together by matches are then compared with
    their best copy directly, so the limit costs a match only between look-alikes that no chain of matches connects.

    Raises:
        ValueError: not one quality key per video, or an id twice.
    """
    if len(quality) != len(videos):
        raise ValueError(f"duplicates: got {len(quality)} quality keys for {len(videos)} videos, expected one each")
    if len(set(videos.video_ids)) != len(videos):
        raise ValueError("duplicates: got a video id twice, expected each once")
    best_first = sorted(range(len(videos)), key=videos.video_ids.__getitem__)
    best_first.sort(key=quality.__getitem__, reverse=True)  # stable: the smaller id stays first among equals
    order = np.array(best_first, np.int64)

    matches = []
    for better, worse in _candidates(videos, order, bucket_neighbours):
        for start in range(0, len(better), PAIRS_AT_ONCE):
            chunk = slice(start, start + PAIRS_AT_ONCE)
            match = _same_footage(videos, order[better[chunk]], order[worse[chunk]])
            matches.append(np.stack([better[chunk][match], worse[chunk][match]]))

    ids = videos.video_ids
    return {
        ids[order[worse]]: ids[order[kept]] for kept, worse in _copies(videos, order, _groups(len(videos), matches))
    }


def _groups(videos: int, matches: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Ranks of each group of two or more that is held together by ``matches`` (each (2, K) ranks), best first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    better, worse = np.concatenate([np.empty((2, 0), np.int64), *matches], axis=1)
    graph = coo_array((np.ones(len(better), np.int8), (better, worse)), shape=(videos, videos))
    group = connected_components(graph, directed=False)[1]
    ranks = np.flatnonzero(np.bincount(group, minlength=1)[group] > 1)
    ranks = ranks[np.argsort(group[ranks], kind="stable")]
    if len(ranks):
        yield from np.split(ranks, np.flatnonzero(np.diff(group[ranks])) + 1)


def _copies(videos: HashedVideos, order: np.ndarray, groups: Iterable[np.ndarray]) -> Iterator[tuple[int, int]]:
    """(kept, duplicate) ranks: in each group the best is kept, its copies go, and so on with what is left."""
    for left in groups:
        while len(left) > 1:
            kept, others = left[0], left[1:]
            match = np.concatenate(
                [
                    _same_footage(videos, np.full(len(part), order[kept]), order[part])
                    for part in np.split(others, range(PAIRS_AT_ONCE, len(others), PAIRS_AT_ONCE))
                ]
            )
            for worse in others[match].tolist():
                yield int(kept), worse
            left = others[~match]


# --- the index: pairs worth a comparison ---------------------------------------------------------------------------


def _candidates(videos: HashedVideos, order: np.ndarray, neighbours: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of ranks (better, worse) that share a bucket, each once, in one batch per sampled frame."""
    done = np.empty(0, np.int64)
    for frame in range(videos.frames):
        ranks = np.flatnonzero(videos.present[order, frame])
        if len(ranks) < 2:
            continue
        at = order[ranks]
        bits = np.concatenate([_low_frequencies(videos.plain[at, frame]), _low_frequencies(videos.mirrored[at, frame])])
        met = _pairs_at_one_place(bits, np.concatenate([ranks, ranks]), len(videos), neighbours)
        fresh = np.setdiff1d(met, done, assume_unique=True)
        done = np.union1d(done, fresh)
        yield fresh // len(videos), fresh % len(videos)


def _pairs_at_one_place(bits: np.ndarray, rank: np.ndarray, videos: int, neighbours: int) -> np.ndarray:
    """Sorted unique ``better * videos + worse``. ``bits`` (2N,): of the frames as they are, then mirrored."""
    is_plain = np.arange(len(bits)) < len(bits) // 2
    met: list[np.ndarray] = []
    for first, second in _bucket_pairs(bits, neighbours):
        useful = (is_plain[first] | is_plain[second]) & (rank[first] != rank[second])
        first, second = first[useful], second[useful]
        near = np.bitwise_count(bits[first] ^ bits[second]) <= CANDIDATE_BITS
        a, b = rank[first[near]], rank[second[near]]
        met.append(np.minimum(a, b) * videos + np.maximum(a, b))
        if sum(map(len, met)) > PAIRS_IN_MEMORY:
            met = [np.unique(np.concatenate(met))]
    return np.unique(np.concatenate(met)) if met else np.empty(0, np.int64)


def _low_frequencies(hashes: np.ndarray) -> np.ndarray:
    """(N, 32) uint8 -> (N,) uint64: the 63 bits of the 8x8 lowest frequencies without the constant one, spread over the
    seven groups so that no group holds only neighbours (which are alike in most pictures)."""
    low = np.ascontiguousarray(hashes[:, 0:16:2])  # a hash is 16 rows of two bytes, lowest frequencies first
    bits = np.unpackbits(low, axis=1)[:, 1:]
    spread = bits.reshape(-1, GROUP_BITS, GROUPS).swapaxes(1, 2).reshape(-1, GROUPS * GROUP_BITS)
    padded = np.pad(spread, ((0, 0), (1, 0)))
    return np.packbits(padded, axis=1).view(">u8")[:, 0].astype(np.uint64)


def _bucket_pairs(bits: np.ndarray, neighbours: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of positions in ``bits`` (N,) whose values agree in two of the seven groups, per choice of the two."""
    group = [(bits >> np.uint64(GROUP_BITS * g)) & np.uint64((1 << GROUP_BITS) - 1) for g in range(GROUPS)]
    position = np.arange(len(bits), dtype=np.uint64)
    key_shift = np.uint64(64 - 2 * GROUP_BITS)
    for g, h in itertools.combinations(range(GROUPS), 2):
        rest = [x for x in range(GROUPS) if x not in (g, h)]
        # bucket (18 bits), then 18 bits that bring the most similar of a bucket together, then the position (28 bits)
        entries = np.zeros(len(bits), np.uint64)
        for part in (g, h, rest[0], rest[1]):
            entries = (entries << np.uint64(GROUP_BITS)) | group[part]
        entries = np.sort((entries << np.uint64(28)) | position)
        bucket = entries >> key_shift
        where = (entries & np.uint64((1 << 28) - 1)).astype(np.int64)
        here = np.arange(len(bits))
        for step in range(1, neighbours + 1):
            here = here[: np.searchsorted(here, len(bits) - step)]
            here = here[bucket[here] == bucket[here + step]]
            if not len(here):
                break
            yield where[here], where[here + step]


# --- the comparison --------------------------------------------------------------------------------------------------


def _same_footage(videos: HashedVideos, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(K,) bool for K pairs of positions in ``videos``."""
    result = np.zeros(len(a), bool)
    common = videos.present[a] & videos.present[b]
    longer = np.maximum(videos.present[a].sum(axis=1), videos.present[b].sum(axis=1))
    enough = (longer > 0) & (common.sum(axis=1) >= MIN_COMMON_SHARE * longer)
    duration_a, duration_b = videos.durations_s[a], videos.durations_s[b]
    same_duration = np.abs(duration_a - duration_b) <= STILL_DURATION_SHARE * np.maximum(duration_a, duration_b)
    for other in (videos.plain, videos.mirrored):
        pairs = np.flatnonzero(enough & ~result)
        bits = _hamming(videos.plain[a[pairs]], other[b[pairs]])
        distance = _median(bits, common[pairs])
        near = distance <= FAR_BITS
        pairs, bits, distance = pairs[near], bits[near], distance[near]
        motion, agreement = _movement(videos.plain[a[pairs]], other[b[pairs]], common[pairs], bits)
        moving = ((distance <= NEAR_BITS) & (agreement >= NEAR_AGREEMENT)) | (agreement >= FAR_AGREEMENT)
        still = (distance <= STILL_BITS) & same_duration[pairs]
        result[pairs] = np.where(motion >= STILL_MOTION_BITS, moving, still)
    return result


def _median(bits: np.ndarray, common: np.ndarray) -> np.ndarray:
    """(K,) medians of ``bits`` (K, F) over the frames in ``common`` (K, F), of which each row has at least one."""
    count = common.sum(axis=1)
    ordered = np.sort(np.where(common, bits, 8 * HASH_BYTES + 1), axis=1)
    rows = np.arange(len(bits))
    return (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2


def _movement(a: np.ndarray, b: np.ndarray, common: np.ndarray, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Motion and agreement (see the module's docstring), (K,) each, of hashes (K, F, 32) over the ``common`` frames.

    No hash is compared with every other: how often each of the 256 bits is set among the frames gives the same sums.
    """
    n = common.sum(axis=1).astype(np.float64)
    set_a, set_b = (
        (np.unpackbits(hashes, axis=2) & common[:, :, None]).sum(axis=1, dtype=np.uint8).astype(np.float32)
        for hashes in (a, b)
    )
    other_places = np.maximum(n * (n - 1), 1)
    same_place = (bits * common).sum(axis=1)
    within_a, within_b, across = (
        (n * (x.sum(axis=1) + y.sum(axis=1)) - 2 * np.einsum("kb,kb->k", x, y)) / other_places
        for x, y in ((set_a, set_a), (set_b, set_b), (set_a, set_b))
    )
    motion = np.minimum(within_a, within_b)
    agreement = (across - same_place / other_places - same_place / np.maximum(n, 1)) / np.maximum(motion, 1e-6)
    return motion, agreement


def _hamming(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(..., 32) uint8 each, broadcast -> (...) differing bits."""
    differing = np.ascontiguousarray(a).view(np.uint64) ^ np.ascontiguousarray(b).view(np.uint64)
    return np.bitwise_count(differing).sum(axis=-1, dtype=np.int32)
