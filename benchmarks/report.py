"""What all benchmarks share: facts about the machine, the dated JSON result, and a plain table."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    *("av", "scenedetect-headless", "opencv-python-headless", "onnxruntime", "ai-edge-litert", "numpy", "pyarrow"),
    *("torch", "transformers", "decord2", "pillow"),
)


def environment() -> dict[str, Any]:
    """Date, machine and versions: no number is worth keeping without them."""
    import tiktokactions

    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "load_at_start": round(os.getloadavg()[0], 2),
        "versions": {"tiktokactions": tiktokactions.__version__} | {name: _version(name) for name in PACKAGES},
    }


def write_result(
    name: str, data: Mapping[str, Any], environment_facts: Mapping[str, Any] | None = None, folder: Path = RESULTS
) -> Path:
    """Write ``<folder>/<name>-<YYYY-MM-DD>.json``; a second run on one day replaces the first.

    Args:
        name: of the benchmark.
        data: what it measured and with which settings; must be JSON types.
        environment_facts: :func:`environment` taken before the work began (default: taken now).
    """
    facts = dict(environment_facts or environment())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{facts['date'][:10]}.json"
    path.write_text(json.dumps({"benchmark": name, "environment": facts, **data}, indent=2) + "\n")
    return path


def print_environment(facts: Mapping[str, Any]) -> None:
    machine = f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GB, load {facts['load_at_start']}"
    print(f"{facts['date']}  {machine}")
    if facts["load_at_start"] > 0.5:
        print(
            "warning: the machine is busy with something else: seconds of wall clock mean little, CPU seconds run high"
        )
    print("  ".join(f"{name} {version}" for name, version in {"python": facts["python"], **facts["versions"]}.items()))


def print_table(title: str, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Left-aligned first column, the others right-aligned; floats with three significant places or two decimals."""
    cells = [list(headers)] + [[_text(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    print(f"\n{title}")
    for number, row in enumerate(cells):
        aligned = (c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        print("  " + "  ".join(aligned).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * w for w in widths))


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1 else f"{value:,.2f}"
    return "" if value is None else str(value)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
