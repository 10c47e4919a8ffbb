"""Atomic writes, names that are safe as files, and the lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tiktokactions.files import (
    DatasetBusyError,
    clip_relative_path,
    dataset_lock,
    label_folder,
    record_path,
    safe_video_id,
    staging_folder,
    write_atomic,
)


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("dance", "dance"),
        ("playing piano", "playing piano"),
        ("танец", "танец"),
        ("a/b", "a_b"),
        ("../../etc", "_.._etc"),
        ("..", "_none"),
        (".", "_none"),
        ("", "_none"),
        ("a\x00\nb", "a_b"),
        (".hidden ", "hidden"),
        ("é" * 80, "é" * 50),
    ],
)
def test_label_folders_stay_inside(label: str, folder: str) -> None:
    assert label_folder(label) == folder
    assert os.path.normpath(f"clips/{folder}").startswith("clips" + os.sep)


@pytest.mark.parametrize(
    ("source_id", "kept"),
    [
        ("7231", True),
        ("a-b_c.d", True),
        ("-rf", False),
        ("../x", False),
        ("a b", False),
        ("x" * 101, False),
        ("", False),
        ("a.", False),
    ],
)
def test_ids_are_kept_where_they_can_name_a_file(source_id: str, kept: bool) -> None:
    safe = safe_video_id(source_id)
    assert (safe == source_id) == kept
    assert "/" not in safe
    assert len(safe) <= 100
    assert safe == safe_video_id(source_id)


def test_the_layout_is_the_documented_one(tmp_path: Path) -> None:
    # The first two hex digits of SHA-256("7231").
    assert record_path(tmp_path, "7231").relative_to(tmp_path).as_posix() == "records/ea/7231.json"
    assert clip_relative_path(("a/b", "c"), "7231") == "clips/a_b/7231.mp4"
    assert clip_relative_path((), "7231") == "clips/_none/7231.mp4"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "deep" / "file.json"
    write_atomic(target, b"old")

    def fails(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path / "deep") == ["file.json"]


def test_the_lock_is_held_against_other_processes_and_freed_after(tmp_path: Path) -> None:
    code = "from pathlib import Path; from tiktokactions.files import dataset_lock"
    code += f"\nwith dataset_lock(Path({str(tmp_path)!r})): pass"
    with dataset_lock(tmp_path):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "DatasetBusyError" in other.stderr
        assert f"process {os.getpid()}" in other.stderr
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_lock_clears_what_a_killed_run_left(tmp_path: Path) -> None:
    staging_folder(tmp_path).mkdir()
    (staging_folder(tmp_path) / "half.mp4").write_bytes(b"half")
    with dataset_lock(tmp_path):
        assert not staging_folder(tmp_path).exists()
    with dataset_lock(tmp_path), pytest.raises(DatasetBusyError), dataset_lock(tmp_path):
        pass
