"""COCO: the sampled frames as images and the person boxes seen in them as annotations of the category ``person``."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tiktokactions.files import local_file, located, move_into_place
from tiktokactions.records import Probe
from tiktokactions.releases.rows import Export, ExportedClip
from tiktokactions.video import Frame, VideoError, VideoFile

if TYPE_CHECKING:
    import numpy as np

PERSON = {"id": 1, "name": "person", "supercategory": "person"}
GONE_OR_DAMAGED = (VideoError, FileNotFoundError, NotADirectoryError, PermissionError)
"""A source that has no pictures to give. A full disk or a store that stays away is not: those end the export."""


def write(export: Export, out: Path) -> list[Path]:
    """``person_boxes.json``; with ``export.frames`` the frames themselves under ``images/``, from the sources that are there.

    ``bbox`` is ``x, y, width, height`` in pixels of the upright source frame; ``score`` is the detector's. Images carry
    ``video_id``, ``frame``, ``time_s``, ``labels`` and ``split``.
    """
    out.mkdir(parents=True, exist_ok=True)
    target, images, boxes = (out / name for name in ("person_boxes.json", "images.unfinished", "boxes.unfinished"))
    number = box_number = 0
    pictures: list[Path] = []
    with images.open("w", encoding="utf-8") as image_file, boxes.open("w", encoding="utf-8") as box_file:
        for clip in export.clips():
            record = clip.record()
            if export.frames:
                pictures += _write_frames(clip, out / "images")
            assert record.probe is not None
            for sample in record.samples:
                number += 1
                image = {
                    "id": number,
                    "file_name": frame_name(clip.video_id, sample.frame),
                    "width": record.probe.width,
                    "height": record.probe.height,
                    "video_id": clip.video_id,
                    "frame": sample.frame,
                    "time_s": sample.time_s,
                    "labels": list(clip.labels),
                    "split": clip.facts()["split"],
                }
                image_file.write((",\n" if number > 1 else "") + json.dumps(image, ensure_ascii=False))
                for person in export.people(record, sample):
                    x0, y0, x1, y1 = person.xyxy
                    box_number += 1
                    box = {
                        "id": box_number,
                        "image_id": number,
                        "category_id": PERSON["id"],
                        "bbox": [round(v, 2) for v in (x0, y0, x1 - x0, y1 - y0)],
                        "area": round((x1 - x0) * (y1 - y0), 2),
                        "iscrowd": 0,
                        "score": person.score,
                    }
                    box_file.write((",\n" if box_number > 1 else "") + json.dumps(box))
    _join(target, images, boxes)
    if export.frames and len(pictures) < number:
        export.notes.append(
            f"{number - len(pictures):,} of {number:,} sampled frames have no picture: their sources are gone or damaged"
        )
    return [target, *pictures]


def frame_name(video_id: str, frame: int) -> str:
    return f"{video_id}_{frame:06d}.jpg"


def _join(target: Path, images: Path, boxes: Path) -> None:
    """One JSON file from its two long lists, without holding either in memory."""
    unfinished = target.with_suffix(".json.unfinished")
    info = {"description": "Persons in the sampled frames of accepted clips", "version": "1"}
    with unfinished.open("wb") as file:
        file.write(f'{{"info": {json.dumps(info)},\n"licenses": [],\n"categories": {json.dumps([PERSON])},\n'.encode())
        for name, part, end in (("images", images, "],\n"), ("annotations", boxes, "]}\n")):
            file.write(f'"{name}": [\n'.encode())
            with part.open("rb") as content:
                shutil.copyfileobj(content, file)
            file.write(end.encode())
            part.unlink()
    move_into_place(unfinished, target)


def _write_frames(clip: ExportedClip, folder: Path) -> list[Path]:
    """The sampled frames of one source as JPEG, from one decode; a source that is gone or damaged has none."""

    record = clip.record()
    assert record.probe is not None
    targets = {sample.frame: folder / frame_name(clip.video_id, sample.frame) for sample in record.samples}
    wanted = {frame: path for frame, path in targets.items() if not path.is_file()}
    for source in (record.source.path, *record.source.copies):
        if not wanted:
            break
        with contextlib.suppress(*GONE_OR_DAMAGED):  # what was read stays; the export tells of the rest
            _write_wanted(source, wanted, record.probe)
    return [path for frame, path in targets.items() if frame not in wanted]


def _write_wanted(source: str, wanted: dict[int, Path], probe: Probe) -> None:
    """Write frames of one source, on a disk or a store; each that is written leaves ``wanted``."""
    import cv2

    with local_file(located(source)) as path, VideoFile(path) as video:
        for frame in video.frames():
            if frame.number in wanted:
                target = wanted[frame.number]
                target.parent.mkdir(parents=True, exist_ok=True)
                picture = _upright(frame, probe)
                if not cv2.imwrite(str(target), picture, [cv2.IMWRITE_JPEG_QUALITY, 92]):
                    raise OSError(f"{target}: could not be written")
                del wanted[frame.number]
            if not wanted:
                return


def _upright(frame: Frame, probe: Probe) -> np.ndarray:
    import cv2

    even = frame.bgr(probe.width - probe.width % 2, probe.height - probe.height % 2)
    # Planar pictures have even sides; boxes are in pixels of the true size, and readers check that both are the same.
    return even if even.shape[:2] == (probe.height, probe.width) else cv2.resize(even, (probe.width, probe.height))
