"""The benchmark's videos: portrait, 576x1024, 30 fps, several real shots joined by hard cuts, about 1.6 Mb/s.

Real social videos cannot be shared, so these stand in for them: real footage (the ``clips`` of the test data) cropped
or letterboxed over a blurred copy of itself, with a little noise, as phone videos have. What is chosen depends on the
seed alone. Built once with ffmpeg (from the development package imageio-ffmpeg) into a cache folder.

    python -m benchmarks.corpus --folder /tmp/corpus
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import imageio_ffmpeg

WIDTH, HEIGHT, FPS = 576, 1024, 30
VIDEO_BITS, AUDIO_BITS = 1_500_000, 96_000  # together about 1.6 Mb/s
VIDEOS = 14
SEED = 16

# Stretches of the source clips without a cut: (file, start_s, end_s). A new kind of picture begins at every blank line;
# neighbouring shots of a video come from different kinds, so that every join is a visible cut.
STRETCHES: tuple[tuple[tuple[str, float, float], ...], ...] = (
    (("web/juicer2.mp4", 0.0, 23.0),),
    (("web/juicer3.mp4", 4.6, 49.0),),
    (("web/juicer4.mp4", 0.0, 22.0),),
    (("web/juicer5.mp4", 0.0, 11.6),),
    (("web/juicer1.mp4", 0.0, 5.9), ("web/juicer1.mp4", 6.1, 9.8)),
    (("web/cosmos_30s.mp4", 0.2, 7.0),),
    (("web/demo.mp4", 1.8, 6.6),),
    (("web/demo_skeleton.mp4", 0.0, 2.5),),
    (("web/flipping_a_pancake.mkv", 0.0, 10.2),),
    (("web/test_video_structuralize.mp4", 0.0, 9.9),),
    (("kinetics/R6llTwEh07w.mp4", 0.0, 10.0),),
    (("kinetics/SOX5yA1l24A.mp4", 0.0, 4.5), ("kinetics/SOX5yA1l24A.mp4", 4.7, 7.2)),
    (("kinetics/WUzgd7C1pWA.mp4", 1.8, 10.8),),
    (("kinetics/basketball.mp4", 0.0, 11.0),),
    (("fall/Subject_1_Fall_13.mp4", 0.0, 4.2), ("fall/Subject_4_Fall_01.mp4", 0.0, 4.6)),
    (
        ("fall/Subject_2_ADL_23.mp4", 0.0, 7.2),
        ("fall/Subject_2_Fall_13.mp4", 0.0, 8.8),
        ("fall/Subject_3_ADL_19.mp4", 0.0, 6.4),
        ("fall/Subject_3_Fall_19.mp4", 0.0, 5.6),
        ("fall/Subject_3_Fall_20.mp4", 0.0, 6.1),
    ),
    (("ucf101/v_ApplyEyeMakeup_g01_c01.avi", 0.0, 6.4),),
    (("ucf101/v_SoccerJuggling_g23_c01.avi", 0.0, 7.9),),
    (("ucf101/v_SoccerJuggling_g24_c01.avi", 0.0, 8.3),),
    (("hmdb51/SchoolRulesHowTheyHelpUs_wave_f_nm_np1_ba_med_0.avi", 0.0, 2.4),),
    (("hmdb51/hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi", 0.0, 2.7),),
)
SOUND = "web/juicer3.mp4"


@dataclass(frozen=True)
class Shot:
    file: str
    start_s: float
    duration_s: float
    framing: str
    """``crop`` fills the picture; ``blur`` shows all of it over a blurred copy."""


def test_data() -> Path:
    """The test data's ``data/clips`` folder.

    Raises:
        SystemExit: it is not there; the message says how to point to it.
    """
    clips = _test_data()
    if not clips.is_dir():
        raise SystemExit(f"{clips}: not found. Set TIKTOKACTIONS_TEST_DATA to the folder that holds data/clips.")
    return clips


def has_test_data() -> bool:
    return _test_data().is_dir()


def _test_data() -> Path:
    root = Path(os.environ.get("TIKTOKACTIONS_TEST_DATA", Path(__file__).resolve().parents[1].parent / "shared"))
    return root / "data" / "clips"


def default_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", tempfile.gettempdir())) / "tiktokactions-benchmark"


def plan(videos: int = VIDEOS, seed: int = SEED) -> list[list[Shot]]:
    """Which shots make which video: 3 to 8 each, every second video with one shot of more than ten seconds."""
    rng = random.Random(seed)
    return [_plan_one(rng, long=number % 2 == 0) for number in range(videos)]


def _plan_one(rng: random.Random, long: bool) -> list[Shot]:
    hero_s = rng.uniform(10.6, 16.0) if long else rng.uniform(6.0, 9.0)
    kinds = [[s for s in kind if s[2] - s[1] > hero_s] for kind in STRETCHES]
    hero_kind = rng.choice([number for number, kind in enumerate(kinds) if kind])
    others = rng.sample([number for number in range(len(STRETCHES)) if number != hero_kind], rng.randint(3, 7))
    shots = [_shot(rng, rng.choice(kinds[hero_kind]), hero_s)]
    for number in others:
        stretch = rng.choice(STRETCHES[number])
        shots.append(_shot(rng, stretch, min(stretch[2] - stretch[1], rng.uniform(3.0, min(9.0, hero_s - 0.5)))))
    rng.shuffle(shots)
    return shots


def _shot(rng: random.Random, stretch: tuple[str, float, float], duration_s: float) -> Shot:
    file, start_s, end_s = stretch
    duration_s = round(duration_s * FPS) / FPS
    first_s = round(rng.uniform(start_s, max(start_s, end_s - duration_s)), 3)
    return Shot(file, first_s, duration_s, rng.choice(("crop", "blur")))


def build(folder: Path, videos: int = VIDEOS, seed: int = SEED) -> list[Path]:
    """Build what is missing of the corpus and return its files; finished files are kept from run to run."""
    paths = []
    for number, shots in enumerate(plan(videos, seed)):
        recipe = hashlib.sha256(json.dumps([asdict(s) for s in shots]).encode()).hexdigest()[:8]
        path = folder / "videos" / f"video{number:02d}-{recipe}.mp4"
        if not path.exists():
            _join(shots, path)
        paths.append(path)
    return paths


def build_memory_pairs(folder: Path) -> dict[str, tuple[Path, Path]]:
    """A 30-second and a 30-minute video of the same content, for the memory measurement.

    ``cuts`` has a cut every few seconds; ``one scene`` has none at all (played forwards, then backwards, so that the
    repeats join without one): the harder case for a program that keeps frames of the longest scene.
    """
    cuts = [Shot(*s) for s in zip(*_THIRTY_SECONDS_OF_CUTS, strict=True)]
    still = [Shot("web/juicer4.mp4", 2.0, 15.0, "crop")]
    pairs = {}
    for name, shots, there_and_back in (("cuts", cuts, False), ("one scene", still, True)):
        stem = folder / "memory" / name.replace(" ", "-")
        short, long = stem.with_name(stem.name + "-30s.mp4"), stem.with_name(stem.name + "-30min.mp4")
        if not short.exists():
            _join(shots, short, there_and_back)
        if not long.exists():
            _repeat(short, long, times=60)
        pairs[name] = (short, long)
    return pairs


_THIRTY_SECONDS_OF_CUTS = (
    ("web/juicer2.mp4", "fall/Subject_2_Fall_13.mp4", "kinetics/basketball.mp4", "web/juicer5.mp4"),
    (0.0, 0.0, 0.0, 0.0),
    (8.0, 8.0, 8.0, 6.0),
    ("crop", "blur", "crop", "blur"),
)


def _join(shots: list[Shot], path: Path, there_and_back: bool = False) -> None:
    """Encode the shots one after the other into ``path`` (x264 medium, High profile, average bit rate, AAC sound)."""
    clips = test_data()
    inputs, filters = [], []
    for i, shot in enumerate(shots):
        inputs += ["-i", str(clips / shot.file)]
        filters.append(
            f"[{i}:v]trim={shot.start_s}:{shot.start_s + shot.duration_s},setpts=PTS-STARTPTS,fps={FPS},"
            f"tpad=stop_mode=clone:stop_duration=1,trim=end_frame={round(shot.duration_s * FPS)},"
            + _framing(i, shot.framing)
            + f",setsar=1,format=yuv420p,noise=alls=4:allf=t:all_seed={i + 1}[v{i}]"
        )
    back = ",split[there][b];[b]reverse[back];[there][back]concat=n=2" if there_and_back else ""
    joined = "".join(f"[v{i}]" for i in range(len(shots))) + f"concat=n={len(shots)}{back}[v]"
    seconds = sum(s.duration_s for s in shots) * (2 if there_and_back else 1)
    sound = ["-stream_loop", "-1", "-i", str(clips / SOUND)]
    video = ["-c:v", "libx264", "-preset", "medium", "-profile:v", "high", "-b:v", str(VIDEO_BITS), "-threads", "4"]
    audio = ["-c:a", "aac", "-b:a", str(AUDIO_BITS)]
    graph = ["-filter_complex", ";".join([*filters, joined]), "-map", "[v]", "-map", f"{len(shots)}:a"]
    encode([*inputs, *sound, *graph, *video, *audio, "-t", f"{seconds:.3f}", "-movflags", "+faststart"], path)


def _framing(i: int, framing: str) -> str:
    size = f"{WIDTH}:{HEIGHT}"
    fill = f"scale={size}:force_original_aspect_ratio=increase,crop={size}"
    if framing == "crop":
        return fill
    return (
        f"split[p{i}][q{i}];[p{i}]{fill},boxblur=24:2[back{i}];"
        f"[q{i}]scale={size}:force_original_aspect_ratio=decrease:force_divisible_by=2[front{i}];"
        f"[back{i}][front{i}]overlay=(W-w)/2:(H-h)/2"
    )


def _repeat(source: Path, path: Path, times: int) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
        listing.write(f"file '{source.resolve()}'\n" * times)
        listing.flush()
        encode(["-f", "concat", "-safe", "0", "-i", listing.name, "-c", "copy"], path)


def encode(arguments: list[str], path: Path) -> None:
    """Run ffmpeg; ``path`` appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished.mp4")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *arguments, str(unfinished)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{path.name}: ffmpeg ended with {done.returncode}: {done.stderr.strip()[-800:]}")
    unfinished.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=default_folder(), help="cache folder (default: %(default)s)")
    parser.add_argument("--memory", action="store_true", help="also the 30-second and 30-minute videos")
    options = parser.parse_args()
    planned = plan()
    for path, shots in zip(build(options.folder), planned, strict=True):
        seconds = sum(s.duration_s for s in shots)
        print(f"{path}  {seconds:5.1f} s  {len(shots)} shots  longest {max(s.duration_s for s in shots):4.1f} s")
    joins = sum(len(shots) - 1 for shots in planned)
    mean_s = sum(s.duration_s for shots in planned for s in shots) / len(planned)
    print(f"{len(planned)} videos, mean {mean_s:.1f} s, {joins} joins")
    if options.memory:
        for name, pair in build_memory_pairs(options.folder).items():
            print(name, *pair)


if __name__ == "__main__":
    main()
