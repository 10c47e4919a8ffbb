"""``croissant.json``: the dataset described for machines (MLCommons Croissant 1.1 with the responsible-AI vocabulary).

``croissant_template.json`` holds what is the same for every dataset, the described columns of the manifest included: no
paths of the machine and no names of people. What is null there is filled in here.
"""

from __future__ import annotations

import json
from importlib.resources import files

from tiktokactions.dataset.info import DatasetInfo
from tiktokactions.dataset.statistics import Statistics
from tiktokactions.files import Place, fingerprint, sha256_file
from tiktokactions.records import JsonObject


def croissant(dataset: Place, info: DatasetInfo, stats: Statistics) -> JsonObject:
    """The JSON-LD of a dataset whose manifest is written."""
    template = files(__package__).joinpath("croissant_template.json").read_text(encoding="utf-8")
    plain: JsonObject = json.loads(template)
    manifest = dataset / "manifest.parquet"
    size_bytes = fingerprint(str(manifest))[0]
    plain["distribution"][0] |= {"contentSize": f"{size_bytes} B", "sha256": sha256_file(manifest)}
    return (
        plain
        | {
            "name": info.name,
            "description": f"{stats.funnel.accepted:,} clips of human actions ({stats.clip_hours:,.1f} hours) from"
            f" {stats.videos:,} videos: the longest scene of each, cut to 3.5 to 10 seconds, accepted where people were seen"
            " in it.",
            "version": f"{info.version}.0.0",
            "dateCreated": info.created,
            "dateModified": info.updated,
            "datePublished": info.updated,
        }
        | making(info, stats)
    )


def croissant_text(dataset: Place, info: DatasetInfo, stats: Statistics) -> str:
    return json.dumps(croissant(dataset, info, stats), indent=2, ensure_ascii=False) + "\n"


def making(info: DatasetInfo, stats: Statistics) -> JsonObject:
    """The terms that say how it was made."""
    judged = stats.reasons.get("human_accepted", 0) + stats.reasons.get("human_rejected", 0)
    return {
        "rai:dataPreprocessingProtocol": [
            f"Scenes by PySceneDetect ({info.options.get('scenes', 'content')} detector), the longest scene kept.",
            f"{info.options.get('samples', 10)} frames of it searched for people by {info.detector.name}; at least"
            f" {info.options.get('min_person_frames', 4)} with a person accept the video, fewer send it to a person.",
            "Near-duplicates removed, found by corners and motion.",
        ],
        "rai:dataAnnotationProtocol": "Labels are hashtags as they were typed, replaced by what people said where"
        f" they looked: {judged:,} videos were judged by people.",
    }
