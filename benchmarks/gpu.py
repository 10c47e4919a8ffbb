"""What a GPU makes of a training: parity with the CPU, clips per second, utilisation, memory, headroom of the loader.

    python -m benchmarks.gpu              (ViT-B on a GPU: at most eight minutes, nothing is downloaded)
    python -m benchmarks.gpu --tiny       (the same with a tiny model, on whatever there is: a smoke test, not a result)

Both trainings take the steps that `pretrain` and `finetune` take (bf16, fused AdamW, the next batch copied beside the step),
with and without `--compile`, and so does transformers' VideoMAE where it is installed: with the same batch, in bf16, with its
own augmentation left out. Clips of the loader are drawn and encoded as `curate` writes them. Parts that no longer fit into
the time are left out and named in the result.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from benchmarks import report
from tiktokactions.clips.clip import Clip
from tiktokactions.model import classifier, model_config, pretraining_model
from tiktokactions.model.checkpoint import TrainingState
from tiktokactions.model.classification import draw_drops, soft_target_loss
from tiktokactions.model.config import ModelConfig
from tiktokactions.model.derived import flop_per_clip
from tiktokactions.model.hardware import Hardware, Processes, hardware, peak_flop_s, worker_count
from tiktokactions.model.loader import Batches
from tiktokactions.model.masking import decoder_mask, tube_mask
from tiktokactions.model.optim import adamw, parameter_groups
from tiktokactions.model.options import FinetuneOptions, PretrainOptions
from tiktokactions.model.pretrain import batch_loss, on_device, pretraining_numbers
from tiktokactions.model.samples import FinetuneClips, PretrainClips
from tiktokactions.model.steps import clipped_gradient, optimizer_step

MINUTES = 8.0
CLASSES = 174
PUBLISHED = {"what": "V-SWIFT, pre-training, videos per second and GPU, as published", "low": 280, "high": 332}
CPU = Hardware(torch.device("cpu"), torch.float32, Processes())
Step = Callable[[], Any]


# --- clips ------------------------------------------------------------------------------------------------------------


def drawn_clips(folder: Path, tiny: bool) -> list[Clip]:
    """H.264 clips as `curate` writes them: short side 320, ten seconds, a keyframe every 16 frames; noise that moves."""
    (width, height), frames, videos = ((64, 96), 70, 4) if tiny else ((320, 568), 300, 8)
    rng, clips = np.random.default_rng(0), []
    for number in range(videos):
        path = folder / f"{number}.mp4"
        ground = rng.integers(0, 256, (height // 8 + 40, width // 8 + 40, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "g": "16", "bf": "0"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for t in range(frames):
                picture = np.ascontiguousarray(ground[t : t + height, t : t + width])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            container.mux(stream.encode())
        clips.append(Clip(str(path), str(number % 2)))
    return clips


def pretraining_batch(config: ModelConfig, clips: int) -> dict[str, Any]:
    """What the workers hand over."""
    rng = np.random.default_rng(0)
    masks = PretrainOptions()
    hidden = [tube_mask(config.grid, masks.mask_ratio, rng) for _ in range(clips)]
    skipped = [decoder_mask(mask, config.grid, masks.decoder_mask_ratio, rng) for mask in hidden]
    video = torch.from_numpy(rng.integers(0, 256, (clips, 3, config.frames, config.height, config.width), np.uint8))
    named = {"encoder_mask": hidden, "decoder_mask": skipped}
    return {"video": video, "index": torch.arange(clips)} | {k: torch.from_numpy(np.stack(v)) for k, v in named.items()}


# --- parity -----------------------------------------------------------------------------------------------------------


def parity(config: ModelConfig, machine: Hardware, steps: int = 3) -> dict[str, Any]:
    """Losses and gradient norms of the first steps in float32, here and on a CPU; augmentation with the same draws."""
    found: dict[str, list[list[float]]] = {"loss": [], "norm": []}
    exact = Hardware(machine.device, torch.float32, machine.processes)
    for place in (CPU, exact):
        torch.manual_seed(0)
        model = pretraining_model(config).to(place.device)
        state = TrainingState(model, adamw(parameter_groups(model, 0.05), (0.9, 0.95)), place.scaler())
        batch = on_device(pretraining_batch(config, 2), config, place)
        losses, norms = [], []
        for _ in range(steps):
            loss = batch_loss(model, batch, config, PretrainOptions(), place)
            loss.backward()
            norms.append(clipped_gradient(state, None).item())
            losses.append(loss.item())
            optimizer_step(state, 1e-3)
        found["loss"].append(losses)
        found["norm"].append(norms)
    frames = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (4, 80, 120, 3), np.uint8))
    labelled = FinetuneClips([Clip("none", "a")], ["a", "b"], config, FinetuneOptions(augment_on="device", erase=0.0))
    batch = {"frames": [frames], "index": torch.tensor([0])}
    views = [[labelled.on(place, batch, epoch).cpu() for epoch in range(8)] for place in (CPU, exact)]
    apart = [(a - b).abs() for a, b in zip(*views, strict=True)]
    return {
        **{f"{name}_{place}": found[name][i] for name in found for i, place in enumerate(("cpu", "device"))},
        "largest_relative_difference": max(abs(a / b - 1) for name in found for a, b in zip(*found[name], strict=True)),
        "augmentation_largest_difference_levels": max(a.max().item() for a in apart) * 0.229 * 255,
    }


# --- steps ------------------------------------------------------------------------------------------------------------


def compiled_as(model: Any, backend: str | None) -> Any:
    return model if backend is None else torch.compile(model, backend=backend)


def our_pretraining(config: ModelConfig, machine: Hardware, clips: int, backend: str | None) -> tuple[Step, int]:
    """A step of `pretrain` and the operations of a clip."""
    model = pretraining_model(config).to(machine.device)
    options = PretrainOptions(model="tiny")
    state = TrainingState(model, adamw(parameter_groups(model, 0.05), (0.9, 0.95)), machine.scaler())
    trained = compiled_as(model, backend)
    raw = itertools.repeat(pretraining_batch(config, clips))
    batches = machine.ahead(raw, partial(on_device, config=config, machine=machine))

    def step() -> None:
        loss = batch_loss(trained, next(batches), config, options, machine)
        state.scaler.scale(loss).backward()
        clipped_gradient(state, None)
        optimizer_step(state, 1e-4)

    return step, pretraining_numbers(model, PretrainOptions(batch_size=1), 1, 1).flop_per_clip or 0


def our_finetuning(config: ModelConfig, machine: Hardware, clips: int, backend: str | None) -> tuple[Step, int]:
    """A step of `finetune`, augmentation on the device included, and the operations of a clip."""
    model = classifier(config, drop_path=0.35).to(machine.device).train()
    for block in model.blocks:
        block.skip_dropped = backend is None  # type: ignore[assignment]
    options = FinetuneOptions(augment_on="device", num_samples=2)
    groups = parameter_groups(model, 0.05, layer_decay=0.9, depth=config.depth)
    state = TrainingState(model, adamw(groups, (0.9, 0.999)), machine.scaler())
    trained, generator = compiled_as(model, backend), torch.Generator().manual_seed(0)
    dataset = FinetuneClips([Clip("none", "a")] * clips, ["a", "b"], config, options)
    size = (config.frames, int(config.height * 1.4), config.width * 2, 3)
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, size, np.uint8))
    videos = max(1, clips // options.num_samples)
    raw = itertools.repeat({"frames": [frames] * videos, "index": torch.arange(videos)})
    batches = machine.ahead(raw, lambda batch: {"video": dataset.on(machine, batch, 0)})
    target = machine.send(torch.full((videos * options.num_samples, CLASSES), 1 / CLASSES))

    def step() -> None:
        video = next(batches)["video"]
        drops = draw_drops(model, len(video), generator)
        assert drops is not None
        drops = drops.sent(machine.send, branches=backend is not None)
        with machine.autocast():
            logits = trained(video, drops)
        state.scaler.scale(soft_target_loss(logits, target)).backward()
        clipped_gradient(state, None)
        optimizer_step(state, 1e-4)

    return step, flop_per_clip(model)


def their_step(task: str, config: ModelConfig, machine: Hardware, clips: int) -> tuple[Step, int]:
    """A step of transformers' VideoMAE, its operations not counted. Raises ``ImportError`` where it is not installed."""
    from transformers import VideoMAEConfig, VideoMAEForPreTraining, VideoMAEForVideoClassification

    shapes: dict[str, Any] = {
        **{"image_size": config.height, "num_frames": config.frames, "hidden_size": config.embed_dim},
        **{"num_hidden_layers": config.depth, "num_attention_heads": config.heads},
        **{"intermediate_size": config.mlp_dim, "decoder_num_hidden_layers": config.decoder_depth},
        **{"decoder_hidden_size": config.decoder_dim, "decoder_num_attention_heads": config.decoder_heads},
        **{"decoder_intermediate_size": config.decoder_mlp_dim},
    }
    kind: Any = VideoMAEForPreTraining if task == "pretrain" else VideoMAEForVideoClassification
    model = kind(VideoMAEConfig(**shapes, num_labels=CLASSES)).to(machine.device).train()  # type: ignore[call-arg]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    batch = pretraining_batch(config, clips)
    video = machine.send(batch["video"]).float().div(127.5).sub(1).transpose(1, 2).contiguous()
    given = {"labels": machine.send(torch.zeros(clips, dtype=torch.long))}
    if task == "pretrain":
        given = {"bool_masked_pos": machine.send(batch["encoder_mask"])}

    def step() -> None:
        with machine.autocast():
            loss = model(video, **given).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step, 0


# --- measuring --------------------------------------------------------------------------------------------------------


def pace(step: Step, machine: Hardware, clips: int, seconds: float, at_once: int) -> dict[str, Any]:
    """Clips per second and peak memory; the device is waited for every ``at_once`` steps."""

    def wait() -> None:
        if machine.is_cuda:
            torch.cuda.synchronize(machine.device)

    began = time.perf_counter()
    for _ in range(2):
        step()
    wait()
    first_s = time.perf_counter() - began
    if machine.is_cuda:
        torch.cuda.reset_peak_memory_stats(machine.device)
    steps, began = 0, time.perf_counter()
    while steps == 0 or time.perf_counter() - began < seconds:
        for _ in range(at_once):
            step()
        steps += at_once
        wait()
    spent_s = time.perf_counter() - began
    memory = torch.cuda.max_memory_allocated(machine.device) / 2**30 if machine.is_cuda else None
    return {"clips_per_s": steps * clips / spent_s, "steps": steps, "first_two_steps_s": first_s, "memory_gib": memory}


def measured(
    make: Callable[[], tuple[Step, int]],
    machine: Hardware,
    clips: int,
    seconds: float,
    at_once: int,
    peak: float | None,
) -> dict[str, Any]:
    """The pace of what ``make`` gives, and its share of the device's peak."""
    step, flop = make()
    numbers = pace(step, machine, clips, seconds, at_once)
    per_s = numbers["clips_per_s"] * flop
    return numbers | {"tflop_per_s": per_s / 1e12, "utilisation": per_s / peak if peak and flop else None}


def loader_pace(dataset: Any, copies: int, machine: Hardware, workers: int, seconds: float) -> dict[str, Any]:
    """Clips per second that the workers hand over, once they run."""

    def endless(batches: Batches) -> Iterator[dict[str, Any]]:
        for epoch in itertools.count():
            yield from batches.epoch(epoch)

    with Batches(dataset, batch_size=2, seed=0, workers=workers, pin_memory=machine.is_cuda) as batches:
        stream = endless(batches)
        for _ in range(2 * max(1, workers)):
            next(stream)
        videos, began = 0, time.perf_counter()
        while videos == 0 or time.perf_counter() - began < seconds:
            next(stream)
            videos += 2
        spent_s = time.perf_counter() - began
    return {"workers": workers, "clips_per_s": videos * copies / spent_s}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a tiny model, seconds each; a smoke test")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="all parts together (default: %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=report.RESULTS, help="folder of the result (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    end = time.monotonic() + given.minutes * 60
    facts = report.environment()
    report.print_environment(facts)
    size = "tiny" if given.tiny else "vit-b"
    batch = {"pretrain": 4, "finetune": 4} if given.tiny else {"pretrain": 64, "finetune": 16}
    seconds, at_once = (0.1, 1) if given.tiny else (12.0, 5)
    found: dict[str, Any] = {"model": size, "published": PUBLISHED, "left_out": [], "steps": {}, "loader": {}}

    def part(name: str, needs_s: float, compute: Callable[[], Any]) -> Any:
        if end - time.monotonic() < needs_s:
            found["left_out"].append(f"{name}: no time left")
            return None
        print(f"{name} ...", file=sys.stderr)
        try:
            return compute()
        except (ImportError, torch.OutOfMemoryError) as error:
            found["left_out"].append(f"{name}: {error}")
            return None

    with hardware(FinetuneOptions()) as machine, tempfile.TemporaryDirectory() as folder:
        found["device"], peak = machine.describe(), peak_flop_s(machine)
        found["parity"] = part("parity", 40, lambda: parity(model_config(size), machine))
        for task, ours in (("pretrain", our_pretraining), ("finetune", our_finetuning)):
            config = model_config(size, classes=CLASSES if task == "finetune" else None)
            # Tiny shapes are only traced: to compile them takes a CPU minutes.
            for name, backend in (
                (f"{task}, ours", None),
                (f"{task}, ours, compiled", "eager" if given.tiny else "inductor"),
            ):
                make = partial(ours, config, machine, batch[task], backend)
                measure = partial(measured, make, machine, batch[task], seconds, at_once, peak)
                found["steps"][name] = part(name, 75 if backend else 30, measure)
            make = partial(their_step, task, config, machine, batch[task])
            measure = partial(measured, make, machine, batch[task], seconds, at_once, peak)
            found["steps"][f"{task}, transformers"] = part(f"{task}, transformers", 30, measure)
        drawn = part("drawing clips", 30, lambda: drawn_clips(Path(folder), given.tiny))
        workers = 1 if given.tiny else worker_count(FinetuneOptions())
        for task in ("pretrain", "finetune") if drawn else ():
            config = model_config(size)
            dataset: Any = PretrainClips(drawn, config, PretrainOptions())
            if task == "finetune":
                options = FinetuneOptions(augment_on="device" if machine.is_cuda else "workers")
                dataset = FinetuneClips(drawn, ["0", "1"], config, options)
            numbers = part(f"loader, {task}", 25, partial(loader_pace, dataset, 2, machine, workers, seconds / 2))
            best = max(
                (n["clips_per_s"] for k, n in found["steps"].items() if n and k.startswith(f"{task}, ours")), default=0
            )
            if numbers and best:
                numbers["headroom"] = numbers["clips_per_s"] / best
                numbers["workers_for_one_device"] = math.ceil(max(1, workers) / numbers["headroom"])
            found["loader"][task] = numbers

    columns = ("clips_per_s", "utilisation", "memory_gib")
    rows = [[name, *(numbers[column] for column in columns)] for name, numbers in found["steps"].items() if numbers]
    report.print_table(f"{size} on {found['device']}", ["step", "clips/s", "utilisation", "GiB"], rows)
    print(f"published: {PUBLISHED['what']}: {PUBLISHED['low']} to {PUBLISHED['high']}")
    for name, numbers in found["loader"].items():
        print(f"loader, {name}: {numbers}")
    print(f"parity: {found['parity']}\nleft out: {found['left_out'] or 'nothing'}")
    print(report.write_result("gpu-tiny" if given.tiny else "gpu", found, facts, given.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
