"""What a person can set for ``pretrain``, ``finetune``, ``evaluate`` and ``predict``. Needs no torch.

The defaults are the paper's: Table 2 for pre-training, Table 3 for fine-tuning; what the tables leave open is the
reference implementation's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from tiktokactions.options import check_bounds, check_options, option

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Decoder = Literal["pyav", "torchcodec"]
Tracker = Literal["tensorboard", "trackio", "wandb", "mlflow"]
ModelName = Literal["tiny", "vit-s", "vit-b", "vit-l", "vit-h", "vit-g"]
Recipes = Mapping[str, Mapping[str, float | str | bool]]
"""What a recipe has other than the paper, by the names of the options."""

LR_BATCH = 256
"""The batch that a base learning rate is stated for."""


@dataclass(frozen=True)
class DataOptions:
    """Which clips, and how they are read."""

    media: str | None = option(None, "data", "folder of the videos that a list or a split file names")
    fold: int = option(1, "data", "number of the official split or fold to use (UCF101, HMDB51: 1 to 3)", least=1)
    skip_unreadable: bool = option(False, "data", "leave out and list clips that cannot be read (all are decoded once)")
    decoder: Decoder = option("pyav", "data", "what decodes the clips")


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out; shared by training, evaluation and prediction."""

    device: str = option("auto", "run", "auto, cpu, cuda or cuda:N")
    precision: Precision = option("auto", "run", "bf16, fp16 or fp32; auto: bf16 or fp16 on a GPU, fp32 on a CPU")
    workers: int | None = option(None, "run", "processes that decode (default: cores, at most 24; 0: none)", least=0)
    threads: int | None = option(None, "run", "CPU threads of the model (default: torch's choice)", least=1)


@dataclass(frozen=True)
class TrainingOptions(RunOptions):
    """What both trainings share. ``checked_options`` fills in what a recipe has, where it is not given."""

    recipe: Literal["paper", "small"] = option("paper", "recipe", "whose defaults: the paper's, or for tens of videos")
    positions: Literal["interpolate", "sines"] = option("interpolate", "model", "where `init` has another size")
    seed: int = option(0, "run", "seed of weights, order, masks and augmentation")
    compile: bool = option(False, "run", "compile the model (torch.compile)")
    shard: bool = option(False, "run", "split the model over the processes (FSDP2), for what one GPU cannot hold")
    checkpoint_activations: bool = option(False, "run", "recompute activations instead of keeping them: less memory")
    save_minutes: float = option(10.0, "run", "minutes between checkpoints", above=0)
    save_steps: int | None = option(None, "run", "also save a checkpoint every N steps", least=1)
    keep: int = option(2, "run", "checkpoints that are kept", least=1)
    log_steps: int = option(10, "run", "steps between lines of log.jsonl", least=1)
    track: Tracker | None = option(None, "run", "send the log to a tracker (default: TensorBoard if installed)")
    stop_after_steps: int | None = option(None, "run", "stop here with a checkpoint; without it it goes on", least=1)
    stride: int = option(4, "recipe", "take every N-th frame of the video (the tables' sampling rate)", least=1)
    accumulate: int = option(1, "recipe", "batches whose gradients are added up before a step", least=1)
    base_lr: float = option(1e-3, "recipe", "learning rate for a batch of 256 videos", above=0)
    weight_decay: float = option(0.05, "recipe", "AdamW's weight decay", least=0)
    beta1: float = option(0.9, "recipe", "AdamW's first beta", least=0, below=1)
    clip_grad: float | None = option(None, "recipe", "largest norm of the gradient (default: no limit)", above=0)


@dataclass(frozen=True)
class PretrainOptions(DataOptions, TrainingOptions):
    """Every option of ``tiktokactions pretrain``; defaults: Table 2 of the paper."""

    # As in benchmarks/learn_motion.py; the rate is 1e-3 for steps of 8 videos.
    RECIPES: ClassVar[Recipes] = {
        "small": {
            **{"model": "tiny", "mask_ratio": 0.75, "normalize_target": False, "batch_size": 8},
            **{"base_lr": 0.032, "min_lr": 0.00032},
        }
    }

    model: ModelName = option("vit-b", "model", "size of the model")
    image_size: int | None = option(None, "model", "side of the clips in pixels (default: 224; tiny 64)")
    frames: int = option(16, "model", "frames in a clip", least=1)
    tubelet: int = option(2, "model", "frames in a token", least=1)
    patch: int | None = option(None, "model", "side of a token in pixels (default: 16; vit-g 14)")
    decoder_depth: int | None = option(None, "model", "blocks of the decoder (default: 4; tiny 2)")

    mask_ratio: float = option(0.9, "recipe", "share of the tokens hidden from the encoder", above=0, below=1)
    decoder_mask_ratio: float = option(0.5, "recipe", "share not decoded: 0.25, 0.5, 0.75; 0: decode what is hidden")
    masking: Literal["tube", "motion"] = option("tube", "recipe", "hide any places, or rather those that move")
    target: str = option("pixels", "recipe", "predict pixels, or a trained model's features (what `init` takes)")
    normalize_target: bool = option(True, "recipe", "normalise every token of the target")
    batch_size: int = option(32, "recipe", "videos in a batch, of each process", least=1)
    num_samples: int = option(2, "recipe", "clips cut from each decoded video", least=1)
    epochs: int = option(200, "recipe", "times every video is seen", least=1)
    warmup_epochs: float | None = option(None, "recipe", "epochs of rising rate (default: a tenth of `epochs`)")
    min_lr: float = option(1e-5, "recipe", "where the cosine ends, for a batch of 256 videos", least=0)
    beta2: float = option(0.95, "recipe", "AdamW's second beta", least=0, below=1)
    pictures_epochs: int = option(10, "run", "epochs between pictures of reconstructions; 0: none", least=0)

    @property
    def warmup(self) -> float:
        """Epochs of warm-up."""
        return self.epochs / 10 if self.warmup_epochs is None else self.warmup_epochs

    def __post_init__(self) -> None:
        _check_training(self)
        is_known = self.decoder_mask_ratio in (0, 0.25, 0.5, 0.75)
        check_options(self, [(is_known, "decoder_mask_ratio", "0, 0.25, 0.5 or 0.75")])


@dataclass(frozen=True)
class FinetuneOptions(DataOptions, TrainingOptions):
    """Every option of ``tiktokactions finetune``; defaults: Table 3 of the paper."""

    # As chosen by benchmarks/learn.py; the rate is 1e-3 for steps of 8 videos.
    RECIPES: ClassVar[Recipes] = {
        "small": {
            **{"augment": "none", "erase": 0.0, "mixup": 0.0, "cutmix": 0.0, "min_area": 0.8, "num_samples": 1},
            **{"drop_path": 0.0, "layer_decay": 1.0, "init_scale": 1.0, "clip_grad": 1.0},
            **{"base_lr": 0.032, "min_lr": 0.0},
        }
    }

    model: ModelName | None = option(None, "model", "size of the model (default: that of `init`, else vit-b)")
    image_size: int | None = option(None, "model", "side of the clips in pixels (default: that of `init`, else 224)")
    frames: int | None = option(None, "model", "frames in a clip (default: those of `init`, else 16)", least=1)
    tubelet: int | None = option(None, "model", "frames in a token (default: those of `init`, else 2)", least=1)
    patch: int | None = option(None, "model", "side of a token in pixels (default: that of `init`, else 16)")

    sampling: Literal["dense", "sparse"] = option("dense", "recipe", "frames of a stretch, or spread over all (SSv2)")
    batch_size: int = option(8, "recipe", "videos in a batch, of each process", least=1)
    num_samples: int = option(2, "recipe", "differently augmented copies of each decoded video", least=1)
    epochs: int = option(100, "recipe", "times every video is seen", least=1)
    warmup_epochs: float | None = option(None, "recipe", "epochs of rising rate (default: a twentieth of `epochs`)")
    min_lr: float = option(1e-6, "recipe", "where the cosine ends, for a batch of 256 videos", least=0)
    beta2: float = option(0.999, "recipe", "AdamW's second beta", least=0, below=1)
    layer_decay: float = option(0.9, "recipe", "a block's rate is this share of the next one's", above=0, most=1)
    drop_path: float = option(0.35, "recipe", "stochastic depth of the last block", least=0, below=1)
    head_dropout: float = option(0.0, "recipe", "dropout before the last layer", least=0, below=1)
    init_scale: float = option(0.001, "recipe", "factor on the last layer's initial weights")
    ema: float | None = option(None, "recipe", "average the weights with this decay and test that", above=0, below=1)
    balance: float = option(0.0, "recipe", "draw rare classes more; 1: all as often, 0.5: half-way", least=0, most=1)
    class_weights: float = option(0.0, "recipe", "weigh rare classes; 1: by inverse counts", least=0, most=1)
    multi_label: bool = option(False, "recipe", "learn all labels of each clip, with a sigmoid for each class")
    freeze: int = option(0, "recipe", "freeze the embedding and the first N blocks", least=0)
    teacher: str | None = option(None, "recipe", "distil a trained model into this one: anything that `init` takes")
    distill: Literal["logits", "features"] = option("logits", "recipe", "what of `teacher` is learned")
    distill_weight: float = option(0.5, "recipe", "share of `teacher` in the loss, beside the labels", least=0, most=1)
    attentive_probe: bool = option(False, "recipe", "train an attention over all blocks of the frozen encoder")
    linear_probe: bool = option(False, "recipe", "train the last layer only, on features of the frozen encoder")

    augment_on: Literal["auto", "workers", "device"] = option(
        "auto", "run", "who augments: processes that decode, or the model's device; auto: the device where it is a GPU"
    )
    augment: str = option("rand-m7-n4-mstd0.5-inc1", "augmentation", "RandAugment policy, or 'none'")
    flip: bool = option(True, "augmentation", "mirror half of the clips (never where left and right are labels)")
    min_area: float = option(0.08, "augmentation", "smallest share of the picture in a random crop", above=0, most=1)
    erase: float = option(0.25, "augmentation", "share of the clips with a random box erased", least=0, most=1)
    smoothing: float = option(0.1, "augmentation", "label smoothing", least=0, below=1)
    mixup: float = option(0.8, "augmentation", "mixup's alpha; 0: no mixup", least=0)
    cutmix: float = option(1.0, "augmentation", "CutMix's alpha; 0: no CutMix", least=0)

    segments: int = option(5, "test", "test views along time", least=1)
    crops: int = option(3, "test", "test views along the longer side", least=1)
    choose: Literal["last", "best", "loss"] = option("last", "test", "weights to test: last, or best val score or loss")
    validate_epochs: int = option(1, "test", "epochs between looks at the val side; 0: never", least=0)

    @property
    def warmup(self) -> float:
        """Epochs of warm-up."""
        return self.epochs / 20 if self.warmup_epochs is None else self.warmup_epochs

    def __post_init__(self) -> None:
        _check_training(self)
        pairs = "an even number of clips in a batch (mixup pairs them), or `mixup` 0 and `cutmix` 0"
        is_even = self.batch_size * self.num_samples % 2 == 0
        check_options(
            self,
            [
                (is_even or not (self.mixup or self.cutmix), "batch_size", pairs),
                (not (self.linear_probe and self.attentive_probe), "attentive_probe", "one kind of probe"),
                (not (self.linear_probe and self.teacher), "teacher", "none with `linear_probe`"),
            ],
        )


@dataclass(frozen=True)
class EvaluateOptions(DataOptions, RunOptions):
    """Every option of ``tiktokactions evaluate``."""

    side: Literal["train", "val", "test", "all"] = option("test", "data", "side of the data to look at")
    stride: int | None = option(None, "test", "take every N-th frame of the video (default: as trained)", least=1)
    segments: int = option(5, "test", "views along time", least=1)
    crops: int = option(3, "test", "views along the longer side", least=1)
    views_per_pass: int = option(16, "run", "views computed at a time", least=1)

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True)
class PredictOptions(EvaluateOptions):
    """Every option of ``tiktokactions predict``."""

    top: int = option(5, "test", "labels shown for each video", least=1)
    window_s: float | None = option(None, "test", "seconds of a window, for labels or features over time", above=0)
    step_s: float | None = option(None, "test", "seconds from one window to the next (default: `window_s`)", above=0)


def _check_training(options: PretrainOptions | FinetuneOptions) -> None:
    check_bounds(options)
    warmup, epochs, highest = options.warmup_epochs, options.epochs, options.base_lr
    check_options(
        options,
        [
            (warmup is None or 0 <= warmup <= epochs, "warmup_epochs", f"0 to `epochs` ({epochs})"),
            (options.min_lr <= highest, "min_lr", f"0 to `base_lr` ({highest:g})"),
        ],
    )
