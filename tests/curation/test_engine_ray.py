"""The Ray engine on real clusters of this machine: a bad video costs one video, a dead machine what was in flight on it."""

from __future__ import annotations

import asyncio
import builtins
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiktokactions as api
from tests.clusters import Cluster, running_cluster
from tests.curation.tiny_onnx import write_constant_model
from tests.made_videos import numbered_frames, write_video
from tiktokactions.cli import main
from tiktokactions.curation.engine_ray import GpuDetector, with_weights_here
from tiktokactions.curation.people import ResolvedDetector, resolve_detector
from tiktokactions.files import Place, located, record_files, write_atomic

TOKEN = "0123456789abcdef" * 4
NO_PEOPLE = ["--detector", "none", "--min-person-frames", "0"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One node with two CPUs."""
    with running_cluster("--num-cpus=2") as running:
        yield running


@pytest.fixture(scope="module")
def guarded() -> Iterator[Cluster]:
    """One node that asks for a token."""
    with running_cluster("--num-cpus=1", token=TOKEN) as running:
        yield running


def beside(cluster: Cluster, *command: str, **settings: Any) -> subprocess.Popen[str]:
    """A driver in a process of its own."""
    environment = cluster.environment | {"RAY_ADDRESS": cluster.address}
    command = (sys.executable, "-m", *command)
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True, **settings)


def finished(driver: subprocess.Popen[str], code: int = 0) -> str:
    """Its standard output; what it said on standard error where it was to fail."""
    out, err = driver.communicate(timeout=240)
    assert driver.returncode == code, f"exit {driver.returncode}\n{out}\n{err[-3000:]}"
    return err if code else out


def made_videos(folder: Path, count: int, seconds: int = 4) -> Path:
    for number in range(count):
        frames = numbered_frames(30 * seconds, 96, 128, first=1000 * number)
        write_video(folder / "dance" / f"{number}.mp4", frames)
    return folder


def told(dataset: Place) -> dict[str, Any]:
    """Records by id, without times."""
    found = {}
    for _, data in record_files(dataset):
        record = json.loads(data)
        del record["timings"], record["sha256"]
        found[record["video_id"]] = record
    return found


@pytest.mark.slow
def test_crashes_hangs_errors_and_endless_jobs(cluster: Cluster, tmp_path: Path) -> None:
    out = finished(beside(cluster, "tests.curation.ray_jobs", "together", str(tmp_path)))
    found = json.loads(out)
    assert found["outcomes"] == {
        **{job: [job.upper(), None] for job in "abcdefgh"},
        "crash": [None, "worker_crashed"],
        "hang": [None, "timeout"],
        f"once:{tmp_path}/once": ["second", None],
    }
    assert found["raised"] == ["OSError", 28]
    assert found["drawn"] < 15
    assert found["none"] == {}
    assert "does not see" in found["unseen"] and "s3://bucket/data" in found["unseen"]
    assert found["sees"] == {"a": ["A", None]}


@pytest.mark.slow
def test_gpus_of_the_cluster_look_for_people(tmp_path: Path) -> None:
    """The GPU is Ray's word for it: the model runs on the CPU, everything between is as on a GPU."""
    weights = tiny_detector(tmp_path)
    with running_cluster("--num-cpus=2", "--num-gpus=1") as running:
        out = finished(beside(running, "tests.curation.ray_jobs", "detecting", str(weights)))
    found = json.loads(out)
    assert found["gpus"] == 1
    assert found["outcomes"] == {f"detect:{i}": ["10 10 True", None] for i in (1, 2)}


def tiny_detector(folder: Path) -> Path:
    """YOLOX for a canvas of 64 x 64 that sees one person in the middle of whatever it is shown."""
    cells = np.zeros((1, 8 * 8 + 4 * 4 + 2 * 2, 6), np.float32)
    cells[0, :, :4] = (32, 32, 20, 40)
    cells[0, 0, 4:] = 0.9
    return write_constant_model(folder / "person.onnx", (1, 3, 64, 64), cells)


@pytest.mark.parametrize(
    "token", [pytest.param("", id="open", marks=pytest.mark.slow), pytest.param(TOKEN, id="token")]
)
def test_curate_on_ray_is_curate(token: str, tmp_path: Path) -> None:
    """The same records, clips and tables as the local engine's, and standard output is one JSON object."""
    videos = made_videos(tmp_path / "videos", 2)
    (videos / "broken.mp4").write_bytes(b"\0" * 5000)
    local = api.curate(videos, tmp_path / "local", detector="none", min_person_frames=0, workers=2).last_run
    run = ("tiktokactions", "curate", str(videos), "-o", "ray", *NO_PEOPLE, "--engine", "ray", "--json")
    with running_cluster("--num-cpus=2", token=token) as cluster:
        result = json.loads(finished(beside(cluster, *run, cwd=tmp_path)))
    assert (
        (result["videos"], result["accepted"], result["rejected"]) == (3, local.accepted, local.rejected) == (3, 2, 1)
    )
    assert told(tmp_path / "ray") == told(tmp_path / "local")
    for clip in (tmp_path / "local").glob("clips/*/*.mp4"):
        assert (tmp_path / "ray" / clip.relative_to(tmp_path / "local")).read_bytes() == clip.read_bytes()


@pytest.mark.parametrize(
    "mine",
    [
        pytest.param({}, id="none"),
        pytest.param({"RAY_AUTH_TOKEN": "f" * 64}, id="another"),
        pytest.param({"RAY_AUTH_TOKEN": TOKEN, "RAY_AUTH_MODE": "disabled"}, id="kept back"),
        pytest.param({"RAY_AUTH_MODE": "token"}, id="none to show"),
    ],
)
@pytest.mark.slow
def test_a_cluster_that_wants_another_token(guarded: Cluster, tmp_path: Path, mine: dict[str, str]) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    user = Cluster(guarded.address, guarded.environment | {"HOME": str(tmp_path)} | mine)
    run = ("tiktokactions", "curate", "a.mp4", "-o", "data", *NO_PEOPLE, "--engine", "ray")
    said = finished(beside(user, *run, cwd=tmp_path), code=2)
    assert "asks for a token and got none that it accepts" in said and "~/.ray/auth_token" in said


@pytest.mark.slow
def test_a_cluster_of_its_own_leaves_nothing_in_the_home(tmp_path: Path) -> None:
    script = "from tiktokactions.curation.engine_ray import connect, session\nwith session(): print(connect().nodes())"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, "-c", script]
    subprocess.run(command, env=environment | {"HOME": str(tmp_path)}, check=True, capture_output=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_machine_and_a_worker_die_and_nothing_is_lost(tmp_path: Path, bucket: str) -> None:
    """Two nodes, videos and dataset on an object store; one node is killed in the middle, then a worker of the other."""
    videos = made_videos(tmp_path / "videos", 14, seconds=8)
    for path in sorted(videos.rglob("*.mp4")):
        write_atomic(located(f"{bucket}/in/dance") / path.name, path.read_bytes())
    dataset = located(f"{bucket}/data")
    with running_cluster("--num-cpus=1") as running:
        second = running.join("--num-cpus=1")
        run = ("tiktokactions", "curate", f"{bucket}/in/", "-o", str(dataset), *NO_PEOPLE, "--engine", "ray", "--json")
        driver = beside(running, *run)
        wait_for(lambda: len(told(dataset)) >= 2, driver)
        running.kill(second)
        wait_for(lambda: len(told(dataset)) >= 5, driver)
        worker = next(iter(processes_named("ray::_Worker.run", running.nodes[0].pid)), None)
        if worker is not None:
            os.kill(worker, signal.SIGKILL)
        result = json.loads(finished(driver))
    assert result["videos"] == 14 and result["accepted"] > 10, "some of these plain pictures are near-duplicates"
    api.curate(f"{bucket}/in/", tmp_path / "local", detector="none", min_person_frames=0)
    assert told(dataset) == told(tmp_path / "local")
    assert not api.dataset_verify(str(dataset)).problems


def wait_for(condition: Any, driver: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until and driver.poll() is None, driver.communicate()
        time.sleep(0.1)


def processes_named(name: str, session: int) -> list[int]:
    """Processes of a node: those of its session whose title begins so."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes().decode(errors="replace")
            if title.startswith(name) and os.getsid(int(folder.name)) == session:
                found.append(int(folder.name))
        except OSError:
            continue  # it has ended meanwhile
    return found


def test_without_ray_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    real = builtins.__import__

    def no_ray(name: str, *rest: Any, **named: Any) -> Any:
        if name == "ray":
            raise ImportError("no ray")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", no_ray)
    command = ["curate", str(tmp_path / "a.mp4"), "-o", str(tmp_path / "data"), *NO_PEOPLE, "--engine", "ray"]
    assert main(command) == 2
    assert "pip install 'tiktokactions[ray]'" in capsys.readouterr().err


def test_what_was_asked_meanwhile_is_one_batch(tmp_path: Path) -> None:
    detector = resolve_detector(f"onnx:{tiny_detector(tmp_path)}")
    pictures = [np.full((64, 48, 3), i, np.uint8) for i in range(10)]

    async def ask(actor: GpuDetector) -> list[Any]:
        return await asyncio.gather(*(actor.detect(pictures[: n + 1]) for n in range(5)))

    actor = GpuDetector(detector, None)
    answers = asyncio.run(ask(actor))
    assert [len(answer) for answer in answers] == [1, 2, 3, 4, 5]
    assert all(len(people) == 1 for answer in answers for people in answer)
    assert sum(actor.batches) == 15 and len(actor.batches) < 5


def test_weights_travel_to_machines_that_lack_them(tmp_path: Path) -> None:
    detector = resolve_detector(f"onnx:{tiny_detector(tmp_path)}")
    assert detector.path is not None
    weights = detector.path.read_bytes()
    assert with_weights_here(detector, weights) == detector
    elsewhere = ResolvedDetector(detector.info, tmp_path / "not" / "here.onnx", detector.long_side)
    here = with_weights_here(elsewhere, weights)
    assert here.path is not None and here.path.read_bytes() == weights
