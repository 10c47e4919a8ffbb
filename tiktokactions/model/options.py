"""What a person can set for ``pretrain``, ``finetune``, ``evaluate`` and ``predict``. Needs no torch.

The defaults are the paper's: Table 2 for pre-training, Table 3 for fine-tuning; what the tables leave open is the
reference implementation's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tiktokactions.options import Check, check_options, option

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Decoder = Literal["pyav", "torchcodec"]
ModelName = Literal["tiny", "vit-s", "vit-b", "vit-l", "vit-h", "vit-g"]


@dataclass(frozen=True)
class DataOptions:
    """Which clips, and how they are read."""

    media: str | None = option(None, "data", "folder of the videos that a list or a split file names")
    fold: int = option(1, "data", "number of the official split or fold to use (UCF101, HMDB51: 1 to 3)")
    skip_unreadable: bool = option(
        False, "data", "decode every clip first, leave out and list those that cannot be read"
    )
    decoder: Decoder = option("pyav", "data", "what decodes the clips")


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out; shared by training, evaluation and prediction."""

    device: str = option("auto", "run", "auto, cpu, cuda or cuda:N")
    precision: Precision = option(
        "auto", "run", "bf16, fp16 or fp32; auto: bf16 on a GPU that has it, fp16 on others, fp32 on a CPU"
    )
    workers: int | None = option(None, "run", "processes that decode clips (default: cores, at most 24; 0: none)")
    threads: int | None = option(None, "run", "CPU threads of the model (default: torch's choice)")


@dataclass(frozen=True)
class TrainingOptions(RunOptions):
    """What both trainings share besides the recipe."""

    seed: int = option(0, "run", "seed of weights, order, masks and augmentation")
    compile: bool = option(False, "run", "compile the model (torch.compile)")
    checkpoint_activations: bool = option(False, "run", "recompute activations instead of keeping them: less memory")
    save_minutes: float = option(10.0, "run", "minutes between checkpoints")
    save_steps: int | None = option(None, "run", "also save a checkpoint every so many steps")
    keep: int = option(2, "run", "checkpoints that are kept")
    log_steps: int = option(10, "run", "steps between lines of log.jsonl")
    stop_after_steps: int | None = option(
        None, "run", "stop here with a checkpoint, the schedule unchanged; the same command without it goes on"
    )


@dataclass(frozen=True)
class PretrainOptions(DataOptions, TrainingOptions):
    """Every option of ``tiktokactions pretrain``; defaults: Table 2 of the paper."""

    model: ModelName = option("vit-b", "model", "size of the model")
    image_size: int | None = option(None, "model", "side of the clips in pixels (default: 224; tiny 64)")
    frames: int = option(16, "model", "frames in a clip")
    tubelet: int = option(2, "model", "frames in a token")
    patch: int | None = option(None, "model", "side of a token in pixels (default: 16; vit-g 14)")
    decoder_depth: int | None = option(None, "model", "blocks of the decoder (default: 4; tiny 2)")

    stride: int = option(4, "recipe", "every so many frames of the video are in the clip (the tables' sampling rate)")
    mask_ratio: float = option(0.9, "recipe", "share of the tokens hidden from the encoder (tube masking)")
    decoder_mask_ratio: float = option(
        0.5,
        "recipe",
        "share of the tokens that are not decoded (running cell): 0.25, 0.5, 0.75; 0: decode what is hidden",
    )
    normalize_target: bool = option(True, "recipe", "normalise every token of the target")
    batch_size: int = option(32, "recipe", "videos in a batch, of each process")
    num_samples: int = option(2, "recipe", "clips cut from each decoded video")
    accumulate: int = option(1, "recipe", "batches whose gradients are added up before a step")
    epochs: int = option(200, "recipe", "times every video is seen")
    warmup_epochs: float | None = option(
        None, "recipe", "epochs in which the learning rate rises (default: a tenth of `epochs`: 20 of 200)"
    )
    base_lr: float = option(1e-3, "recipe", "learning rate for a batch of 256 videos")
    min_lr: float = option(1e-5, "recipe", "where the cosine ends, for a batch of 256 videos")
    weight_decay: float = option(0.05, "recipe", "AdamW's weight decay")
    beta1: float = option(0.9, "recipe", "AdamW's first beta")
    beta2: float = option(0.95, "recipe", "AdamW's second beta")
    clip_grad: float | None = option(None, "recipe", "largest norm of the gradient (default: no limit)")
    pictures_epochs: int = option(10, "run", "epochs between pictures of reconstructions; 0: none")

    @property
    def warmup(self) -> float:
        """Epochs of warm-up."""
        return self.epochs / 10 if self.warmup_epochs is None else self.warmup_epochs

    def __post_init__(self) -> None:
        check_options(self, [*_shared_checks(self), (0 < self.mask_ratio < 1, "mask_ratio", "between 0 and 1")])
        check_options(
            self,
            [
                (
                    self.decoder_mask_ratio in (0, 0.25, 0.5, 0.75),
                    "decoder_mask_ratio",
                    "0, 0.25, 0.5 or 0.75",
                ),
                (self.pictures_epochs >= 0, "pictures_epochs", "0 or more"),
                (self.tubelet >= 1, "tubelet", "1 or more"),
            ],
        )


@dataclass(frozen=True)
class FinetuneOptions(DataOptions, TrainingOptions):
    """Every option of ``tiktokactions finetune``; defaults: Table 3 of the paper."""

    model: ModelName | None = option(None, "model", "size of the model (default: that of `init`, else vit-b)")
    image_size: int | None = option(None, "model", "side of the clips in pixels (default: that of `init`, else 224)")
    frames: int | None = option(None, "model", "frames in a clip (default: those of `init`, else 16)")
    tubelet: int | None = option(None, "model", "frames in a token (default: those of `init`, else 2)")
    patch: int | None = option(None, "model", "side of a token in pixels (default: that of `init`, else 16)")

    stride: int = option(4, "recipe", "every so many frames of the video are in the clip (the tables' sampling rate)")
    sampling: Literal["dense", "sparse"] = option(
        "dense", "recipe", "dense: a stretch of the video; sparse: spread over all of it (Something-Something)"
    )
    batch_size: int = option(8, "recipe", "videos in a batch, of each process")
    num_samples: int = option(2, "recipe", "differently augmented copies of each decoded video")
    accumulate: int = option(1, "recipe", "batches whose gradients are added up before a step")
    epochs: int = option(100, "recipe", "times every video is seen")
    warmup_epochs: float | None = option(
        None, "recipe", "epochs in which the learning rate rises (default: a twentieth of `epochs`: 5 of 100)"
    )
    base_lr: float = option(1e-3, "recipe", "learning rate for a batch of 256 videos")
    min_lr: float = option(1e-6, "recipe", "where the cosine ends, for a batch of 256 videos")
    weight_decay: float = option(0.05, "recipe", "AdamW's weight decay")
    beta1: float = option(0.9, "recipe", "AdamW's first beta")
    beta2: float = option(0.999, "recipe", "AdamW's second beta")
    layer_decay: float = option(0.9, "recipe", "each block learns at this share of the rate of the block above it")
    drop_path: float = option(0.35, "recipe", "stochastic depth of the last block")
    head_dropout: float = option(0.0, "recipe", "dropout before the last layer")
    init_scale: float = option(0.001, "recipe", "factor on the last layer's initial weights")
    clip_grad: float | None = option(None, "recipe", "largest norm of the gradient (default: no limit)")
    ema: float | None = option(None, "recipe", "keep an average of the weights with this decay, and test it (0.9999)")
    freeze: int = option(0, "recipe", "keep the embedding and the first N blocks as they are")
    linear_probe: bool = option(False, "recipe", "train the last layer only, on features of the frozen encoder")

    augment: str = option("rand-m7-n4-mstd0.5-inc1", "augmentation", "RandAugment policy, or 'none'")
    flip: bool = option(True, "augmentation", "mirror half of the clips (never where left and right are labels)")
    min_area: float = option(0.08, "augmentation", "smallest share of the picture that a random crop keeps")
    erase: float = option(0.25, "augmentation", "share of the clips with a random box erased")
    smoothing: float = option(0.1, "augmentation", "label smoothing")
    mixup: float = option(0.8, "augmentation", "mixup's alpha; 0: no mixup")
    cutmix: float = option(1.0, "augmentation", "CutMix's alpha; 0: no CutMix")

    segments: int = option(5, "test", "test views along time")
    crops: int = option(3, "test", "test views along the longer side")
    validate_epochs: int = option(1, "test", "epochs between looks at the val side, where there is one; 0: never")

    @property
    def warmup(self) -> float:
        """Epochs of warm-up."""
        return self.epochs / 20 if self.warmup_epochs is None else self.warmup_epochs

    def __post_init__(self) -> None:
        check_options(self, _shared_checks(self))
        check_options(
            self,
            [
                (0 < self.layer_decay <= 1, "layer_decay", "above 0, at most 1"),
                (0 <= self.drop_path < 1, "drop_path", "0 or more, below 1"),
                (0 <= self.head_dropout < 1, "head_dropout", "0 or more, below 1"),
                (self.ema is None or 0 < self.ema < 1, "ema", "between 0 and 1"),
                (self.freeze >= 0, "freeze", "0 or more"),
                (0 < self.min_area <= 1, "min_area", "above 0, at most 1"),
                (0 <= self.erase <= 1, "erase", "between 0 and 1"),
                (0 <= self.smoothing < 1, "smoothing", "0 or more, below 1"),
                (self.mixup >= 0, "mixup", "0 or more"),
                (self.cutmix >= 0, "cutmix", "0 or more"),
                (self.segments >= 1, "segments", "1 or more"),
                (self.crops >= 1, "crops", "1 or more"),
                (self.validate_epochs >= 0, "validate_epochs", "0 or more"),
                (
                    not (self.mixup or self.cutmix) or self.batch_size * self.num_samples % 2 == 0,
                    "batch_size",
                    "an even number of clips in a batch (mixup pairs them), or `mixup` 0 `cutmix` 0",
                ),
            ],
        )


@dataclass(frozen=True)
class EvaluateOptions(DataOptions, RunOptions):
    """Every option of ``tiktokactions evaluate``."""

    side: Literal["train", "val", "test", "all"] = option("test", "data", "side of the data to look at")
    stride: int | None = option(None, "test", "every so many frames are in a clip (default: as trained)")
    segments: int = option(5, "test", "views along time")
    crops: int = option(3, "test", "views along the longer side")
    views_per_pass: int = option(16, "run", "views computed at a time")

    def __post_init__(self) -> None:
        check_options(self, _run_checks(self))
        check_options(
            self,
            [
                (self.segments >= 1, "segments", "1 or more"),
                (self.crops >= 1, "crops", "1 or more"),
                (self.stride is None or self.stride >= 1, "stride", "1 or more"),
                (self.views_per_pass >= 1, "views_per_pass", "1 or more"),
            ],
        )


@dataclass(frozen=True)
class PredictOptions(EvaluateOptions):
    """Every option of ``tiktokactions predict``."""

    top: int = option(5, "test", "labels shown for each video")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_options(self, [(self.top >= 1, "top", "1 or more")])


def _run_checks(options: RunOptions) -> list[Check]:
    return [
        (options.workers is None or options.workers >= 0, "workers", "0 or more"),
        (options.threads is None or options.threads >= 1, "threads", "1 or more"),
    ]


def _shared_checks(options: PretrainOptions | FinetuneOptions) -> list[Check]:
    return [
        *_run_checks(options),
        (options.fold >= 1, "fold", "1 or more"),
        (options.frames is None or options.frames >= 1, "frames", "1 or more"),
        (options.stride >= 1, "stride", "1 or more"),
        (options.batch_size >= 1, "batch_size", "1 or more"),
        (options.num_samples >= 1, "num_samples", "1 or more"),
        (options.accumulate >= 1, "accumulate", "1 or more"),
        (options.epochs >= 1, "epochs", "1 or more"),
        (
            options.warmup_epochs is None or 0 <= options.warmup_epochs <= options.epochs,
            "warmup_epochs",
            f"0 to `epochs` ({options.epochs})",
        ),
        (options.base_lr > 0, "base_lr", "above 0"),
        (0 <= options.min_lr <= options.base_lr, "min_lr", f"0 to `base_lr` ({options.base_lr:g})"),
        (options.weight_decay >= 0, "weight_decay", "0 or more"),
        (0 <= options.beta1 < 1, "beta1", "0 or more, below 1"),
        (0 <= options.beta2 < 1, "beta2", "0 or more, below 1"),
        (options.clip_grad is None or options.clip_grad > 0, "clip_grad", "above 0"),
        (options.save_minutes > 0, "save_minutes", "above 0"),
        (options.save_steps is None or options.save_steps >= 1, "save_steps", "1 or more"),
        (options.keep >= 1, "keep", "1 or more"),
        (options.log_steps >= 1, "log_steps", "1 or more"),
        (options.stop_after_steps is None or options.stop_after_steps >= 1, "stop_after_steps", "1 or more"),
    ]
