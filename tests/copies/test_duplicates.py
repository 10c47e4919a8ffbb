"""Near-duplicates: the rule on real and made-up hashes, the index's guarantee, order independence, speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tiktokactions.copies.duplicates import HashedVideos, _candidates, _movement, find_duplicates
from tiktokactions.curation.quality import frame_hashes, picture_borders

FRAMES = 10


def random_hashes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(0, 256, (*shape, 32), dtype=np.uint8)


def flipped(hashes: np.ndarray, bits: int, rng: np.random.Generator, among: slice = slice(0, 256)) -> np.ndarray:
    """Copies of ``hashes`` (..., 32) with ``bits`` of the bits in ``among`` flipped in each."""
    unpacked = np.unpackbits(hashes.reshape(-1, 32), axis=1)
    choice = np.arange(256)[among]
    for row in unpacked:
        row[rng.choice(choice, bits, replace=False)] ^= 1
    return np.packbits(unpacked, axis=1).reshape(hashes.shape)


def with_bits_flipped(hashes: np.ndarray, bits: np.ndarray) -> np.ndarray:
    unpacked = np.unpackbits(hashes, axis=1)
    unpacked[:, bits] ^= 1
    return np.packbits(unpacked, axis=1)


def packed(videos: dict[str, tuple[np.ndarray, np.ndarray]], duration_s: float = 10.0) -> HashedVideos:
    result = HashedVideos(FRAMES)
    for name, (plain, mirrored) in videos.items():
        result.add(name, texts(plain), texts(mirrored), duration_s)
    return result


def texts(hashes: np.ndarray) -> list[str]:
    """(F, 32) uint8 as hex digits."""
    return [h.tobytes().hex() for h in hashes]


def video(rng: np.random.Generator, frames: int = FRAMES) -> tuple[np.ndarray, np.ndarray]:
    return random_hashes(rng, frames), random_hashes(rng, frames)


def noisy(hashes: tuple[np.ndarray, np.ndarray], bits: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return flipped(hashes[0], bits, rng), flipped(hashes[1], bits, rng)


# --- the rule on made-up hashes ------------------------------------------------------------------------------------


def test_no_videos_and_one_video():
    rng = np.random.default_rng(0)
    assert find_duplicates(HashedVideos(), []) == {}
    assert find_duplicates(packed({"a": video(rng)}), [1]) == {}


def test_the_best_copy_stays_and_the_smaller_id_breaks_ties():
    rng = np.random.default_rng(0)
    original = video(rng)
    copy = noisy(original, 10, rng)
    videos = packed({"b": original, "a": copy, "c": noisy(original, 10, rng), "other": video(rng)})
    assert find_duplicates(videos, [(100, 5.0), (50, 9.0), (100, 4.0), (1, 1.0)]) == {"a": "b", "c": "b"}
    assert find_duplicates(videos, [1, 1, 1, 1]) == {"b": "a", "c": "a"}


def test_a_mirrored_copy_is_found_from_either_side():
    rng = np.random.default_rng(1)
    plain, mirrored = video(rng)
    videos = packed({"a": (plain, mirrored), "b": noisy((mirrored, plain), 12, rng)})
    assert find_duplicates(videos, [2, 1]) == {"b": "a"}
    assert find_duplicates(videos, [1, 2]) == {"a": "b"}


def test_a_chain_of_likeness_does_not_make_a_duplicate():
    rng = np.random.default_rng(2)
    detail = 128 + rng.permutation(128)  # only fine detail differs, so that the index finds every pair
    a, mirrored = video(rng)
    b = with_bits_flipped(a, detail[:50])
    c = with_bits_flipped(b, detail[50:100])
    three = {"a": (a, mirrored), "b": (b, mirrored[::-1]), "c": (c, mirrored[::-1])}
    assert find_duplicates(packed(three), [3, 2, 1]) == {"b": "a"}, "c is like b, but b does not stay"
    assert find_duplicates(packed({"b": three["b"], "c": three["c"]}), [2, 1]) == {"c": "b"}
    assert find_duplicates(packed(three), [1, 3, 2]) == {"a": "b", "c": "b"}


def test_one_background_with_different_actions_is_no_duplicate_and_in_step_it_is():
    rng = np.random.default_rng(3)
    room = np.repeat(random_hashes(rng, 1), FRAMES, axis=0)
    here, there = (flipped(room, 10, rng) for _ in range(2))
    mirrored = random_hashes(rng, FRAMES)
    apart = np.unpackbits(here ^ there, axis=1).sum(axis=1)
    assert np.median(apart) <= 20, "the frames look alike"
    assert find_duplicates(packed({"a": (here, mirrored), "b": (there, mirrored)}), [2, 1]) == {}
    again = flipped(here, 4, rng)
    assert find_duplicates(packed({"a": (here, mirrored), "b": (again, mirrored)}), [2, 1]) == {"b": "a"}


def test_motion_and_agreement_are_what_the_definition_says():
    rng = np.random.default_rng(9)
    a, b = random_hashes(rng, 3, FRAMES), random_hashes(rng, 3, FRAMES)
    b[1] = flipped(a[1], 20, rng)
    common = rng.random((3, FRAMES)) < 0.7
    bits = np.unpackbits(a ^ b, axis=2).sum(axis=2)
    motion, agreement = _movement(a, b, common, bits)
    for pair in range(3):
        places = np.flatnonzero(common[pair])

        def mean(x: np.ndarray, y: np.ndarray, same_place: bool, places: np.ndarray = places) -> float:
            return float(
                np.mean([np.unpackbits(x[i] ^ y[j]).sum() for i in places for j in places if (i == j) == same_place])
            )

        expected = min(mean(a[pair], a[pair], False), mean(b[pair], b[pair], False))
        assert motion[pair] == pytest.approx(expected)
        gain = mean(a[pair], b[pair], False) - mean(a[pair], b[pair], True)
        assert agreement[pair] == pytest.approx(gain / expected, abs=1e-6)


@pytest.mark.parametrize(
    ("bits", "durations_s", "duplicate"),
    [(0, (10.0, 10.0), True), (5, (10.0, 10.1), True), (5, (10.0, 10.5), False), (12, (10.0, 10.0), False)],
    ids=["identical", "re-encoded", "other_length", "other_picture"],
)
def test_still_pictures(bits, durations_s, duplicate):
    rng = np.random.default_rng(4)
    still = random_hashes(rng, 1)
    copy = flipped(still, bits, rng)
    videos = HashedVideos()
    for name, picture, duration_s in (("a", still, durations_s[0]), ("b", copy, durations_s[1])):
        text = [picture[0].tobytes().hex()] * FRAMES
        videos.add(name, text, ["0" * 64] * FRAMES, duration_s)
    assert find_duplicates(videos, [2, 1]) == ({"b": "a"} if duplicate else {})


def test_short_videos_and_frames_without_a_hash():
    rng = np.random.default_rng(5)
    plain, mirrored = map(texts, video(rng))
    videos = HashedVideos()
    videos.add("whole", plain, mirrored, 10)
    videos.add("two_dark_frames", ["", *plain[1:4], "", *plain[5:]], ["", *mirrored[1:4], "", *mirrored[5:]], 10)
    videos.add("mostly_dark", [*plain[:5], "", "", "", "", ""], [*mirrored[:5], "", "", "", "", ""], 10)
    videos.add("all_dark", [""] * 10, [""] * 10, 10)
    videos.add("all_dark_too", [""] * 10, [""] * 10, 10)
    videos.add("no_frames", [], [], 0)
    six, six_mirrored = map(texts, video(rng, frames=6))
    videos.add("six_frames", six, six_mirrored, 1)
    videos.add("six_again", six, six_mirrored, 1)
    assert find_duplicates(videos, list(range(8, 0, -1))) == {"two_dark_frames": "whole", "six_again": "six_frames"}


@pytest.mark.parametrize(
    ("plain", "mirrored", "message"),
    [
        (["0" * 64] * 11, ["0" * 64] * 11, "at most 10"),
        (["0" * 64] * 2, ["0" * 64], "as many of both"),
        (["0" * 16], ["0" * 16], "64 hex digits"),
    ],
)
def test_hashes_that_do_not_fit_are_refused(plain, mirrored, message):
    with pytest.raises(ValueError, match=f"v1: .*{message}"):
        HashedVideos().add("v1", plain, mirrored, 1.0)


def test_arguments_that_do_not_fit_are_refused():
    rng = np.random.default_rng(0)
    videos = packed({"a": video(rng), "b": video(rng)})
    with pytest.raises(ValueError, match="1 quality keys for 2 videos"):
        find_duplicates(videos, [1])
    videos.add("a", [], [], 0)
    with pytest.raises(ValueError, match="id twice"):
        find_duplicates(videos, [1, 2, 3])


# --- groups, order, index ------------------------------------------------------------------------------------------


def clusters(count: int, seed: int) -> tuple[HashedVideos, list[int], dict[str, str]]:
    """``count`` random videos, one in a hundred of them a copy (every other one mirrored) of a better one."""
    rng = np.random.default_rng(seed)
    plain, mirrored = random_hashes(rng, count, FRAMES), random_hashes(rng, count, FRAMES)
    truth = {}
    for number in range(count // 100):
        copy = count - 1 - number
        pair = noisy((plain[number], mirrored[number]), 12, rng)
        plain[copy], mirrored[copy] = pair if number % 2 else pair[::-1]
        truth[f"v{copy:06d}"] = f"v{number:06d}"
    videos = HashedVideos(FRAMES)
    for number in range(count):
        videos.add(f"v{number:06d}", texts(plain[number]), texts(mirrored[number]), 10.0)
    return videos, [0] * count, truth


def test_many_videos_with_known_copies():
    videos, quality, truth = clusters(3_000, seed=0)
    started = time.process_time()
    assert find_duplicates(videos, quality) == truth
    assert time.process_time() - started < 5


@pytest.mark.slow
def test_a_hundred_thousand_videos():
    import resource

    videos, quality, truth = clusters(100_000, seed=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    assert find_duplicates(videos, quality) == truth
    assert time.process_time() - started < 15
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 300, "MB on top of the hashes"


def test_the_order_of_the_videos_does_not_matter():
    rng = np.random.default_rng(6)
    named, quality = {}, {}
    for source in range(12):
        original = video(rng)
        for copy in range(5):
            named[f"{source}-{copy}"] = noisy(original, 8 * copy, rng)
            quality[f"{source}-{copy}"] = (int(rng.integers(3)), copy % 2)
    expected = find_duplicates(packed(named), [quality[n] for n in named])
    assert len(expected) == 12 * 4
    for _ in range(3):
        names = list(rng.permutation(list(named)))
        assert find_duplicates(packed({n: named[n] for n in names}), [quality[n] for n in names]) == expected
    assert not set(expected) & set(expected.values()), "a kept copy is never itself a duplicate"


def test_more_copies_than_a_bucket_looks_at_end_at_the_best_one():
    rng = np.random.default_rng(7)
    original = video(rng)
    videos = packed({f"v{n:03d}": noisy(original, 3, rng) for n in range(300)})
    found = find_duplicates(videos, list(range(300)), bucket_neighbours=4)
    assert found == {f"v{n:03d}": "v299" for n in range(299)}


def test_the_index_finds_every_pair_within_its_guarantee():
    rng = np.random.default_rng(8)
    low = [row * 16 + column for row in range(8) for column in range(8)]
    videos = HashedVideos(FRAMES)
    for number in range(200):
        plain, mirrored = video(rng)
        other = video(rng)
        place = int(rng.integers(FRAMES))
        bits = np.unpackbits(plain[place])
        bits[rng.choice(low[1:], 5, replace=False)] ^= 1  # 5 of the 63 low-frequency bits, at one place of ten
        (other[1] if number % 2 else other[0])[place] = np.packbits(bits)
        for name, hashes in ((f"a{number}", (plain, mirrored)), (f"b{number}", other)):
            videos.add(name, texts(hashes[0]), texts(hashes[1]), 1.0)
    found = set()
    for better, worse in _candidates(videos, np.arange(len(videos)), 64):
        found |= set(zip(better.tolist(), worse.tolist(), strict=True))
    assert {(2 * n, 2 * n + 1) for n in range(200)} <= found
    assert len(found) < 1_000, "few others: far from all 79,800 pairs"


# --- real footage --------------------------------------------------------------------------------------------------


def sampled_frames(path: Path) -> tuple[list[np.ndarray], float]:
    """The paper's ten frames of a whole video at 416 pixels on the long side, and its duration in seconds."""
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        images = []
        for frame in container.decode(stream):
            scale = 416 / max(frame.width, frame.height)
            size = (round(frame.width * scale), round(frame.height * scale))
            images.append(cv2.resize(frame.to_ndarray(format="bgr24"), size, interpolation=cv2.INTER_AREA))
        rate = float(stream.average_rate or 25)
    stride = max(1, len(images) // FRAMES)
    return images[stride - 1 :: stride][:FRAMES], len(images) / rate


def add(videos: HashedVideos, name: str, images: list[np.ndarray], duration_s: float) -> None:
    borders = picture_borders(images)
    hashes = [frame_hashes(image, borders) for image in images]
    videos.add(name, [plain for plain, _ in hashes], [mirrored for _, mirrored in hashes], duration_s)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    decoded = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def boxed(image: np.ndarray) -> np.ndarray:
    """Over black in the other orientation."""
    height, width = image.shape[:2]
    x, y = (0, max(0, width * 16 // 9 - height) // 2) if width >= height else ((height * 16 // 9 - width) // 2, 0)
    return cv2.copyMakeBorder(image, y, y, x, x, cv2.BORDER_CONSTANT)


def captioned(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    image = image.copy()
    cv2.rectangle(image, (width // 5, height // 12), (width * 4 // 5, height // 6), (255, 255, 255), -1)
    cv2.putText(image, "@someone", (width // 20, height * 9 // 10), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
    return image


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "compressed": lambda i: jpeg(i, 25),
    "half": lambda i: cv2.resize(i, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "brighter": lambda i: cv2.convertScaleAbs(i, alpha=1.05, beta=12),
    "mirrored": lambda i: i[:, ::-1].copy(),
    "boxed": lambda i: jpeg(boxed(i), 60),
    "mirrored_boxed": lambda i: jpeg(boxed(i[:, ::-1].copy()), 60),
    "captioned": lambda i: jpeg(captioned(i), 60),
}


def test_copies_of_real_videos_are_found_and_different_videos_are_not(shared_data):
    names = [
        "fall/Subject_3_Fall_19.mp4",
        "fall/Subject_3_Fall_20.mp4",
        "fall/Subject_2_ADL_23.mp4",
        "ucf101/v_ApplyEyeMakeup_g01_c01.avi",
        "kinetics/R6llTwEh07w.mp4",
        "web/juicer5.mp4",
    ]
    videos, expected = HashedVideos(), {}
    for name in names:
        images, duration_s = sampled_frames(shared_data / "clips" / name)
        add(videos, name, images, duration_s)
        for kind, change in COPIES.items():
            add(videos, f"{name}:{kind}", [change(image) for image in images], duration_s)
            expected[f"{name}:{kind}"] = name
    assert find_duplicates(videos, [":" not in video_id for video_id in videos.video_ids]) == expected


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param("actions3/boxing", marks=pytest.mark.slow),
        "actions3/handclapping",
        pytest.param("actions3/handwaving", marks=pytest.mark.slow),
        pytest.param("clips/fall", marks=pytest.mark.slow),
    ],
)
def test_one_person_in_one_room_is_not_one_video(shared_data, folder):
    paths = sorted((shared_data / folder).glob("*.mp4"))
    assert len(paths) >= 8
    videos = HashedVideos()
    for path in paths:
        add(videos, path.stem, *sampled_frames(path))
    assert find_duplicates(videos, [0] * len(videos)) == {}


@pytest.mark.slow
def test_generated_videos_from_one_first_frame_are_different_videos(shared_data):
    videos = HashedVideos()
    for path in sorted((shared_data / "actions7").glob("*/*.mp4")):
        add(videos, path.stem, *sampled_frames(path))
    assert len(videos) > 150
    assert find_duplicates(videos, [0] * len(videos)) == {}
