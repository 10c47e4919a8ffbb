"""``plan``: every number follows from the sample and from what was told; what follows from neither is unknown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.made_videos import numbered_frames, write_video
from tiktokactions.cli import main
from tiktokactions.curation.measure import VideoCost
from tiktokactions.study.options import PlanOptions
from tiktokactions.study.plan import Need, Needs, lines_of, needs_of


def cost(core_s: float = 2.0, source_mb: float = 3.0, clip_mb: float = 1.0, status: str = "accepted") -> VideoCost:
    return VideoCost("a.mp4", core_s, core_s, 20.0, int(source_mb * 1e6), int(clip_mb * 1e6), 80_000, 7_000, status, ())


def planned(sample: list[VideoCost], **options: Any) -> dict[str, Need]:
    found = needs_of(PlanOptions(**{"cores": 4} | options), sample, "a machine", "none")
    return {need.name: need for need in found.needs}


SAMPLE = [cost(1.0), cost(3.0), cost(2.0, status="needs_review"), cost(2.0, status="rejected", clip_mb=0)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API quota", 3.6),  # 3,600 requests at 1,000 a day
        ("download", 360_000 * 3e6 * 8 / 50e6 / 3600),
        ("raw videos", 360_000 * 3 / 1e3),
        ("core-hours of curate", 360_000 * 2 / 3600),
        ("curate on 4 cores", 200 / 4 / 24),
        ("accepted", 180_000),
        ("for review", 90_000),
        ("clips", 360_000 * 0.75 / 1e3),
        ("thumbnails", 360_000 * 80_000 / 1e9),
        ("records", 360_000 * 7_000 / 1e9),
        ("disk, all of it", 1080 + 270 + 28.8 + 2.52),
        ("review", 90_000 * 2 * 6 / 3600),
        ("pre-training", 200 * ((180_000 + 0.4 * 90_000) // 32) * 0.5 * 8 / 3600),
        ("fine-tuning", 100 * (9537 // 8) * 0.2 * 8 / 3600),
    ],
)
def test_the_arithmetic(name: str, value: float) -> None:
    told = {"download_mbit_s": 50, "review_s": 6, "reviewers": 2, "gpu_step_s": 0.5, "gpus": 8, "review_accepts": 0.4}
    found = planned(SAMPLE, videos=360_000, finetune_videos=9537, gpu_finetune_step_s=0.2, **told)
    assert found[name].value == pytest.approx(value)
    assert len(found) == 14


def test_all_clips_can_be_for_review() -> None:
    assert planned(SAMPLE, videos=400, review="all", review_s=9)["review"].value == pytest.approx(300 * 9 / 3600)


def test_ranges_follow_from_the_sample() -> None:
    work = planned(SAMPLE, videos=3600)["core-hours of curate"]
    error = (
        3.182 * (2 / 3) ** 0.5 / 2
    )  # Student's t at three degrees of freedom, standard error of the mean of 1, 3, 2, 2
    assert (work.low, work.high) == (pytest.approx(2 - error, abs=1e-3), pytest.approx(2 + error, abs=1e-3))
    accepted = planned(SAMPLE, videos=100)["accepted"]
    assert (accepted.low, accepted.high) == (
        pytest.approx(15.0, abs=0.1),
        pytest.approx(85.0, abs=0.1),
    )  # Wilson, 2 of 4
    both = planned(SAMPLE[:2], videos=100)["core-hours of curate"]
    assert both.low == 0 and both.high == pytest.approx(100 * (2 + 12.706) / 3600, rel=1e-3), (
        "two videos say next to nothing"
    )
    told = planned(SAMPLE, videos=3600, review_s=10, gpu_step_s=1.0, gpu_h_price=2, person_h_price=30)
    review = told["review"]
    assert review.low is not None and review.high is not None and review.low < 2.5 < review.high
    assert review.value == 2.5
    train = told["pre-training"]
    assert train.value == pytest.approx(200 * ((1800 + 450) // 32) / 3600) and "0.5 × 900 in review" in train.arithmetic
    assert train.low is not None
    assert train.low == pytest.approx(200 * (round(3600 * 0.15) // 32) / 3600, rel=0.02), "nobody accepts any"
    assert told["money"].low == pytest.approx(2 * train.low + 30 * review.low)
    assert planned([cost()], videos=100)["core-hours of curate"].low is None
    assert planned(SAMPLE[:2], videos=100)["for review"].low == 0


def test_quota_counts_every_window_of_every_hashtag() -> None:
    assert planned([], videos=340_000, hashtags=386)["API quota"].value == pytest.approx(386 * 18 / 1000)
    assert planned([], videos=340_000, hashtags=386, windows=2)["API quota"].value == 3.4, "pages are more"


def test_what_missing_the_target_costs() -> None:
    def curve(clips: float) -> tuple[float, float | None]:
        return min(1.0, clips / 4000), 3000.0

    told: dict[str, Any] = {"videos": 2000, "target": 0.9, "review_accepts": 0.5, "gpu_step_s": 1.0, "gpu_h_price": 2.0}
    found = {n.name: n for n in needs_of(PlanOptions(**told), SAMPLE, "a machine", "none", curve=curve).needs}
    assert found["chance of 90 %"].value == pytest.approx(100 * 1250 / 4000)
    assert found["if it is missed"].value == pytest.approx(2000 * (3000 / 1250 - 1))
    assert found["money if it is missed"].value == pytest.approx((found["money"].value or 0) * 1.4)
    flat = needs_of(PlanOptions(**told), SAMPLE, "a machine", "none", curve=lambda clips: (0.1, None)).needs[-1]
    assert flat.value is None and "no size on the curve" in flat.arithmetic


def test_what_nobody_told_is_unknown_and_says_what_would_tell_it() -> None:
    found = planned(SAMPLE)
    assert {name: need.arithmetic for name, need in found.items() if need.value is None} == {
        "download": "unknown: `download_mbit_s` says how fast videos arrive",
        "review": "unknown: `review_s` says how long a person takes for a clip",
        "pre-training": "170,000 accepted + 0.5 × 85,000 in review (`review_accepts` says which share); 200 epochs ×"
        " 212,500 clips / 32 = 1,328,000 steps; the rest is unknown: `gpu_step_s` says how long a"
        " step takes on your GPUs",
    }
    nothing = planned([])
    assert [name for name, need in nothing.items() if need.value is not None] == ["API quota"]
    assert "`measure`" in nothing["core-hours of curate"].arithmetic


def test_a_busy_machine_is_said() -> None:
    slow = VideoCost("a.mp4", 1.0, 2.0, 20.0, 1, 1, 1, 1, "accepted", ())
    assert "2.00 times" in needs_of(PlanOptions(), [slow], "m", None).notes[0]
    assert needs_of(PlanOptions(), [cost()], "m", None).notes == ()


@pytest.mark.parametrize("options", [{"videos": 0}, {"gpu_step_s": -1}, {"review_s": float("nan")}, {"cores": 0}])
def test_numbers_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected a number above 0"):
        PlanOptions(**options)


def test_the_table_is_markdown() -> None:
    lines = lines_of(Needs(10, (Need("x", 1234.5, "h", "10 × 123.45 h", 1.0, 2.0),), None, "a machine", None))
    assert lines[0] == "10 videos (nothing measured on a machine)"
    assert [line.replace(" ", "") for line in lines[2:5]] == [
        "||needed|range|arithmetic|",
        lines[3].replace(" ", ""),
        "|x|1,234h|1to2|10×123.45h|",
    ]
    assert set(lines[3]) == {"|", "-"}


def test_a_sample_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "a.mp4", numbered_frames(120, 96, 128))
    (tmp_path / "b.mp4").write_bytes(b"junk")
    command = ["plan", "--videos", "1000", "--measure", str(tmp_path), "--detector", "none", "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    by_name = {need["name"]: need for need in found["needs"]}
    each = {Path(video["path"]).name: video for video in found["sample"]["each"]}
    assert found["sample"]["videos"] == 2
    assert (each["a.mp4"]["status"], each["b.mp4"]["status"]) == ("needs_review", "rejected")
    assert each["a.mp4"]["source_bytes"] == (tmp_path / "a.mp4").stat().st_size
    assert each["a.mp4"]["core_s"] > 0 and each["a.mp4"]["clip_bytes"] > 1000
    mean_s = sum(video["core_s"] for video in each.values()) / 2
    assert by_name["core-hours of curate"]["value"] == pytest.approx(1000 * mean_s / 3600)
    assert by_name["for review"]["value"] == 500
    results = tmp_path / "results.csv"
    results.write_text("size,accuracy\n100,0.5\n200,0.6\n400,0.68\n")
    assert main(["plan", "--results", str(results), "--target", "0.75", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["needs"][-1]["name"] == "chance of 75 %"
    assert main(["plan", "--target", "0.75"]) == 2 and "`results`" not in capsys.readouterr().err
    assert main(["plan", "--measure", str(tmp_path / "nothing")]) == 2
