"""FiftyOne: a folder of the type ``FiftyOneVideoLabelsDataset``, labels and person boxes on the clips' own frames."""

from __future__ import annotations

import json
from pathlib import Path

from tiktokactions.files import place_file, write_atomic, write_json
from tiktokactions.records import JsonObject
from tiktokactions.releases.rows import Export, ExportedClip

KIND = "eta.core.datasets.LabeledVideoDataset"


def write(export: Export, out: Path) -> list[Path]:
    """``manifest.json``, ``data/<video_id>.mp4``, ``labels/<video_id>.json``. Open it with
    ``fiftyone.Dataset.from_dir(dataset_dir=out, dataset_type=fiftyone.types.FiftyOneVideoLabelsDataset)``.

    Sample fields: ``label``, ``split``, ``creator`` and ``video_id``; frames hold ``objects`` labelled ``person`` with their
    confidence, on the frames that were searched and lie in the clip.
    """
    index = []
    for clip in export.clips():
        data, labels = f"data/{clip.video_id}.mp4", f"labels/{clip.video_id}.json"
        place_file(clip.path, out / data)
        write_atomic(out / labels, json.dumps(video_labels(export, clip), ensure_ascii=False).encode())
        index.append({"data": data, "labels": labels})
    manifest = {"type": KIND, "description": f"clips of {export.dataset.name}", "index": index}
    write_json(out / "manifest.json", manifest, indent=1)
    return [out / "manifest.json", *(out / entry[kind] for entry in index for kind in ("data", "labels"))]


def video_labels(export: Export, clip: ExportedClip) -> JsonObject:
    """One clip in ETA's VideoLabels form: frames count from 1, boxes are relative to the picture."""
    record = clip.record()
    assert record.probe is not None and record.clip is not None
    facts = clip.facts()
    said = {name: facts[name] for name in ("label", "split", "creator", "video_id")}
    frames: JsonObject = {}
    for sample in record.samples:
        people = export.people(record, sample)
        if not clip.start_s <= sample.time_s < clip.end_s or not people:
            continue
        number = min(record.clip.frames, 1 + round((sample.time_s - clip.start_s) * record.clip.fps))
        objects = [_person(p.xyxy, p.score, record.probe.width, record.probe.height) for p in people]
        frames[str(number)] = {"frame_number": number, "objects": {"objects": objects}}
    attributes = [
        {"type": "eta.core.data.CategoricalAttribute", "name": name, "value": value}
        for name, value in said.items()
        if value is not None
    ]
    return {"attrs": {"attrs": attributes}, "frames": frames}


def _person(xyxy: tuple[float, float, float, float], score: float, width: int, height: int) -> JsonObject:
    x0, y0, x1, y1 = xyxy
    corners = {"top_left": {"x": x0 / width, "y": y0 / height}, "bottom_right": {"x": x1 / width, "y": y1 / height}}
    return {"type": "eta.core.objects.DetectedObject", "label": "person", "bounding_box": corners, "confidence": score}
