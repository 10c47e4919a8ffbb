"""What a person can set for ``collect``, ``refresh`` and ``download``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tiktokactions.collection.ledger import REQUESTS_A_DAY
from tiktokactions.collection.rows import AiLabelled
from tiktokactions.errors import UsageError
from tiktokactions.options import check_bounds, option


class PlanError(UsageError):
    """This cannot be collected; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """Options of ``collect run`` and ``collect plan``; the defaults are the paper's 900 videos a hashtag."""

    per_hashtag: int = option(900, "collection", "videos wanted for each hashtag", metavar="N", least=1)
    start: date | None = option(None, "collection", "first day (default: a year)", flag="from", metavar="DAY")
    end: date | None = option(None, "collection", "last day (default: 3 days ago)", flag="to", metavar="DAY")
    region: tuple[str, ...] = option(
        (), "collection", "only accounts registered in these countries, such as US GB", metavar="CODE"
    )
    random: bool | None = option(
        None, "collection", "draw every window at random (default), or take its newest videos first"
    )
    everything: bool = option(False, "collection", "take every video of the period, with as few requests as can be")
    windows: int | None = option(
        None, "collection", "windows of a hashtag (default: one for every 50 videos)", metavar="N", least=1
    )
    seed: int = option(0, "collection", "seed of the windows and of the choice among videos", metavar="N")
    hash_creators: bool = option(False, "collection", "store creators' names hashed with a local salt")
    requests_a_day: int = option(REQUESTS_A_DAY, "api", "the account's quota of requests", metavar="N", least=1)
    budget: int | None = option(None, "api", "the most requests to send in this run", metavar="N", least=0)
    wait: bool = option(False, "api", "sleep until the quota is renewed instead of stopping")
    credentials: str | None = option(None, "api", "a file of mode 600 with the key and the secret", metavar="FILE")
    sandbox: bool = option(False, "api", "rehearse with a local server and made-up videos; needs no key")
    speed: float = option(1.0, "api", "divide every wait by this; only for a server on this machine", least=1)

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.everything and (self.random or self.windows is not None):
            raise PlanError(
                "`everything`: leaves nothing to draw and no windows to choose; leave out `random` and `windows`"
            )
        for region in self.region:
            if len(region) != 2 or not region.isalpha() or not region.isupper():
                raise PlanError(f"`region`: got {region!r}, expected two capital letters such as US")


@dataclass(frozen=True)
class FetchOptions:
    """How one video is fetched."""

    pause_s: float = option(
        2.0, "run", "shortest pause of a worker between two videos; the longest is three times as long", least=0
    )
    rate_mb_s: float | None = option(
        None, "run", "the most megabytes per second for each worker", metavar="MB", least=0
    )
    cookies: str | None = option(
        None,
        "run",
        "a file of cookies for posts that need a login (only read); you may lose that account",
        metavar="FILE",
    )
    cookies_from_browser: str | None = option(
        None, "run", "the browser to take cookies from, such as firefox or chrome:PROFILE", metavar="BROWSER"
    )
    impersonate: str | None = option(
        None, "run", "the browser to look like, such as chrome or safari (needs curl_cffi)", metavar="CLIENT"
    )
    proxy: str | None = option(None, "run", "address of a proxy, such as socks5://127.0.0.1:1080", metavar="URL")
    user_agent: str | None = option(None, "run", "the User-Agent to send", metavar="TEXT")


@dataclass(frozen=True)
class DownloadOptions(FetchOptions):
    """Every option of ``download`` besides its inputs."""

    limit: int | None = option(None, "run", "the most videos to try in this run", metavar="N", least=1)
    max_gb: float | None = option(None, "run", "stop when the collection's media take this much", least=0)
    workers: int = option(2, "run", "downloads at a time", metavar="N", least=1)
    ai_labelled: AiLabelled = option(
        "keep",
        "run",
        "videos with the platform's label for AI-generated content: take them too, leave them out, or only them",
    )
    from_folder: str | None = option(
        None, "run", "take files named by id from this folder instead of downloading", metavar="FOLDER"
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.cookies is not None and not Path(self.cookies).is_file():
            raise UsageError(f"`cookies` {self.cookies}: no such file")
        if self.from_folder is not None and not Path(self.from_folder).is_dir():
            raise UsageError(f"`from_folder` {self.from_folder}: no such folder")
