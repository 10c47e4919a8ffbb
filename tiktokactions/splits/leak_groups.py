"""Which videos belong together because one would give another away: groups that a split must keep whole.

Videos are joined by the file they were cut from (bytes, or a source named in their metadata), by their creator, as
near-duplicates, and by their sound. Rejected near-duplicates join too: whoever posted a copy may have posted the original.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tiktokactions.dataset.manifest import SCHEMA, labels_that_count

RULES = ("source", "creator", "duplicate", "sound")
GENERIC_SOUNDS = (
    *("original", "son original", "sonido original", "som original", "suono originale", "originalton"),
    *("оригинальный звук", "オリジナル楽曲", "原声", "none", "unknown", "no sound", "silence"),
)
"""Titles that many unrelated videos share; beginnings count ("original sound - name")."""


_LINK_COLUMNS = ("video_id", "labels", "human_labels", "creator", "status", "reasons", "clip_path", "sha256", "sound")
LINK_SCHEMA = pa.schema(SCHEMA.field(name) for name in (*_LINK_COLUMNS, "derived_from"))
"""What of the manifest matters for groups and strata."""


def is_generic(sound: str) -> bool:
    """Whether a sound's name says nothing about what is heard."""
    name = sound.strip().casefold()
    return not name or name.startswith(tuple(title.casefold() for title in GENERIC_SOUNDS))


@dataclass(frozen=True)
class Linked:
    """The videos of a dataset (V of them, accepted or not) and what they share (E links), in columns: of a million videos
    no object each is made.

    Videos that share a value by one rule belong together. A link says: video ``who`` has value ``what``, by ``rule``.
    """

    ids: tuple[str, ...]
    """(V,)"""
    paths: pa.Array
    """(V,) strings: of the clips, relative to the dataset; null for none."""
    is_used: np.ndarray
    """(V,) bool: accepted, with a clip; others only join."""
    label: np.ndarray
    """(V,) int64: places in ``label_names`` of the label that counts in lists and in training, the first."""
    label_names: tuple[str | None, ...]
    labelled: np.ndarray
    """(M,) int64: places in ``ids``, once for every label of the video (None counts as one)."""
    labelled_as: np.ndarray
    """(M,) int64: places in ``label_names``."""
    who: np.ndarray
    """(E,) int64: places in ``ids``."""
    what: np.ndarray
    """(E,) int64: numbers of values, different ones for different rules."""
    rule: np.ndarray
    """(E,) int64: places in :data:`RULES`."""
    names: pa.Array
    """Strings: what each of the numbers in ``what`` stands for."""

    def groups(self, without: np.ndarray | None = None, rule_off: str | None = None) -> np.ndarray:
        """(V,) int64: the number of each video's group.

        Args:
            without: (V,) bool: videos that join nothing (they stand on no side).
            rule_off: a rule to leave out, to see what it does.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        count = len(self.ids)
        kept = np.ones(len(self.who), bool) if rule_off is None else self.rule != RULES.index(rule_off)
        if without is not None:
            kept &= ~without[self.who]
        who, what = self.who[kept], self.what[kept]
        size = count + (int(self.what.max()) + 1 if len(self.what) else 0)
        graph = coo_array((np.ones(len(who), np.int8), (who, what + count)), shape=(size, size))
        return np.asarray(connected_components(graph, directed=False)[1][:count], np.int64)

    def are(self, ids: Collection[str]) -> np.ndarray:
        """(V,) bool: whether each video is one of these."""
        return np.fromiter((video_id in ids for video_id in self.ids), bool, len(self.ids)) if ids else self.none

    def with_pairs(self, pairs: Iterable[tuple[str, str]]) -> Linked:
        """With more near-duplicates: pairs of ids; those of videos that are not here are passed over."""
        place = {video_id: number for number, video_id in enumerate(self.ids)}
        both = [(place[a], place[b], a) for a, b in pairs if a in place and b in place]
        first = len(self.names)
        return replace(
            self,
            who=np.concatenate([self.who, np.array([at for a, b, _ in both for at in (a, b)], np.int64)]),
            what=np.concatenate([self.what, np.repeat(np.arange(first, first + len(both)), 2)]),
            rule=np.concatenate([self.rule, np.full(2 * len(both), RULES.index("duplicate"))]),
            names=pa.concat_arrays([self.names, pa.array([name for *_, name in both], pa.string())]),
        )

    @property
    def none(self) -> np.ndarray:
        return np.zeros(len(self.ids), bool)


def linked_videos(batches: Iterable[pa.RecordBatch], twins: Mapping[str, str] | None = None) -> Linked:
    """Videos and their links from rows of :data:`LINK_SCHEMA`.

    Args:
        batches: the rows; other columns are passed over.
        twins: the video that a video is a near-duplicate of, where the reasons do not tell.
    """
    table = pa.Table.from_batches([batch.select(LINK_SCHEMA.names) for batch in batches], LINK_SCHEMA)
    table = table.combine_chunks()
    column = {name: _one(table[name]) for name in LINK_SCHEMA.names}
    everybody = np.arange(table.num_rows)
    ids = column["video_id"]
    lists = labels_that_count(column)
    is_bare = pc.fill_null(pc.equal(pc.list_value_length(lists), 0), True).to_numpy(zero_copy_only=False)
    labelled = np.concatenate([pc.list_parent_indices(lists).to_numpy(), np.flatnonzero(is_bare)]).astype(np.int64)
    encoded = pa.concat_arrays([pc.list_flatten(lists), pa.nulls(int(is_bare.sum()), pa.string())])
    encoded = encoded.dictionary_encode("encode")
    labelled_as = encoded.indices.to_numpy().astype(np.int64)
    label = np.zeros(len(ids), np.int64)
    label[labelled[::-1]] = labelled_as[::-1]  # of a place that is written more than once the last value stays
    once = np.unique(np.stack([labelled, labelled_as]), axis=1)
    used = pc.and_(pc.equal(column["status"], "accepted"), pc.is_valid(column["clip_path"]))

    codes = pc.list_flatten(column["reasons"])
    is_copy = pc.starts_with(codes, "duplicate_of:")
    copies = pc.list_parent_indices(column["reasons"]).filter(is_copy).to_numpy()
    kept = pc.utf8_slice_codeunits(codes.filter(is_copy), len("duplicate_of:"))
    known = pa.array(list(twins or {}), pa.string())
    found = pc.index_in(known, value_set=ids)
    twin = pa.array((twins or {}).values(), pa.string()).filter(pc.is_valid(found))
    by_rule: dict[str, list[tuple[np.ndarray, pa.Array]]] = {
        "source": [
            (everybody, pc.binary_join_element_wise("sha:", column["sha256"], "")),
            (pc.list_parent_indices(column["derived_from"]).to_numpy(), pc.list_flatten(column["derived_from"])),
        ],
        "creator": [(everybody, _renamed(column["creator"], _folded))],
        "duplicate": [(everybody, ids), (copies, kept), (found.drop_null().to_numpy(), twin)],
        "sound": [(everybody, _renamed(column["sound"], lambda s: None if is_generic(s) else _folded(s)))],
    }
    who, what, rule, named, values = [], [], [], [], 0
    for number, name in enumerate(RULES):
        places = np.concatenate([places for places, _ in by_rule[name]]).astype(np.int64)
        shared = pa.concat_arrays([names for _, names in by_rule[name]])
        is_said = pc.is_valid(shared).to_numpy(zero_copy_only=False)
        numbered = shared.drop_null().dictionary_encode()
        who.append(places[is_said])
        what.append(numbered.indices.to_numpy().astype(np.int64) + values)
        rule.append(np.full(len(who[-1]), number))
        named.append(numbered.dictionary)
        values += len(numbered.dictionary)
    return Linked(
        ids=tuple(ids.to_pylist()),
        paths=column["clip_path"],
        is_used=pc.fill_null(used, False).to_numpy(zero_copy_only=False),
        label=label,
        label_names=tuple(encoded.dictionary.to_pylist()),
        labelled=once[0],
        labelled_as=once[1],
        who=np.concatenate(who),
        what=np.concatenate(what),
        rule=np.concatenate(rule),
        names=pa.concat_arrays(named),
    )


def _one(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)


def first_labels(columns: Mapping[str, pa.Array] | pa.RecordBatch) -> pa.Array:
    """The label that each row counts under, the first of those that count; null where it has none."""
    lists = labels_that_count(columns)
    is_empty = pc.fill_null(pc.equal(pc.list_value_length(lists), 0), True).to_numpy(zero_copy_only=False)
    return lists.values.take(pa.array(lists.offsets.to_numpy()[:-1], mask=is_empty))


def _renamed(column: pa.Array, name: Callable[[str], str | None]) -> pa.Array:
    """A column with every value renamed; each is looked at once, however many rows have it."""
    encoded = column.dictionary_encode()
    names = [name(value) or None for value in encoded.dictionary.to_pylist()]
    return pa.array(names, pa.string()).take(encoded.indices)


def _folded(text: str) -> str:
    return text.strip().casefold()


def named_groups(linked: Linked, without: Collection[str] = (), rule_off: str | None = None) -> dict[str, str]:
    """The group of every video, named after its first member by id; arguments as of :meth:`Linked.groups`."""
    name: dict[int, str] = {}
    numbers = linked.groups(linked.are(without), rule_off).tolist()
    for video_id, number in zip(linked.ids, numbers, strict=True):
        name[number] = min(video_id, name.get(number, video_id))
    return {video_id: name[number] for video_id, number in zip(linked.ids, numbers, strict=True)}


def torn_between(linked: Linked, side: np.ndarray, nowhere: np.ndarray) -> np.ndarray:
    """(V,) bool: ``nowhere``, and the videos without a side that tie two sides to each other.

    Whoever is related to two sides itself is one of them; its other relatives need not be.

    Args:
        side: (V,) int64: the side that a video has, -1 for none.
        nowhere: (V,) bool: videos that join nothing.
    """
    torn, held = nowhere.copy(), side >= 0
    while True:
        group = linked.groups(torn)
        pairs = np.unique(np.stack([group[held], side[held]]), axis=1)
        is_between = (np.bincount(pairs[0], minlength=len(side))[group] > 1) & ~held & ~torn
        if not (found := is_between & _related_to_two(linked, held, side)).any():
            return torn | is_between
        torn |= found


def _related_to_two(linked: Linked, held: np.ndarray, side: np.ndarray) -> np.ndarray:
    """(V,) bool: the video itself shares something with videos of two sides."""
    none = int(side.max(initial=0)) + 1
    lowest, highest = np.full(len(linked.names), none), np.full(len(linked.names), -1)
    is_held = held[linked.who]
    np.minimum.at(lowest, linked.what[is_held], side[linked.who[is_held]])
    np.maximum.at(highest, linked.what[is_held], side[linked.who[is_held]])
    own_lowest, own_highest = np.full(len(side), none), np.full(len(side), -1)
    np.minimum.at(own_lowest, linked.who, lowest[linked.what])
    np.maximum.at(own_highest, linked.who, highest[linked.what])
    return own_lowest < own_highest


def moved_by_rule(linked: Linked, without: np.ndarray, whole: np.ndarray) -> dict[str, int]:
    """For each rule the used videos that stand in a group only because of it.

    Without the rule a group falls into parts; the largest part stays, the videos of the others were moved to it.

    Args:
        without: (V,) bool: videos that join nothing.
        whole: (V,) int64: groups with all rules.
    """
    used = linked.is_used & ~without
    return {rule: _moved(whole[used], linked.groups(without, rule)[used]) for rule in RULES}


def _moved(whole: np.ndarray, parts: np.ndarray) -> int:
    if not len(whole):
        return 0
    # A part lies in one group, so its number alone tells it from all others.
    _, first, sizes = np.unique(parts, return_index=True, return_counts=True)
    largest = np.zeros(int(whole.max()) + 1, np.int64)
    np.maximum.at(largest, whole[first], sizes)
    return len(whole) - int(largest.sum())
