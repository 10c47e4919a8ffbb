"""Records survive their JSON form, and what is not a record is refused with its place."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from tiktokactions.records import (
    FAILURES,
    REASONS,
    PersonBox,
    Sample,
    Scene,
    Source,
    VideoRecord,
    decode_record,
    encode_record,
    is_as_sealed,
)

RECORD = VideoRecord(
    video_id="v1",
    source=Source(
        "/a b/привет.mp4", ("/copy.mp4",), {"/copy.mp4": (5, 6)}, {"/copy.mp4": ("x",)}, metadata={"n": [1, None]}
    ),
    labels=("#1", "танец"),
    scenes=(Scene(0.1, 2.3, 3, 69),),
    longest_scene=0,
    samples=(Sample(0.1, 3, (PersonBox((1.5, 2.0, 3.0, 4.0), 0.5),), "0" * 16, "f" * 16),),
    reasons=("too_short",),
)


def test_a_record_survives_json() -> None:
    data = encode_record(RECORD)
    assert decode_record(data, "here") == RECORD
    assert data.endswith(b"}\n")
    assert data.count(b"\n") == 1


def test_the_names_that_other_programs_rely_on() -> None:
    said = json.loads(encode_record(RECORD))
    assert {
        "video_id",
        "source",
        "labels",
        "probe",
        "scenes",
        "longest_scene",
        "samples",
        "segment",
        "clip",
        "status",
    } <= set(said)
    assert {"reasons", "detector", "timings"} <= set(said)
    assert {"path", "copies"} <= set(said["source"])
    assert said["scenes"] == [{"start_s": 0.1, "end_s": 2.3, "start_frame": 3, "end_frame": 69}]
    assert said["samples"][0]["people"] == [{"xyxy": [1.5, 2.0, 3.0, 4.0], "score": 0.5}]
    assert (said["segment"], said["clip"]) == (None, None)


def test_unknown_keys_of_a_newer_program_are_ignored() -> None:
    said = json.loads(encode_record(RECORD)) | {"later": 1}
    assert decode_record(json.dumps(said).encode(), "here") == RECORD


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x.json: not a valid record: Input data was truncated"),
        (b"[]", "x.json: not a valid record: Expected `object`, got `array`"),
        (b"{}", "missing required field `video_id`"),
        (b'{"video_id":"v","source":{"path":3}}', "Expected `str`, got `int` - at `$.source.path`"),
        (b'{"video_id":"v","source":{"path":"/v"},"format":99}', "record format 99, this program reads up to 1"),
    ],
)
def test_what_is_no_record_is_refused_with_its_place(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        decode_record(data, "x.json")


def test_labels_are_united_with_the_first_paths_first() -> None:
    source = Source("/a", ("/b", "/c"), labels={"/b": ("y", "x"), "/a": ("x",), "/c": ("z", "y")})
    assert RECORD.with_source(source).labels == ("x", "y", "z")


def test_every_failure_is_an_explained_reason() -> None:
    assert set(REASONS) > FAILURES
    assert all(text == text.strip() and text for text in REASONS.values())


def test_records_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        RECORD.status = "accepted"  # type: ignore[misc]
    assert msgspec.to_builtins(RECORD)["status"] == "rejected"


def test_a_flipped_bit_in_a_name_is_told() -> None:
    """Unknown names are ignored when a record is read, so only the seal can tell that one is no text any more."""
    assert not is_as_sealed(b'{"video_id":"a","\x8c":1}\n')
