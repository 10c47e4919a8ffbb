"""The one command for a machine with a GPU, with tiny shapes on a CPU: it must work the first time somebody has a card."""

from __future__ import annotations

import json

import pytest

from benchmarks import gpu


@pytest.mark.slow
def test_every_part_is_measured_and_written(tmp_path, capsys):
    assert gpu.main(["--tiny", "--output", str(tmp_path)]) == 0
    (file,) = tmp_path.glob("gpu-tiny-*.json")
    found = json.loads(file.read_text())
    assert found["left_out"] == []
    names = [
        f"{task}, {who}" for task in ("pretrain", "finetune") for who in ("ours", "ours, compiled", "transformers")
    ]
    assert list(found["steps"]) == names and all(found["steps"][name]["clips_per_s"] > 0 for name in names)
    assert found["steps"]["pretrain, ours"]["tflop_per_s"] > 0
    assert found["parity"]["largest_relative_difference"] == 0, "the device is the CPU"
    assert found["parity"]["augmentation_largest_difference_levels"] == 0
    for task in ("pretrain", "finetune"):
        headroom = found["loader"][task]["headroom"]
        best = max(found["steps"][f"{task}, {who}"]["clips_per_s"] for who in ("ours", "ours, compiled"))
        assert headroom == pytest.approx(found["loader"][task]["clips_per_s"] / best)
    assert "published: V-SWIFT" in capsys.readouterr().out


def test_parts_that_do_not_fit_into_the_time_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu.report, "print_environment", lambda facts: None)
    assert gpu.main(["--tiny", "--minutes", "0", "--output", str(tmp_path)]) == 0
    found = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert len(found["left_out"]) == 8 and "parity: no time left" in found["left_out"]
