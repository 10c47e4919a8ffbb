"""One training step of ViT-B against transformers' VideoMAE: CPU seconds and peak memory, in turn, in one run.

    python -m benchmarks.train_step [--rounds 5] [--quick]

16 × 224 × 224, batch 2, two threads, forward, backward and AdamW (the same fused kernel on both sides). Every contender
lives in a process of its own and takes its steps when told to, so that they alternate and peak memory is told apart.
The peer computes what it offers: pre-training with its decoder over all tokens, fine-tuning without stochastic depth.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.report import environment, print_environment, print_table, write_result
from tiktokactions.machine import cpu_has_bf16

BATCH, THREADS, CLASSES, DROP_PATH, WARM_UP_STEPS = 2, 2, 101, 0.35, 2


# --- the contenders: each returns a function that takes one step ----------------------------------------------------


def ours_pretrain(precision: str) -> Callable[[], None]:
    import numpy as np
    import torch

    from tiktokactions.model import model_config, pretraining_model
    from tiktokactions.model.autoencoder import reconstruction_loss, reconstruction_target, supervised_tokens
    from tiktokactions.model.masking import running_cell_mask, tube_mask
    from tiktokactions.model.optim import adamw, parameter_groups, set_lr

    config = model_config("vit-b")
    model = pretraining_model(config)
    optimizer = adamw(parameter_groups(model, 0.05), (0.9, 0.95))
    set_lr(optimizer, 1e-4)
    rng = np.random.default_rng(0)
    video = torch.randn(BATCH, 3, 16, 224, 224)

    def step() -> None:
        hidden = torch.from_numpy(np.stack([tube_mask(config.grid, 0.9, rng) for _ in range(BATCH)]))
        skipped = torch.from_numpy(np.stack([running_cell_mask(config.grid, 0.5, rng) for _ in range(BATCH)]))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            output = model(video, hidden, skipped)
        target = reconstruction_target(video, skipped, config)
        reconstruction_loss(output, target, supervised_tokens(hidden, skipped, config)).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def peer_pretrain(precision: str) -> Callable[[], None]:
    import numpy as np
    import torch
    from transformers import VideoMAEConfig, VideoMAEForPreTraining

    from tiktokactions.model.masking import tube_mask

    model = VideoMAEForPreTraining(VideoMAEConfig(decoder_num_hidden_layers=4)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=True)
    rng = np.random.default_rng(0)
    video = torch.randn(BATCH, 16, 3, 224, 224)

    def step() -> None:
        hidden = torch.from_numpy(np.stack([tube_mask((8, 14, 14), 0.9, rng) for _ in range(BATCH)]))
        model(video, bool_masked_pos=hidden).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def ours_finetune(precision: str) -> Callable[[], None]:
    import torch

    from tiktokactions.model import classifier, model_config
    from tiktokactions.model.classification import draw_drops, soft_target_loss
    from tiktokactions.model.optim import adamw, parameter_groups, set_lr

    model = classifier(model_config("vit-b", classes=CLASSES), drop_path=DROP_PATH).train()
    optimizer = adamw(parameter_groups(model, 0.05, layer_decay=0.9, depth=12), (0.9, 0.999))
    set_lr(optimizer, 1e-4)
    generator = torch.Generator().manual_seed(0)
    video, label = torch.randn(BATCH, 3, 16, 224, 224), torch.full((BATCH, CLASSES), 1 / CLASSES)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = model(video, draw_drops(model, BATCH, generator))
        soft_target_loss(logits, label).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def peer_finetune(precision: str) -> Callable[[], None]:
    import torch
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    model = VideoMAEForVideoClassification(VideoMAEConfig(num_labels=CLASSES)).train()  # type: ignore[call-arg]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05, fused=True)
    video, label = torch.randn(BATCH, 16, 3, 224, 224), torch.zeros(BATCH, dtype=torch.long)

    def step() -> None:
        model(video, labels=label).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


CONTENDERS = {
    "pretrain": {
        "ours fp32": (ours_pretrain, "fp32"),
        "ours bf16": (ours_pretrain, "bf16"),
        "peer": (peer_pretrain, ""),
    },
    "finetune": {
        "ours fp32": (ours_finetune, "fp32"),
        "ours bf16": (ours_finetune, "bf16"),
        "peer": (peer_finetune, ""),
    },
}


# --- measuring ------------------------------------------------------------------------------------------------------


def serve(connection: Connection, make: Callable[[str], Callable[[], None]], precision: str) -> None:
    """In a contender's process: take as many steps as told, answer with CPU seconds and the peak memory so far."""
    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    step = make(precision)
    while (steps := connection.recv()) > 0:
        began = time.process_time()
        for _ in range(steps):
            step()
        connection.send(((time.process_time() - began) / steps, peak_memory_gb()))


def peak_memory_gb() -> float:
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024 / 1e9


def measure(task: str, rounds: int, steps: int) -> dict[str, dict[str, Any]]:
    """CPU seconds per step of every round, and peak memory, by contender."""
    context = mp.get_context("spawn")
    ends: dict[str, Connection] = {}
    found: dict[str, dict[str, Any]] = {}
    for name, (make, precision) in CONTENDERS[task].items():
        if precision == "bf16" and not cpu_has_bf16():
            continue
        ours, theirs = context.Pipe()
        context.Process(target=serve, args=(theirs, make, precision), daemon=True).start()
        theirs.close()  # or a contender that crashes would leave us waiting for its answer for ever
        ends[name], found[name] = ours, {"cpu_s": [], "memory_gb": 0.0}
    for number in range(-1, rounds):
        for name, end in ends.items():
            try:
                end.send(WARM_UP_STEPS if number < 0 else steps)
                seconds, memory = end.recv()
            except (EOFError, OSError):
                raise SystemExit(f"{task}, {name}: this contender has ended; its own message says why") from None
            found[name]["memory_gb"] = memory
            if number >= 0:
                found[name]["cpu_s"].append(seconds)
    for end in ends.values():
        end.send(0)
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds in which all take their steps in turn")
    parser.add_argument("--quick", action="store_true", help="two rounds; nothing is written")
    given = parser.parse_args(arguments)
    rounds = 2 if given.quick else given.rounds
    facts = environment() | {"threads": THREADS}
    print_environment(facts)
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    results: dict[str, Any] = {}
    rows = []
    for task in CONTENDERS:
        # Which clips are dropped varies from step to step: fine-tuning takes more of them.
        found = measure(task, rounds, steps=2 if task == "pretrain" else 4)
        peer = found["peer"]
        for name, numbers in found.items():
            ratios = [a / b for a, b in zip(numbers["cpu_s"], peer["cpu_s"], strict=True)]
            numbers["ratio"] = statistics.median(ratios)
            rows.append(
                (f"{task}, {name}", statistics.median(numbers["cpu_s"]), numbers["ratio"], numbers["memory_gb"])
            )
        results[task] = found
    headers = ("step of ViT-B, 16 × 224 × 224, batch 2", "CPU s", "of the peer's", "peak GB")
    print_table(f"against transformers {facts['versions'].get('transformers')}, {rounds} rounds in turn", headers, rows)
    if not cpu_has_bf16():
        print("bf16 not measured: this CPU has neither avx512_bf16 nor amx_bf16")
    print(f"GPU: {gpu or 'none on this machine, nothing measured on one'}")
    if not given.quick:
        print(write_result("train_step", {"steps": results, "gpu": gpu}, facts))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
    sys.exit(main())
