"""``croissant.json``: the dataset described for machines (MLCommons Croissant 1.1 with the responsible-AI vocabulary)."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from tiktokactions.dataset.info import DatasetInfo
from tiktokactions.dataset.statistics import Statistics
from tiktokactions.files import Place, fingerprint, sha256_file

FIELDS: dict[str, tuple[str, str]] = {
    "video_id": ("sc:Text", "the source's own id, or the first 16 hex digits of the file's SHA-256"),
    "labels": ("sc:Text", "hashtags as they came with the video"),
    "human_labels": ("sc:Text", "labels that people gave; they count instead of labels where there are any"),
    "status": ("sc:Text", "accepted, needs_review or rejected"),
    "reasons": ("sc:Text", "why"),
    "clip_path": ("sc:Text", "the clip, relative to the dataset"),
    "clip_start_s": ("sc:Float", "where the clip begins in the source video, seconds"),
    "clip_end_s": ("sc:Float", "where the clip ends in the source video, seconds"),
    "split": ("sc:Text", "train, val or test"),
    "person_frames": ("sc:Integer", "sampled frames with a person"),
    "sampled_frames": ("sc:Integer", "frames that were searched for people"),
    "duration_s": ("sc:Float", "duration of the source video, seconds"),
    "width": ("sc:Integer", "of the source video, upright"),
    "height": ("sc:Integer", "of the source video, upright"),
}
"""Columns of the manifest that are described: no paths of the machine and no names of people."""
REPEATED = ("labels", "human_labels", "reasons")


def croissant(dataset: Place, info: DatasetInfo, stats: Statistics) -> dict[str, Any]:
    """The JSON-LD of a dataset whose manifest is written."""
    return {
        "@context": json.loads(files(__package__).joinpath("croissant_context.json").read_text(encoding="utf-8")),
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": info.name,
        "description": _description(stats),
        "version": f"{info.version}.0.0",
        "dateCreated": info.created,
        "dateModified": info.updated,
        "datePublished": info.updated,
        "url": "https://arxiv.org/abs/2402.08875",
        "license": "https://spdx.org/licenses/LicenseRef-each-video-its-own.html",
        "creator": {"@type": "Organization", "name": "to be filled in by whoever publishes the dataset"},
        "citeAs": "Qian et al., TikTokActions: A TikTok-Derived Video Dataset for Human Action Recognition,"
        " arXiv:2402.08875, 2024",
        "isLiveDataset": False,
        "distribution": _distribution(dataset / "manifest.parquet"),
        "recordSet": [_records()],
    } | _responsible_ai(info, stats)


def croissant_text(dataset: Place, info: DatasetInfo, stats: Statistics) -> str:
    return json.dumps(croissant(dataset, info, stats), indent=2, ensure_ascii=False) + "\n"


def _description(stats: Statistics) -> str:
    return (
        f"{stats.funnel.accepted:,} clips of human actions ({stats.clip_hours:,.1f} hours) from {stats.videos:,} videos:"
        " the longest scene of each, cut to 3.5 to 10 seconds, accepted where people were seen in it."
    )


def _distribution(manifest: Place) -> list[dict[str, Any]]:
    return [
        {
            "@type": "cr:FileObject",
            "@id": "manifest",
            "name": "manifest.parquet",
            "description": "one row per video",
            "contentUrl": "manifest.parquet",
            "encodingFormat": "application/x-parquet",
            "contentSize": f"{fingerprint(str(manifest))[0]} B",
            "sha256": sha256_file(manifest),
        },
        {
            "@type": "cr:FileSet",
            "@id": "clips",
            "name": "clips",
            "description": "the clips, H.264 in MP4",
            "encodingFormat": "video/mp4",
            "includes": "clips/*/*.mp4",
        },
    ]


def _records() -> dict[str, Any]:
    fields = []
    for name, (kind, told) in FIELDS.items():
        field: dict[str, Any] = {
            "@type": "cr:Field",
            "@id": f"videos/{name}",
            "name": name,
            "description": told,
            "dataType": kind,
            "source": {"fileObject": {"@id": "manifest"}, "extract": {"column": name}},
        }
        if name in REPEATED:
            field["repeated"] = True
        fields.append(field)
    return {
        "@type": "cr:RecordSet",
        "@id": "videos",
        "name": "videos",
        "description": "every video that was looked at, accepted or not",
        "key": {"@id": "videos/video_id"},
        "field": fields,
    }


def _responsible_ai(info: DatasetInfo, stats: Statistics) -> dict[str, Any]:
    judged = stats.reasons.get("human_accepted", 0) + stats.reasons.get("human_rejected", 0)
    return {
        "rai:dataCollection": "Videos were collected by hashtag or from a folder; every video that was looked at"
        " is a row of the manifest, with the reason for its verdict.",
        "rai:dataCollectionType": ["Social media", "Web Scraping", "Secondary Data Analysis"],
        "rai:dataPreprocessingProtocol": [
            f"Scenes by PySceneDetect ({info.options.get('scenes', 'content')} detector), the longest scene kept.",
            f"{info.options.get('samples', 10)} frames of it searched for people by {info.detector.name}; at least"
            f" {info.options.get('min_person_frames', 4)} with a person accept the video, fewer send it to a person.",
            "Near-duplicates removed by perceptual hashes.",
        ],
        "rai:dataAnnotationProtocol": "Labels are hashtags as they were typed, replaced by what people said where"
        f" they looked: {judged:,} videos were judged by people.",
        "rai:annotationsPerItem": "one hashtag or more; one human judgement or more where a video was reviewed",
        "rai:dataBiases": "What a platform's search returns, in the languages of the chosen hashtags; person detectors"
        " miss people who are small, dark or cut off.",
        "rai:dataLimitations": "A hashtag is what somebody typed, not what is seen. A box proves a person, not an action.",
        "rai:dataSocialImpact": "Clips show identifiable people who were not asked by this program.",
        "rai:dataUseCases": "Pre-training and evaluation of video models for human action recognition.",
        "rai:personalSensitiveInformation": "Faces, bodies and surroundings of people; possibly minors. Names of creators are"
        " hashed in exports.",
        "rai:dataReleaseMaintenancePlan": "Ids are checked again at least every 15 days where the Research API is used;"
        " videos that are gone or taken down are removed with every artefact, and a tombstone stays.",
    }
