"""Label Studio: tasks with the clip, its hashtags as a pre-annotation, and the labelling interface."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import quoteattr

from tiktokactions.files import place_file, write_atomic, write_json
from tiktokactions.records import JsonObject
from tiktokactions.releases.rows import Export, ExportedClip

MODEL = "hashtags"


def write(export: Export, out: Path) -> list[Path]:
    """``tasks.json`` (import it), ``config.xml`` (the project's labelling interface) and ``clips/<video_id>.mp4``.

    Videos are named ``/data/local-files/?d=clips/<video_id>.mp4``: serve ``out`` as Label Studio's local files document root.
    """
    tasks = []
    for clip in export.clips():
        name = f"clips/{clip.video_id}.mp4"
        place_file(clip.path, out / name)
        tasks.append(_task(clip, name))
    write_json(out / "tasks.json", tasks, indent=1)
    write_atomic(out / "config.xml", config(export.classes).encode())
    media = [out / f"clips/{task['data']['video_id']}.mp4" for task in tasks]
    return [out / "tasks.json", out / "config.xml", *media]


def config(labels: tuple[str, ...]) -> str:
    choices = "\n".join(f"    <Choice value={quoteattr(label)}/>" for label in labels)
    return f"""<View>
  <Video name="video" value="$video"/>
  <Choices name="action" toName="video" choice="multiple" showInline="true">
{choices}
    <Choice value="no action"/>
  </Choices>
</View>
"""


def _task(clip: ExportedClip, name: str) -> JsonObject:
    data = {"video": f"/data/local-files/?d={name}"} | clip.facts()
    value = {"choices": list(clip.labels)}
    choices = {"from_name": "action", "to_name": "video", "type": "choices", "value": value}
    said = [{"model_version": MODEL, "result": [choices]}] if clip.labels else []
    return {"data": data, "predictions": said}
