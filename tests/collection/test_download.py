"""Downloading: opt-in, classified failures, resumable, capped; by yt-dlp itself from a server on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tiktokactions as api
from tests.collection.media_server import MediaServer
from tests.made_videos import numbered_frames, write_video
from tiktokactions import cli
from tiktokactions.collection import download as room
from tiktokactions.collection import fetch as fetch_room
from tiktokactions.collection.failures import classify
from tiktokactions.collection.fetch import FORMAT, FORMAT_SORT, address_of, settings
from tiktokactions.collection.options import FetchOptions
from tiktokactions.collection.store import Collection
from tiktokactions.curation.sources import list_videos

pytest.importorskip("yt_dlp", reason="needs the extra 'download'")
IDS = [f"73000000000000000{n:02d}" for n in range(1, 7)]
FAST: dict[str, Any] = {"pause_s": 0.0, "workers": 2}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = write_video(tmp_path_factory.mktemp("video") / "v.mp4", numbered_frames(120, 96, 160))
    return path.read_bytes()


@pytest.fixture
def server(video: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[MediaServer]:
    with MediaServer(video).running() as server:
        monkeypatch.setenv("TIKTOKACTIONS_DOWNLOAD_URL", server.pattern)
        monkeypatch.delenv("TIKTOKACTIONS_OFFLINE", raising=False)
        yield server


def make_collection(folder: Path, ids: list[str] = IDS, **more: Any) -> Path:
    lines = [
        {"id": i, "hashtag_names": ["waltz", "fyp"], "username": f"user{i[-2:]}", "create_time": 1_700_000_000} | more
        for i in ids
    ]
    (folder / "videos.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    api.collect_import(folder / "videos.jsonl", folder / "collection")
    return folder / "collection"


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    return make_collection(tmp_path)


def states(collection: Path) -> dict[str, tuple[str, str]]:
    with Collection(collection) as opened:
        return {i: (s, k) for i, s, k in opened.database.execute("SELECT video_id, state, class FROM downloads")}


# --- what failures mean ---------------------------------------------------------------------------------------------

ERROR = "ERROR: [TikTok] 7300000000000000001: "


@pytest.mark.parametrize(
    ("text", "verdict", "kind"),
    [
        (ERROR + "Your IP address is blocked from accessing this post", "doubtful", "unavailable"),
        (ERROR + "Video not available, status code 10231", "permanent", "deleted"),
        (ERROR + "Video not available, status code 10204", "doubtful", "unavailable"),
        (
            ERROR + "You do not have permission to view this post. Log into an account that has access",
            "permanent",
            "private",
        ),
        (ERROR + "This post may not be comfortable for some audiences. Log in for access", "permanent", "age"),
        ("ERROR: Unsupported URL: https://www.tiktok.com/@_/photo/7300000000000000001", "permanent", "photo"),
        (ERROR + "TikTok is requiring login for access to this content", "blocked", "block"),
        (ERROR + "Unable to extract universal data for rehydration", "blocked", "extractor"),
        (ERROR + "Unexpected response from webpage request", "blocked", "extractor"),
        (ERROR + "Unable to solve JS challenge", "blocked", "extractor"),
        ("ERROR: unable to download video data: HTTP Error 403: Forbidden", "blocked", "block"),
        ("ERROR: unable to download video data: HTTP Error 429: Too Many Requests", "blocked", "rate limit"),
        ("ERROR: unable to download video data: HTTP Error 502: Bad Gateway", "retry", "network"),
        ("ERROR: unable to download video data: HTTP Error 404: Not Found", "retry", "format"),
        ("ERROR: Did not get any data blocks", "retry", "network"),
        ("ERROR: [TikTok] Unable to download webpage: The read operation timed out", "retry", "network"),
        ("ERROR: Unable to download webpage: Failed to resolve 'www.tiktok.com'", "retry", "network"),
        (ERROR + "Requested format is not available", "retry", "format"),
        (ERROR + "No video formats found!", "retry", "format"),
        (ERROR + "Video not available, status code 0", "retry", "unknown"),
        ("ERROR: No working app info is available", "stop", "set-up"),
        ("[Errno 28] No space left on device", "stop", "disk"),
        ("something nobody has seen", "retry", "unknown"),
    ],
)
def test_failures_are_classed(text: str, verdict: str, kind: str) -> None:
    assert (classify(text).verdict, classify(text).kind) == (verdict, kind)


def test_portrait_videos_get_the_right_format(tmp_path: Path) -> None:
    """yt-dlp's own selection on a list as TikTok gives it."""
    import yt_dlp

    def made(name: str, codec: str, width: int, height: int, **more: Any) -> dict[str, Any]:
        plain = {"format_id": name, "vcodec": codec, "acodec": "aac", "width": width, "height": height, "ext": "mp4"}
        return plain | {"url": f"http://127.0.0.1/{name}", "protocol": "http"} | more

    formats = [
        made("h264_540p", "h264", 576, 1024),
        made("h264_720p", "h264", 720, 1280),
        made("bytevc1_1080p", "h265", 1080, 1920),
        made("download", "h264", 720, 1280, preference=-2, format_note="watermarked"),
        made("audio", "none", 0, 0, ext="m4a"),
    ]

    def chosen(formats: list[dict[str, Any]]) -> str:
        with yt_dlp.YoutubeDL(settings(tmp_path, FetchOptions()) | {"simulate": True}) as downloader:
            info = {"id": "1", "title": "t", "extractor": "x", "extractor_key": "X", "webpage_url": "http://127.0.0.1/"}
            return str(downloader.process_video_result(info | {"formats": formats}, download=False)["format_id"])

    assert chosen(formats) == "h264_720p"
    assert chosen([formats[2], formats[4]]) == "bytevc1_1080p", "H.265 where there is nothing else"
    with pytest.raises(yt_dlp.utils.YoutubeDLError, match="Requested format is not available"):
        chosen([formats[4]])
    assert (FORMAT, FORMAT_SORT[1]) == ("bv*[vcodec=h264]/bv*", "res:1080")


def test_retries_are_set_because_the_library_has_none(tmp_path: Path) -> None:
    passed: dict[str, Any] = {
        "cookies_from_browser": "firefox:work",
        "proxy": "socks5://127.0.0.1:9",
        "user_agent": "lab",
    }
    found = settings(tmp_path, FetchOptions(rate_mb_s=2.0, **passed))
    assert found["retries"] and found["fragment_retries"] and found["extractor_retries"] and not found["cachedir"]
    assert (found["ratelimit"], found["proxy"]) == (2e6, "socks5://127.0.0.1:9")
    assert found["cookiesfrombrowser"] == ("firefox", "work", None, None)
    assert found["http_headers"] == {"User-Agent": "lab"}


@pytest.mark.parametrize("pattern", ["http://example.org/{id}", "ftp://127.0.0.2/{id}"])
def test_no_plain_http_to_elsewhere(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKACTIONS_DOWNLOAD_URL", pattern)
    with pytest.raises(ValueError, match="expected https"):
        address_of("1")


# --- opt-in ---------------------------------------------------------------------------------------------------------


def test_it_says_what_the_terms_say_and_asks_once(
    collection: Path, server: MediaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["download", str(collection), "--pause-s", "0"]
    assert cli.main(arguments) == 2
    told = capsys.readouterr().err
    assert "forbid extracting content with automated software" in told and "--i-am-entitled" in told
    assert not server.asked
    assert cli.main([*arguments, "--limit", "1", "--i-am-entitled"]) == 1  # the limit stops it
    assert cli.main([*arguments, "--json"]) == 0, "said once is enough"
    with Collection(collection) as opened:
        assert opened.setting("entitled")["at"].startswith("20")


def test_a_closed_net_is_said(collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKACTIONS_OFFLINE", "1")
    with pytest.raises(api.UsageError, match="TIKTOKACTIONS_OFFLINE=1 forbids"):
        api.download(collection, entitled=True)


# --- downloading ----------------------------------------------------------------------------------------------------


def test_all_videos_arrive_once(collection: Path, server: MediaServer, video: bytes) -> None:
    result = api.download(collection, entitled=True, **FAST)
    assert (result.downloaded, result.permanent, result.retry, result.stopped) == (6, 0, 0, "")
    for video_id in IDS:
        assert (collection / "media" / f"{video_id}.mp4").read_bytes() == video
        sidecar = json.loads((collection / "media" / f"{video_id}.json").read_text())
        assert sidecar["id"] == video_id and sidecar["labels"] == ["waltz", "fyp"]
    asked = dict(server.asked)
    again = api.download(collection, **FAST)
    assert (again.downloaded, again.states) == (0, {"done": 6}) and dict(server.asked) == asked
    (collection / "media" / f"{IDS[0]}.mp4").unlink()
    assert api.download(collection, **FAST).downloaded == 1, "a file that went missing is fetched again"


def test_every_kind_of_failure_has_its_row(
    collection: Path, server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tiktokactions.collection.fetch.LARGEST_BYTES", 8 * len(server.video))  # type: ignore[arg-type]
    server.ways = dict(zip(IDS, ["endless", "500 once", "404", "junk", "cut", "ok"], strict=True))
    result = api.download(collection, entitled=True, **FAST)
    found = states(collection)
    assert (result.permanent, found[IDS[0]]) == (1, ("permanent", "too large"))
    assert result.downloaded == 2 and found[IDS[1]] == found[IDS[5]] == ("done", "")
    assert {found[i][0] for i in IDS[2:5]} == {"retry"} and result.retry == 3
    assert not list((collection / "media").rglob("*.part")) and len(list((collection / "media").glob("*.mp4"))) == 2
    server.ways = {}
    assert api.download(collection, **FAST).downloaded == 3


def failing(texts: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = room.Fetcher.fetch

    def fetch(fetcher: Any, video_id: str, *rest: Any) -> Any:
        if video_id in texts:
            raise room.FetchError(texts[video_id])
        return real(fetcher, video_id, *rest)

    monkeypatch.setattr(room.Fetcher, "fetch", fetch)


def test_a_blocked_address_is_not_deleted(
    collection: Path, server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing({IDS[1]: ERROR + "Your IP address is blocked from accessing this post"}, monkeypatch)
    result = api.download(collection, entitled=True, **FAST)
    assert (result.downloaded, result.permanent, result.retry) == (5, 0, 1)
    assert states(collection)[IDS[1]] == ("retry", "unavailable")
    for video_id in (IDS[0], IDS[2]):  # in each of two more runs, another video can be had
        (collection / "media" / f"{video_id}.mp4").unlink()
        result = api.download(collection, **FAST)
    assert states(collection)[IDS[1]] == ("permanent", "unavailable") and result.permanent == 1


@pytest.mark.parametrize(
    "text",
    ["the server sent a web page instead of a video", "Unable to download webpage: Failed to resolve 'www.tiktok.com'"],
)
def test_a_run_in_which_everything_fails_stops(
    tmp_path: Path, server: MediaServer, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    ids = [f"74000000000000000{n:02d}" for n in range(40)]
    collection = make_collection(tmp_path, ids)
    failing(dict.fromkeys(ids, text), monkeypatch)
    result = api.download(collection, entitled=True, **FAST)
    assert "in a row" in result.stopped and result.permanent == 0 and len(states(collection)) <= room.BREAKER + 2


def test_it_is_slower_after_429(collection: Path, server: MediaServer, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    real = room.Fetcher.fetch

    def fetch(fetcher: Any, video_id: str, expected_s: float | None, pause_s: float) -> Any:
        pauses.append(pause_s)
        if len(pauses) in (2, 3):
            raise room.FetchError("ERROR: unable to download video data: HTTP Error 429: Too Many Requests")
        return real(fetcher, video_id, expected_s, 0.0)

    monkeypatch.setattr(room.Fetcher, "fetch", fetch)
    result = api.download(collection, entitled=True, pause_s=0.0, workers=1)
    assert result.downloaded == 6 and pauses[:2] == [0.0, 0.0]
    assert 0 < pauses[2] < pauses[3] > pauses[4], "longer with each 429, shorter again after a success"
    assert pauses[-1] == 0.0


def test_cookies_are_only_read_and_each_worker_has_its_own(tmp_path: Path, server: MediaServer) -> None:
    ids = [f"74000000000000000{n:02d}" for n in range(12)]
    collection = make_collection(tmp_path, ids)
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tmine\n")
    before = (cookies.read_bytes(), cookies.stat().st_mtime_ns)
    result = api.download(collection, entitled=True, pause_s=0.0, workers=4, cookies=str(cookies))
    assert result.downloaded == 12 and (cookies.read_bytes(), cookies.stat().st_mtime_ns) == before


def test_temporary_files_do_not_nest_and_are_cleaned(
    collection: Path, server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    nested = collection / "media" / collection.name / "media" / ".unfinished"  # as earlier versions left it
    nested.mkdir(parents=True)
    (nested / "1.mp4.part").write_bytes(b"x")
    monkeypatch.chdir(collection.parent)
    api.download(collection.name, entitled=True, **FAST)
    assert not [path for path in (collection / "media").rglob("*") if path.is_dir()]


def test_videos_with_the_ai_label_are_told_and_left_out(tmp_path: Path, server: MediaServer) -> None:
    collection = make_collection(tmp_path)
    tags = [{"type": "AIGC Type", "number": 1}, {"video_tag_type": "AIGC Type", "video_tag_number": 2}, {"number": 0}]
    lines = [{"id": i, "hashtag_names": ["waltz"], "video_tag": tag} for i, tag in zip(IDS, tags, strict=False)]
    (tmp_path / "more.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    api.collect_import(tmp_path / "more.jsonl", collection)
    assert api.collect_status(collection).ai_labelled == 2
    assert [api.collect_export(collection, tmp_path / "o", ai_labelled=how) for how in ("keep", "drop", "only")] == [
        6,
        4,
        2,
    ]
    result = api.download(collection, entitled=True, ai_labelled="only", **FAST)
    told = [json.loads((collection / "media" / f"{i}.json").read_text())["ai_label"] for i in IDS[:2]]
    assert result.downloaded == 2 and told == ["AIGC Type 1", "AIGC Type 2"]


def test_warnings_of_the_library_are_told_once() -> None:
    told: list[str] = []
    logger = fetch_room._Logger(told.append)
    for video_id in IDS:
        logger.warning(f"WARNING: [TikTok] {video_id}: The extractor is attempting impersonation https://a.b/c?token=1")
    assert told == ["[TikTok] The extractor is attempting impersonation https://a.b/c"]


def test_options_that_the_library_does_not_take_are_a_mistake_of_the_user(
    collection: Path, server: MediaServer
) -> None:
    with pytest.raises(api.UsageError, match="yt-dlp does not take"):
        api.download(collection, entitled=True, impersonate="netscape-1", **FAST)


def test_blocked_many_times_in_a_row_stops_and_gives_nothing_up(
    tmp_path: Path, server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"74000000000000000{n:02d}" for n in range(30)]
    collection = make_collection(tmp_path, ids)
    failing(dict.fromkeys(ids, ERROR + "Your IP address is blocked from accessing this post"), monkeypatch)
    result = api.download(collection, entitled=True, **FAST)
    assert "look like a block" in result.stopped and result.permanent == 0
    assert room.BREAKER <= len(states(collection)) <= room.BREAKER + FAST["workers"]
    assert {state for state, _ in states(collection).values()} == {"retry"}


def test_a_broken_set_up_stops_at_once(collection: Path, server: MediaServer, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(dict.fromkeys(IDS, "ERROR: No working app info is available"), monkeypatch)
    result = api.download(collection, entitled=True, **FAST)
    assert result.stopped.startswith("set-up") and len(states(collection)) <= 3


def test_the_disk_cap(collection: Path, server: MediaServer, video: bytes) -> None:
    cap = 2.5 * len(video) / 1e9
    result = api.download(collection, entitled=True, max_gb=cap, pause_s=0.0, workers=1)
    assert result.downloaded == 3 and "the cap is" in result.stopped


def test_a_file_that_is_too_short_is_fetched_again(tmp_path: Path, server: MediaServer) -> None:
    collection = make_collection(tmp_path, IDS[:1], video_duration=60)
    result = api.download(collection, entitled=True, **FAST)
    assert (result.downloaded, result.kinds) == (0, {"damaged": 1})
    assert server.asked[IDS[0]] >= room.MOST_ATTEMPTS and not list((collection / "media").glob("*.mp4"))


def test_a_folder_of_files_is_picked_up_without_a_request(
    collection: Path, server: MediaServer, tmp_path: Path, video: bytes
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / f"{IDS[0]}.mp4").write_bytes(video)
    (mine / "stranger.mp4").write_bytes(video)
    (mine / f"Waltz [{IDS[1]}].mp4").write_bytes(video)
    (mine / f"Waltz [{IDS[1]}].jpg").write_bytes(b"cover")
    (mine / "untitled.mp4").write_bytes(video)
    (mine / "untitled.info.json").write_text(json.dumps({"id": IDS[2], "extractor": "TikTok"}))
    result = api.download(collection, from_folder=str(mine))
    assert (result.picked_up, result.downloaded) == (3, 0) and not server.asked
    assert (mine / f"{IDS[0]}.mp4").is_file()
    (collection / "media").mkdir(exist_ok=True)
    (collection / "media" / f"{IDS[0]}.json").write_text("{}")  # as earlier versions left one
    assert {video.about.id for video in list_videos([str(collection)])} == set(IDS[:3]), "a sidecar counts as a video"
    assert api.download(collection, from_folder=str(mine)).picked_up == 0


def test_removed_videos_are_never_fetched(collection: Path, server: MediaServer) -> None:
    with Collection(collection) as opened:
        opened.database.execute("INSERT INTO removed VALUES(?,?,?)", (IDS[0], "2026-01-01", "asked for"))
    assert api.download(collection, entitled=True, **FAST).downloaded == 5
    assert IDS[0] not in server.asked


def test_killed_half_way_it_goes_on(collection: Path, server: MediaServer, tmp_path: Path, video: bytes) -> None:
    server.ways = dict.fromkeys(IDS, "slow")
    server.slow_s = 0.4
    arguments = ["download", str(collection), "--i-am-entitled", "--pause-s", "0", "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tiktokactions", *arguments], env=os.environ, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while len(list((collection / "media").glob("*.mp4"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    server.ways = {}
    result = api.download(collection, **FAST)
    assert result.states == {"done": 6} and result.downloaded <= 4
    for video_id in IDS:
        assert (collection / "media" / f"{video_id}.mp4").read_bytes() == video


# --- and curating ---------------------------------------------------------------------------------------------------


def test_a_collection_is_curated_with_what_is_known(collection: Path, server: MediaServer, tmp_path: Path) -> None:
    api.download(collection, entitled=True, limit=2, **FAST)
    plain: dict[str, Any] = {"detector": "none", "min_person_frames": 0, "keep_duplicates": True}
    result = api.curate(collection, tmp_path / "data", **plain).last_run
    assert result.videos == 1, "identical bytes are one video"
    [path] = (tmp_path / "data").glob("records/*/*.json")
    record = json.loads(path.read_bytes())
    assert record["video_id"] == IDS[0] and record["labels"] == ["waltz", "fyp"]
    assert record["source"]["creator"] == "user01" and record["source"]["copies"]


def test_curated_on_arrival_no_raw_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = make_collection(tmp_path, IDS[:3])
    mine = tmp_path / "mine"
    for number, video_id in enumerate(IDS[:3]):
        write_video(mine / f"{video_id}.mp4", numbered_frames(120, 96, 160, first=900 * number))
    with MediaServer(b"").running() as server:
        monkeypatch.setenv("TIKTOKACTIONS_DOWNLOAD_URL", server.pattern)
        monkeypatch.delenv("TIKTOKACTIONS_OFFLINE", raising=False)

        def fetch(fetcher: Any, video_id: str, *rest: Any) -> Any:
            path = fetcher.folder / f"{video_id}.mp4"
            path.write_bytes((mine / path.name).read_bytes())
            return room.Fetched(path, path.stat().st_size, "test")

        monkeypatch.setattr(room.Fetcher, "fetch", fetch)
        options: dict[str, Any] = {"detector": "none", "min_person_frames": 0, "keep_duplicates": True, **FAST}
        data = tmp_path / "data"
        result = api.download(collection, entitled=True, curate_into=data, delete_raw=True, **options)
    assert result.curated is not None and (result.curated.accepted, result.states) == (3, {"curated": 3})
    assert not [p for p in (collection / "media").rglob("*") if p.is_file()]
    assert len(list(data.glob("clips/*/*.mp4"))) == 3
    again = api.download(collection, curate_into=data, delete_raw=True, **options)
    assert (again.downloaded, again.curated and again.curated.curated) == (0, 0)


def test_delete_raw_needs_a_dataset(collection: Path) -> None:
    with pytest.raises(api.UsageError, match="`delete_raw` needs `curate_into`"):
        api.download(collection, entitled=True, delete_raw=True)
