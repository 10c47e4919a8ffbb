"""A hub on loopback, as ``huggingface_hub`` and ``datasets`` know it: data sets with commits and settings, LFS and Xet.

It answers as huggingface.co does: status codes, ``X-Error-Code``, ETags, ranges, pages, redirects of large files.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGE = re.compile(r"\.(mp4|parquet|png|jpg|tar|bin)$")
"""As in the ``.gitattributes`` of a new data set there: these go to LFS."""
PAGE = 4
"""Entries on a page of a listing; there they are 1,000."""


@dataclass(frozen=True)
class Blob:
    data: bytes
    is_large: bool

    @property
    def oid(self) -> str:
        """What ``preupload`` and ETags call it: SHA-256 of large files, git's SHA-1 of others."""
        if self.is_large:
            return hashlib.sha256(self.data).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()


@dataclass
class Repository:
    settings: dict[str, Any]
    commits: list[tuple[str, dict[str, Blob]]] = field(default_factory=list)
    """Ids, with all files after each."""

    @property
    def files(self) -> dict[str, Blob]:
        return self.commits[-1][1]

    def commit(self, files: dict[str, Blob]) -> str:
        told = json.dumps([len(self.commits), sorted((path, blob.oid) for path, blob in files.items())])
        self.commits.append((hashlib.sha1(told.encode()).hexdigest(), files))
        return self.commits[-1][0]

    def at(self, revision: str) -> tuple[str, dict[str, Blob]] | None:
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)


@dataclass
class Hub:
    """The server: its address, who may write, what it holds and what it was asked."""

    url: str = ""
    users: dict[str, str] = field(default_factory=lambda: {"hf_writer": "ann", "hf_reader": "bob"})
    """Names by token; the token ``hf_reader`` may not write anything."""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    """What LFS holds, by SHA-256."""
    xorbs: dict[str, list[bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """``METHOD path``, in order."""
    refuse: tuple[str, int] | None = None
    """A part of ``METHOD path``, and the status with which such requests are refused."""
    before: Callable[[str], None] = lambda line: None
    """Called before a request is carried out."""
    lock: Any = field(default_factory=threading.Lock)

    @property
    def other_host(self) -> str:
        """Where large files lie; the client follows other redirects by itself, and keeps what this one says."""
        return self.url.replace("127.0.0.1", "localhost")

    def count(self, *parts: str) -> int:
        """Requests whose ``METHOD path`` has all these parts."""
        return sum(all(part in line for part in parts) for line in self.asked)


class RefusedError(Exception):
    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


NAME = r"(?P<name>[^/]+/[^/]+?)"
ROUTES = {
    "create": r"POST /api/repos/create",
    "whoami": r"GET /api/whoami-v2",
    "validate": r"POST /api/validate-yaml",
    "settings": rf"PUT /api/datasets/{NAME}/settings",
    "preupload": rf"POST /api/datasets/{NAME}/preupload/(?P<revision>[^/]+)",
    "commit": rf"POST /api/datasets/{NAME}/commit/(?P<revision>[^/]+)",
    "paths_info": rf"POST /api/datasets/{NAME}/paths-info/(?P<revision>[^/]+)",
    "tree": rf"GET /api/datasets/{NAME}/tree/(?P<revision>[^/]+)(?:/(?P<path>.*))?",
    "info": rf"GET /api/datasets/{NAME}(?:/revision/(?P<revision>[^/]+))?",
    "batch": rf"POST /datasets/{NAME}\.git/info/lfs/objects/batch",
    "upload": r"PUT /lfs/(?P<oid>[0-9a-f]{64})",
    "verify": r"POST /lfs/(?P<oid>[0-9a-f]{64})/verify",
    "xet_token": rf"GET /api/datasets/{NAME}/xet-write-token/(?P<revision>[^/]+)",
    "xorb": r"POST /cas/v1/xorbs/default/(?P<oid>[0-9a-f]{64})",
    "shard": r"POST /cas/(?:v1/)?shards",
    "resolve": rf"(?:GET|HEAD) /datasets/{NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)",
    "large": r"(?:GET|HEAD) /large/(?P<oid>[0-9a-f]{64})",
}


def oid_of(data: bytes) -> str:
    """A hash as Xet writes it: four numbers of 64 bits, little end first."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", data))


def unpacked(data: bytes, kind: int, size: int) -> bytes:
    """LZ4 (1), or LZ4 of bytes that were sorted by their place in groups of four (2)."""
    import pyarrow as pa

    plain = pa.decompress(data, size, codec="lz4", asbytes=True)
    if kind == 1:
        return plain
    parts, rows = [size // 4 + (at < size % 4) for at in range(4)], bytearray(size)
    for at in range(4):
        rows[at::4] = plain[sum(parts[:at]) : sum(parts[: at + 1])]
    return bytes(rows)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *told: Any) -> None:
        pass

    def handle_any(self) -> None:
        address = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(address.query))
        line = f"{self.command} {urllib.parse.unquote(address.path)}"
        self.body = self.read_body()
        with self.hub.lock:
            self.hub.asked.append(line)
            self.hub.before(line)
            try:
                if self.hub.refuse and self.hub.refuse[0] in line:
                    raise RefusedError(self.hub.refuse[1], "refused on purpose")
                for name, route in ROUTES.items():
                    if found := re.fullmatch(route, line):
                        getattr(self, name)(**found.groupdict())
                        return
                raise RefusedError(404, "Sorry, we can't find the page you are looking for.")
            except RefusedError as refused:
                headers = {"X-Error-Message": refused.message}
                headers |= {"X-Error-Code": refused.code} if refused.code else {}
                self.answer({"error": refused.message}, refused.status, headers)

    do_GET = do_POST = do_PUT = do_HEAD = handle_any  # noqa: N815

    def read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, told: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        kind = {} if isinstance(told, bytes) else {"Content-Type": "application/json"}
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | kind | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(OSError):  # a client that was killed
                self.wfile.write(data)

    # --- who asks, and for what

    def user(self) -> str | None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.hub.users:
            raise RefusedError(401, "Invalid credentials in Authorization header")
        return self.hub.users.get(token)

    def writer(self, namespace: str | None) -> str:
        user = self.user()
        if user is None:
            raise RefusedError(401, "Invalid username or password.")
        if self.headers["Authorization"].endswith("hf_reader") or namespace not in (None, user):
            raise RefusedError(403, "You don't have the rights to create or change a dataset under this namespace")
        return user

    def repository(self, name: str, is_written: bool = False) -> Repository:
        found, user = self.hub.repositories.get(name), self.user()
        if found is None or (found.settings["private"] and user != name.partition("/")[0]):
            raise RefusedError(404 if user else 401, "Repository not found", "RepoNotFound")
        if is_written:
            self.writer(name.partition("/")[0])
        return found

    def files(self, name: str, revision: str) -> tuple[str, dict[str, Blob]]:
        repository = self.repository(name)
        if repository.settings["gated"] and self.user() != name.partition("/")[0]:
            raise RefusedError(403 if self.user() else 401, "Access to this dataset is restricted", "GatedRepo")
        found = repository.at(urllib.parse.unquote(revision))
        if found is None:
            raise RefusedError(404, "Invalid rev id", "RevisionNotFound")
        return found

    # --- repositories

    def create(self) -> None:
        asked = json.loads(self.body)
        assert asked["type"] == "dataset"
        user = self.writer(asked.get("organization"))
        name = f"{asked.get('organization') or user}/{asked['name']}"
        url = f"{self.hub.url}/datasets/{name}"
        if name in self.hub.repositories:
            self.answer({"error": "You already created this dataset repo", "url": url}, 409)
            return
        settings = {"private": asked.get("visibility") == "private" or bool(asked.get("private")), "gated": False}
        self.hub.repositories[name] = Repository(settings)
        self.hub.repositories[name].commit({".gitattributes": Blob(b"*.mp4 filter=lfs\n", False)})
        self.answer({"url": url, "name": name, "id": name})

    def whoami(self) -> None:
        if (user := self.user()) is None:
            raise RefusedError(401, "Invalid username or password.")
        self.answer({"type": "user", "name": user, "orgs": []})

    def validate(self) -> None:
        self.answer({"errors": [], "warnings": []})

    def settings(self, name: str) -> None:
        asked = json.loads(self.body)
        changed = {"gated": asked["gated"]} if "gated" in asked else {}
        changed |= {"private": asked["visibility"] == "private"} if "visibility" in asked else {}
        self.repository(name, is_written=True).settings.update(changed)
        self.answer({})

    def info(self, name: str, revision: str | None) -> None:
        repository = self.repository(name)
        found = repository.at(urllib.parse.unquote(revision or "main"))
        if found is None:
            raise RefusedError(404, "Invalid rev id", "RevisionNotFound")
        oid, files = found
        told = {"id": name, "author": name.partition("/")[0], "sha": oid, "tags": [], "downloads": 0, "likes": 0}
        told |= repository.settings | {"disabled": False, "cardData": {}, "siblings": [{"rfilename": f} for f in files]}
        self.answer(told)

    def entries(self, files: dict[str, Blob], folder: str, is_recursive: bool) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for path, blob in sorted(files.items()):
            if folder and not path.startswith(f"{folder}/"):
                continue
            parents = path.split("/")[:-1]
            for depth in range(folder.count("/") + 1 if folder else 0, len(parents)):
                above = "/".join(parents[: depth + 1])
                entry = {"type": "directory", "oid": hashlib.sha1(above.encode()).hexdigest(), "size": 0, "path": above}
                found.setdefault(above, entry)
            found[path] = self.entry(path, blob)
        if is_recursive:
            return list(found.values())
        depth = folder.count("/") + 1 if folder else 0
        return [entry for path, entry in found.items() if path.count("/") == depth]

    def entry(self, path: str, blob: Blob) -> dict[str, Any]:
        lfs = {"oid": blob.oid, "size": len(blob.data), "pointerSize": 130}
        return {"type": "file", "oid": blob.oid[:40], "size": len(blob.data), "path": path} | (
            {"lfs": lfs} if blob.is_large else {}
        )

    def tree(self, name: str, revision: str, path: str | None) -> None:
        _, files = self.files(name, revision)
        entries = self.entries(files, (path or "").strip("/"), self.query.get("recursive", "").lower() in ("true", "1"))
        if path and not entries:
            raise RefusedError(404, f"{path} does not exist", "EntryNotFound")
        first = int(self.query.get("cursor", 0))
        rest = {}
        if first + PAGE < len(entries):
            query = urllib.parse.urlencode(self.query | {"cursor": first + PAGE})
            rest = {"Link": f'<{self.hub.url}{urllib.parse.urlsplit(self.path).path}?{query}>; rel="next"'}
        self.answer(entries[first : first + PAGE], 200, rest)

    def paths_info(self, name: str, revision: str) -> None:
        _, files = self.files(name, revision)
        if self.headers.get("Content-Type", "").startswith("application/json"):
            wanted = json.loads(self.body)["paths"]
        else:
            wanted = urllib.parse.parse_qs(self.body.decode())["paths"]
        every = {entry["path"]: entry for entry in self.entries(files, "", True)}
        self.answer([every[path] for path in wanted if path in every])

    # --- what is written

    def preupload(self, name: str, revision: str) -> None:
        files = self.repository(name, is_written=True).files
        told = []
        for asked in json.loads(self.body)["files"]:
            base64.b64decode(asked["sample"], validate=True)
            mode = "lfs" if LARGE.search(asked["path"]) else "regular"
            known = {"oid": files[asked["path"]].oid} if asked["path"] in files else {}
            told.append({"path": asked["path"], "uploadMode": mode, "shouldIgnore": False} | known)
        self.answer({"files": told})

    def batch(self, name: str) -> None:
        self.repository(name, is_written=True)
        told = []
        for asked in json.loads(self.body)["objects"]:
            entry = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in self.hub.objects:
                href = f"{self.hub.url}/lfs/{asked['oid']}"
                entry["actions"] = {"upload": {"href": href, "header": {}}, "verify": {"href": f"{href}/verify"}}
            told.append(entry)
        self.answer({"transfer": "basic", "objects": told})

    def upload(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise RefusedError(400, "BadDigest")
        self.hub.objects[oid] = self.body
        self.answer(b"")

    def verify(self, oid: str) -> None:
        if len(self.hub.objects.get(oid, b"")) != json.loads(self.body)["size"]:
            raise RefusedError(404, "not uploaded")
        self.answer({})

    def commit(self, name: str, revision: str) -> None:
        repository = self.repository(name, is_written=True)
        assert revision == "main"
        head, *operations = [json.loads(line) for line in self.body.splitlines()]
        assert head["key"] == "header" and head["value"]["summary"]
        files = dict(repository.files)
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "deletedFile":
                if value["path"] not in files:
                    raise RefusedError(404, "A file with this name doesn't exist", "EntryNotFound")
                del files[value["path"]]
            elif operation["key"] == "lfsFile":
                if value["oid"] not in self.hub.objects:
                    raise RefusedError(400, f"LFS pointer pointed to a file that does not exist: {value['oid']}")
                files[value["path"]] = Blob(self.hub.objects[value["oid"]], True)
            else:
                assert operation["key"] == "file" and value["encoding"] == "base64"
                files[value["path"]] = Blob(base64.b64decode(value["content"]), False)
        oid = repository.commit(files)
        told = {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/datasets/{name}/commit/{oid}"}
        self.answer(told | {"hookOutput": "", "pullRequestUrl": None})

    # --- Xet: chunks come in blocks ("xorbs"), and a "shard" says of which chunks a file is made

    def xet_token(self, name: str, revision: str) -> None:
        self.repository(name, is_written=True)
        self.answer({"casUrl": f"{self.hub.url}/cas", "accessToken": "cas", "exp": int(time.time()) + 3600})

    def xorb(self, oid: str) -> None:
        chunks, at = [], 0
        while at < len(self.body) and self.body[at] == 0:
            packed, kind, size = (
                int.from_bytes(self.body[at + a : at + b], "little") for a, b in ((1, 4), (4, 5), (5, 8))
            )
            data = self.body[at + 8 : at + 8 + packed]
            chunks.append(data if kind == 0 else unpacked(data, kind, size))
            at += 8 + packed
        was_there = self.hub.xorbs.get(oid) == chunks
        self.hub.xorbs[oid] = chunks
        self.answer({"was_inserted": not was_there})

    def shard(self) -> None:
        at = 48
        while (head := self.body[at : at + 32]) != b"\xff" * 32:
            flags, parts = struct.unpack_from("<II", self.body, at + 32)
            at, data = at + 48, b""
            for _ in range(parts):
                block, (_, _, first, end) = (
                    oid_of(self.body[at : at + 32]),
                    struct.unpack_from("<IIII", self.body, at + 32),
                )
                data += b"".join(self.hub.xorbs[block][first:end])
                at += 48
            at += 48 * parts * bool(flags & 1 << 31)  # ranges' hashes
            assert flags & 1 << 30, head  # SHA-256 follows
            oid = oid_of(self.body[at : at + 32])
            assert hashlib.sha256(data).hexdigest() == oid
            self.hub.objects[oid] = data
            at += 48
        self.answer({"result": 1})

    # --- what is read

    def resolve(self, name: str, revision: str, path: str) -> None:
        oid, files = self.files(name, revision)
        if path not in files:
            raise RefusedError(404, "Entry not found", "EntryNotFound")
        blob = files[path]
        head = {"X-Repo-Commit": oid, "Accept-Ranges": "bytes"}
        if not blob.is_large:
            self.send_bytes(blob.data, head | {"ETag": f'"{blob.oid}"'})
            return
        head |= {"X-Linked-Etag": f'"{blob.oid}"', "X-Linked-Size": str(len(blob.data))}
        self.answer(
            b"", 302, head | {"Location": f"{self.hub.other_host}/large/{blob.oid}", "ETag": f'"{blob.oid[:32]}"'}
        )

    def large(self, oid: str) -> None:
        self.send_bytes(self.hub.objects[oid], {"ETag": f'"{oid[:32]}"', "Accept-Ranges": "bytes"})

    def send_bytes(self, data: bytes, head: dict[str, str]) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            self.answer(data, 200, head)
            return
        first, last = int(asked[1]), min(int(asked[2] or len(data) - 1), len(data) - 1)
        if first > last:
            self.answer(b"", 416, head | {"Content-Range": f"bytes */{len(data)}"})
            return
        self.answer(data[first : last + 1], 206, head | {"Content-Range": f"bytes {first}-{last}/{len(data)}"})


class Quiet(ThreadingHTTPServer):
    def handle_error(self, *told: Any) -> None:
        """Clients that were killed are no news."""


@contextlib.contextmanager
def running_hub() -> Iterator[Hub]:
    hub = Hub()
    server = Quiet(("127.0.0.1", 0), type("OfHub", (Handler,), {"hub": hub}))
    server.daemon_threads, server.block_on_close = True, False
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
