"""``release --push``: what lies on the hub is the release, whenever it was killed, and ``datasets`` opens it from there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tiktokactions as ta
from tests import hub as hubs
from tests.releases.conftest import ROWS
from tests.releases.test_release import SIDES, WHO, names_in, opened_by_datasets
from tiktokactions import cli
from tiktokactions.releases.hub import push_release
from tiktokactions.releases.release import REMEMBERED

huggingface_hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
hub_utils = pytest.importorskip("huggingface_hub.utils")

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # of the client about itself
NAME = "ann/actions"
GONE = "7300000000000000003"


@pytest.fixture(scope="module")
def data(five_clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("pushed") / "data"
    return Path(shutil.copytree(five_clips, data, ignore=shutil.ignore_patterns(REMEMBERED, "exports.json")))


@pytest.fixture(scope="module")
def out(data: Path) -> Path:
    """A finished release with a file of its owner's in it."""
    ta.release(data, data.parent / "out", **WHO)
    (data.parent / "out" / "my notes [1].txt").write_text("not for others")
    return data.parent / "out"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[hubs.Hub]:
    """A hub, which this process takes for the real one. It sends large files by LFS; Xet has threads that outlive a test."""
    with hubs.running_hub() as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_writer")
        hub_utils.disable_progress_bars()  # other libraries turn them on
        yield running


def environment(hub: hubs.Hub, home: Path, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return clean | {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_writer", "HF_HOME": str(home)} | more


def on_hub(hub: hubs.Hub) -> dict[str, str]:
    """SHA-256 of every file there, but for what the hub itself put there."""
    files = hub.repositories[NAME].files
    return {path: hashlib.sha256(f.data).hexdigest() for path, f in files.items() if path != ".gitattributes"}


def in_release(out: Path) -> dict[str, str]:
    return {
        p: hashlib.sha256((out / p).read_bytes()).hexdigest() for p in names_in(out) if not p.startswith("my notes")
    }


def test_what_lies_on_the_hub_is_the_release(hub: hubs.Hub, out: Path) -> None:
    push_release(out, NAME, private=True, gated=True)
    assert on_hub(hub) == in_release(out)
    assert hub.repositories[NAME].settings == {"private": True, "gated": "manual"}
    gate, card, clip = (next(n for n, line in enumerate(hub.asked) if part in line) for part in
                        ("/settings", "/commit/", "PUT /lfs/"))  # fmt: skip
    first = hub.repositories[NAME].commits[1][1]
    assert gate < card < clip and set(first) == {".gitattributes", "README.md", "release.json"}
    commits = len(hub.repositories[NAME].commits)
    hub.asked.clear()
    push_release(out, NAME, private=False, gated=False)
    assert len(hub.repositories[NAME].commits) == commits and not hub.count("PUT /lfs/"), "nothing is sent again"
    assert hub.repositories[NAME].settings == {"private": True, "gated": "manual"}, "not opened by a later push"


LFS, XET = {"HF_HUB_DISABLE_XET": "1"}, {"HF_HUB_DISABLE_XET": "0"}
PUSH = """
import sys; from pathlib import Path; from tiktokactions.releases.hub import push_release
push_release(Path(sys.argv[1]), sys.argv[2], private=True, gated=True)
"""


@pytest.mark.parametrize(
    ("kind", "moments"),
    [
        pytest.param(LFS, ["PUT /lfs/ 2"], id="LFS"),
        pytest.param(
            LFS,
            [
                "/create 1",
                "/settings 1",
                "/tree/ 1",
                "/preupload/ 2",
                "/commit/ 1",
                "PUT /lfs/ 1",
                "PUT /lfs/ 6",
                "/commit/ 2",
            ],
            id="LFS, anywhere",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            XET, ["/preupload/ 2", "/v1/xorbs/ 1", "/shards 1", "/commit/ 2"], id="Xet", marks=pytest.mark.slow
        ),
    ],
)
def test_a_killed_push_goes_on(
    hub: hubs.Hub, out: Path, tmp_path: Path, kind: dict[str, str], moments: list[str]
) -> None:
    """SIGKILL before a request is answered; then the same again."""
    push = [sys.executable, "-c", PUSH, str(out), NAME]
    for moment in moments:
        part, _, number = moment.rpartition(" ")
        for held in (hub.repositories, hub.objects, hub.xorbs, hub.asked):
            held.clear()
        env = environment(hub, tmp_path / part.replace("/", "-") / number, **kind)
        process = subprocess.Popen(push, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        def kill(line: str, part: str = part, number: int = int(number), process: Any = process) -> None:
            if part in line and hub.count(part) == number:
                process.kill()
                process.wait()

        hub.before = kill
        _, said = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, (moment, said)
        hub.before = lambda line: None
        subprocess.run(push, env=env, check=True, capture_output=True, timeout=120)
        assert on_hub(hub) == in_release(out), moment
        uploads = [line for line in hub.asked if line.startswith("PUT /lfs/")]
        assert len(uploads) <= len(set(uploads)) + 5, "only what five threads were about to send is sent again"


@pytest.mark.parametrize("kind", [pytest.param(LFS, id="LFS"), pytest.param(XET, id="Xet", marks=pytest.mark.slow)])
def test_it_is_opened_from_the_hub(hub: hubs.Hub, out: Path, tmp_path: Path, kind: dict[str, str]) -> None:
    """Private and gated, as its owner sees it; a clip is decoded only where torchcodec finds FFmpeg's libraries."""
    pytest.importorskip("datasets")
    push = [sys.executable, "-c", PUSH, str(out), NAME]
    subprocess.run(push, env=environment(hub, tmp_path, **kind), check=True, capture_output=True)
    found = opened_by_datasets(NAME, tmp_path, **environment(hub, tmp_path))
    assert {video_id: side for video_id, (side, *_) in found.items()} == SIDES
    assert all(said == got == same for _, _, said, got, same in found.values())
    assert len(found) == len(ROWS) - 1


@pytest.mark.parametrize(
    ("name", "token", "refuse", "code", "said"),
    [
        ("actions", "hf_writer", None, 2, "--push: got 'actions', expected user/name"),
        ("a/b/c", "hf_writer", None, 2, "--push: got 'a/b/c', expected user/name"),
        (NAME, "", None, 2, "no token of the hub; sign in with 'hf auth login'"),
        (NAME, "hf_other", None, 2, "401, Invalid credentials in Authorization header: the hub does not know your token"),
        (NAME, "hf_reader", None, 2, "403, You don't have the rights"),
        ("else/actions", "hf_writer", None, 2, "your token may not write there"),
        (NAME, "hf_writer", ("/tree/", 404), 2, "404, refused on purpose: there is no such user or data set"),
        (NAME, "hf_writer", ("/commit/", 409), 2, "409, refused on purpose: somebody else changed it"),
        (NAME, "hf_writer", ("PUT /lfs/", 403), 2, "403, refused on purpose"),
        (NAME, "hf_writer", ("/create", 500), 1, "500, refused on purpose; run the same command again later"),
        (NAME, "hf_writer", ("", 0), 1, "the hub cannot be reached"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_goes_wrong_is_told_in_one_line(
    hub: hubs.Hub, data: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    name: str, token: str, refuse: tuple[str, int] | None, code: int, said: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_TOKEN", token)
    hub.refuse = refuse
    if refuse and not refuse[1]:
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert cli.main(["release", str(data), "-o", str(out), "--push", name]) == code
    lines = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("warning")]
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: --push: ") and said in lines[0]


def test_what_no_release_wrote_is_left_alone(hub: hubs.Hub, out: Path) -> None:
    api = huggingface_hub.HfApi()
    api.create_repo(NAME, repo_type="dataset")
    api.upload_file(repo_id=NAME, repo_type="dataset", path_or_fileobj=b"mine", path_in_repo="mine.txt")
    with pytest.raises(ta.UsageError, match="holds files that no release wrote"):
        push_release(out, NAME, private=False, gated=True)
    assert set(hub.repositories[NAME].files) == {".gitattributes", "mine.txt"} and not hub.count("/settings")


def test_what_is_not_there_afterwards_is_told(hub: hubs.Hub, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", lambda self, **told: None)
    with pytest.raises(ta.files.StoreError, match=r"has not taken 1\d files, such as .*; run the same command again"):
        push_release(out, NAME, private=False, gated=False)


@pytest.mark.usefixtures("sources_stay")
def test_a_take_down_reaches_the_hub_with_the_next_push(
    hub: hubs.Hub, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns(REMEMBERED))
    command = ["release", str(copy), "-o", str(tmp_path / "out"), "--push", NAME, "--terms", "Be kind"]
    assert cli.main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pushed"] == f"{hub.url}/datasets/{NAME}"
    api = huggingface_hub.HfApi()
    api.upload_file(repo_id=NAME, repo_type="dataset", path_or_fileobj=b"mine", path_in_repo="mine.txt")
    assert any(GONE in path for path in hub.repositories[NAME].files)
    assert cli.main(["refresh", str(copy), "--remove", GONE]) == 1
    assert f"goes with the next 'release' with --push: {NAME}" in capsys.readouterr().err
    assert cli.main(command) == 1
    assert "gone from ann/actions, but not from its earlier commits" in capsys.readouterr().err
    assert not any(GONE in path for path in hub.repositories[NAME].files)
    assert on_hub(hub) == in_release(tmp_path / "out") | {"mine.txt": hashlib.sha256(b"mine").hexdigest()}
    assert (
        b'extra_gated_prompt: "Be kind"\nextra_gated_fields:\n  "Name": text'
        in hub.repositories[NAME].files["README.md"].data
    )
