"""A Ray cluster of several nodes on this machine: each node has processes of its own and can be killed alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass
class Cluster:
    address: str
    environment: dict[str, str]
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_node(self, *options: str) -> subprocess.Popen[bytes]:
        script = "from ray.scripts.scripts import main; main()"
        node = subprocess.Popen(
            [sys.executable, "-c", script, "start", "--block", "--disable-usage-stats", *options],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.nodes.append(node)
        return node

    def join(self, *options: str) -> subprocess.Popen[bytes]:
        return self.start_node(f"--address={self.address}", *options)

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """The machine is gone: all of its processes at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()


@contextlib.contextmanager
def running_cluster(*head_options: str, token: str = "", memory_mb: int = 100) -> Iterator[Cluster]:
    """A head node, which asks for the token where one is given; it lies in the home of all its users, where Ray looks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Ray's sockets need short paths: pytest's folders are too deep for them.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "RAY_USAGE_STATS_ENABLED": "0"}
    cluster = Cluster(f"127.0.0.1:{port}", environment)
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        environment.pop(name, None)
    if token:
        environment["HOME"] = folder
        path = Path(folder) / ".ray" / "auth_token"
        path.parent.mkdir()
        path.write_text(token)
    store = f"--object-store-memory={memory_mb << 20}"
    try:
        options = (f"--port={port}", f"--temp-dir={folder}", "--include-dashboard=false", store, *head_options)
        cluster.start_node("--head", "--node-ip-address=127.0.0.1", *options)
        yield cluster
    finally:
        for node in reversed(cluster.nodes):
            cluster.kill(node)
        shutil.rmtree(folder, ignore_errors=True)
