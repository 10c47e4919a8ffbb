"""Stand-ins for sources that a browser cannot play: H.264 copies of a scene, made when somebody looks at it, and kept
in a folder of bounded size."""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path

from tiktokactions.curation.engine_local import run_jobs
from tiktokactions.errors import TiktokactionsError
from tiktokactions.files import StoreError, fingerprint, local_file, move_into_place
from tiktokactions.records import Probe, Scene
from tiktokactions.video import ClipSettings, VideoError, cut_clip

PART_S = 60.0
WINDOW_S = 120.0
"""Part ``n`` of a long scene shows 120 s from second 60·n, so that every segment lies in a single part."""
SHORT_SIDE, CRF = 480, 26
FOLDER_BYTES_AT_MOST = 2_000_000_000
WAITING_AT_MOST = 16
SECONDS_AT_MOST = 180.0
PLAYS_EVERYWHERE = {
    ("h264", "yuv420p"): (".mp4", ".m4v", ".mov"),
    ("h264", "yuvj420p"): (".mp4", ".m4v", ".mov"),
    ("vp8", "yuv420p"): (".webm",),
    ("vp9", "yuv420p"): (".webm",),
}


class ProxyError(TiktokactionsError, RuntimeError):
    """A stand-in could not be made; the message can be shown on the page."""


def plays_in_browsers(probe: Probe | None, path: Path) -> bool:
    """Whether Chromium, Firefox and Safari play the file itself, with the times of the record."""
    if probe is None or probe.timestamps_repaired or probe.mirrored or abs(probe.start_s) > 0.01:
        return False
    return path.suffix.lower() in PLAYS_EVERYWHERE.get((probe.codec, probe.pixel_format), ())


@dataclass(frozen=True)
class ProxyJob:
    source: str
    target: str
    start_s: float
    end_s: float
    probe: Probe
    sound: bool = False


def make_proxy(job: ProxyJob) -> str | None:
    """Encode one stand-in; returns what went wrong, or None. Its own process keeps a bad file from harming the rest."""
    target = Path(job.target)
    unfinished = target.with_name(f".{target.stem}-{secrets.token_hex(4)}.part")
    side = min(SHORT_SIDE, job.probe.width, job.probe.height)
    settings = ClipSettings(short_side=side, fps=None, crf=CRF, audio=job.sound)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with local_file(job.source) as path:
            cut_clip(os.fspath(path), unfinished, job.start_s, job.end_s, job.probe, settings, None)
        move_into_place(unfinished, target)
    except VideoError as error:
        return error.reason
    except StoreError:
        return "the store does not answer"
    except OSError as error:
        return error.strerror or "the disk"
    finally:
        unfinished.unlink(missing_ok=True)
    return None


class Proxies:
    """The folder of stand-ins, and the thread that makes them one after the other."""

    def __init__(self, folder: Path, bytes_at_most: int = FOLDER_BYTES_AT_MOST) -> None:
        self.folder, self.bytes_at_most = folder, bytes_at_most
        self._lock = threading.Lock()
        self._under_way: dict[str, concurrent.futures.Future[Path]] = {}
        self._worker = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="proxies")

    def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)

    def proxy_of(
        self, source: str, probe: Probe, scene: Scene, part: int, sound: bool = False
    ) -> concurrent.futures.Future[Path]:
        """The stand-in for a part of a scene, made if it is not there. ``source``: a path, or an address on an object store.

        Raises:
            ProxyError: no such part, or too many are being made; the future's result may raise it too.
            OSError, StoreError: the source is gone, or its store stays away.
        """
        start_s = scene.start_s + part * PART_S
        if part < 0 or start_s >= scene.end_s:
            raise ProxyError(f"part {part}: not in this scene")
        end_s = min(scene.end_s, start_s + WINDOW_S)
        size_bytes, change = fingerprint(source)
        what = f"{source}|{size_bytes}|{change}|{start_s:.6f}|{end_s:.6f}|{SHORT_SIDE}|{CRF}{'|sound' * sound}"
        target = self.folder / f"{hashlib.sha256(what.encode()).hexdigest()[:24]}.mp4"
        ready: concurrent.futures.Future[Path] = concurrent.futures.Future()
        with self._lock:
            if target.exists():
                os.utime(target)  # used now, so not the first to be deleted
                ready.set_result(target)
                return ready
            known = self._under_way.get(target.name)
            if known is not None:
                return known
            if len(self._under_way) >= WAITING_AT_MOST:
                raise ProxyError("too many scenes are being prepared; try again in a moment")
            job = ProxyJob(source, str(target), start_s, end_s, probe, sound)
            future = self._worker.submit(self._make, job)
            self._under_way[target.name] = future
        future.add_done_callback(lambda _: self._under_way.pop(target.name, None))
        return future

    def _make(self, job: ProxyJob) -> Path:
        [outcome] = run_jobs([job], make_proxy, 1, SECONDS_AT_MOST)
        problem = outcome.failure or outcome.result
        if problem is not None:
            raise ProxyError(f"this scene cannot be shown ({problem.replace('_', ' ')})")
        target = Path(job.target)
        self._make_room(target)
        return target

    def _make_room(self, keep: Path) -> None:
        """Delete the stand-ins that were watched least recently until the rest fits."""
        files = sorted(((p.stat().st_mtime, p.stat().st_size, p) for p in self.folder.glob("*.mp4")), reverse=True)
        total = 0
        for _, size, path in files:
            total += size
            if total > self.bytes_at_most and path != keep:
                path.unlink(missing_ok=True)
