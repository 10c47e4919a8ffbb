"""``croissant.json`` of a release: Croissant 1.1 whose records are the clips, with their bytes."""

from __future__ import annotations

import json
import re
from importlib.resources import files

from tiktokactions.dataset import croissant
from tiktokactions.dataset.publisher import Publisher
from tiktokactions.dataset.statistics import Statistics
from tiktokactions.files import Place, fingerprint, sha256_file
from tiktokactions.records import JsonObject
from tiktokactions.releases.clip_folders import schema, split_of
from tiktokactions.releases.rows import Export

_TYPES = {"string": "sc:Text", "double": "sc:Float", "int32": "sc:Integer", "int64": "sc:Integer", "bool": "sc:Boolean"}
_MEANINGS = {
    "path": "the clip, relative to this folder",
    "file_name": "the name of the clip in its folder",
    "label": "the first label, which a classifier learns",
    "labels": "what people said, else the hashtags",
    "split": "train, validation or test; nothing where the dataset was never split",
    "creator": "hashed with a salt that is not published",
    "start_s": "where the clip begins in the source video, seconds",
    "end_s": "where the clip ends in the source video, seconds",
    "sha256": "of the clip's file",
}


def release_croissant(
    export: Export, out: Place, stats: Statistics, publisher: Publisher, has_clips: bool
) -> JsonObject:
    """The JSON-LD of a release whose tables are written."""
    info = export.dataset.info
    template = files(croissant.__package__).joinpath("croissant_template.json").read_text(encoding="utf-8")
    plain: JsonObject = json.loads(template)
    plain |= croissant.making(info, stats)
    plain |= {
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": re.sub(r"\s+", " ", info.name),
        "description": f"{stats.funnel.accepted:,} clips of human actions ({stats.clip_hours:,.1f} hours).",
        "version": f"{info.version}.0.0",
        "dateCreated": info.created,
        "dateModified": info.updated,
        "datePublished": info.updated,
        "distribution": _distribution(out, has_clips),
        "recordSet": _record_sets(export) if has_clips else [],
    }
    if publisher.name:
        plain["creator"] = plain["publisher"] = {"@type": "Organization", "name": publisher.name}
        plain["publisher"] = plain["publisher"] | {"email": publisher.contact}
    if publisher.licence:
        plain["license"] = publisher.licence
    if publisher.citation:
        plain["citeAs"] = publisher.citation
    return plain


def _distribution(out: Place, has_clips: bool) -> list[JsonObject]:
    name = "manifest.parquet" if has_clips else "ids.csv"
    table = out / name
    found: list[JsonObject] = [
        {
            "@type": "cr:FileObject",
            "@id": "manifest",
            "name": name,
            "description": "a row per clip" if has_clips else "a row per video: ids, seconds, labels, evidence",
            "contentUrl": name,
            "encodingFormat": "application/x-parquet" if has_clips else "text/csv",
            "contentSize": f"{fingerprint(str(table))[0]} B",
            "sha256": sha256_file(table),
        }
    ]
    if has_clips:
        clips = {"@type": "cr:FileSet", "@id": "clips", "name": "clips", "includes": ["data/*/*.mp4", "data/*/*/*.mp4"]}
        # mlcroissant has no reader of videos: asked for text, it hands out the bytes of the file as they are.
        clips |= {"description": "H.264 in MP4", "encodingFormat": ["video/mp4", "text/plain"]}
        found.append(clips)
    return found


def _record_sets(export: Export) -> list[JsonObject]:
    splits = [{"splits/name": split_of(side)} for side in export.counts]
    urls = {"train": "cr:TrainingSplit", "validation": "cr:ValidationSplit", "test": "cr:TestSplit"}
    # A row must have every column, and folds have no address: it is told only where all splits have one.
    has_urls = all(row["splits/name"] in urls for row in splits)
    named = [row | {"splits/url": urls[row["splits/name"]]} for row in splits] if has_urls else splits
    url = {"@type": "cr:Field", "@id": "splits/url", "name": "url", "dataType": "sc:URL"}
    fields = [_column(field.name, str(field.type)) for field in schema()]
    # How a row finds its clip: names of clips are ids, and so differ.
    clip = {"references": {"fileSet": {"@id": "clips"}, "extract": {"fileProperty": "filename"}}}
    fields = [field | clip if field["name"] == "file_name" else field for field in fields]
    fields.append(
        {
            "@type": "cr:Field",
            "@id": "records/clip",
            "name": "clip",
            "description": "the bytes of the clip",
            "dataType": "sc:VideoObject",
            "source": {"fileSet": {"@id": "clips"}, "extract": {"fileProperty": "content"}},
        }
    )
    return [
        {
            "@type": "cr:RecordSet",
            "@id": "splits",
            "name": "splits",
            "dataType": "cr:Split",
            "key": {"@id": "splits/name"},
            "field": [
                {"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"},
                *([url] if has_urls else []),
            ],
            "data": named,
        },
        {
            "@type": "cr:RecordSet",
            "@id": "records",
            "name": "records",
            "description": "the clips",
            "key": {"@id": "records/video_id"},
            "field": fields,
        },
    ]


def _column(name: str, kind: str) -> JsonObject:
    """A column of the manifest; ``kind`` as Arrow writes it."""
    repeated = {"repeated": True} if kind.startswith("list") else {}
    split = {"references": {"field": {"@id": "splits/name"}}} if name == "split" else {}
    return {
        "@type": "cr:Field",
        "@id": f"records/{name}",
        "name": name,
        "description": _MEANINGS.get(name, name.replace("_", " ")),
        "dataType": _TYPES.get(kind, "sc:Text"),
        "source": {"fileObject": {"@id": "manifest"}, "extract": {"column": name}},
        **repeated,
        **split,
    }
