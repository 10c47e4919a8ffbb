"""The commands ``pretrain``, ``finetune``, ``evaluate``, ``predict`` and ``export``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

from tiktokactions.cli.commands import DONE, command
from tiktokactions.cli.options import add_options, options_of

if TYPE_CHECKING:
    from tiktokactions.model.run import Run

MODEL_GROUP_TITLES = {
    "data": "the data",
    "model": "the model",
    "recipe": "the recipe (defaults: the paper's)",
    "augmentation": "augmentation",
    "test": "looking at results",
    "run": "this run",
}
PRETRAIN_EXAMPLE = """\
Example:
  tiktokactions pretrain data/ -o runs/pretrained --model tiny --batch-size 2 --epochs 2
  tiktokactions pretrain data/ -o runs/paper --batch-size 4 --dry-run
"""


FINETUNE_EXAMPLE = """\
Example:
  tiktokactions finetune data/ -o runs/finetuned --init runs/pretrained --batch-size 2 --epochs 2
"""


EVALUATE_EXAMPLE = """\
Example:
  tiktokactions evaluate runs/finetuned data/
"""


PREDICT_EXAMPLE = """\
Example:
  tiktokactions predict runs/finetuned videos/walking/one.mp4
  tiktokactions predict runs/finetuned videos/ --features features.parquet
"""


EXPORT_EXAMPLE = """\
Example:
  tiktokactions export runs/finetuned -o huggingface/ --to huggingface
"""


def add_model(commands: Any) -> None:
    from tiktokactions.model.options import EvaluateOptions, FinetuneOptions, PredictOptions, PretrainOptions

    pretrain = command(commands, "pretrain", "pre-train VideoMAE V2 on videos", PRETRAIN_EXAMPLE, _pretrain)
    pretrain.add_argument("data", nargs="+", metavar="DATA", help="datasets, folders of videos or lists")
    pretrain.add_argument(
        "--mix", nargs="+", type=float, metavar="WEIGHT", help="how much of an epoch comes from each DATA"
    )
    finetune = command(commands, "finetune", "fine-tune a classifier and test it", FINETUNE_EXAMPLE, _finetune)
    finetune.add_argument("data", metavar="DATA", help="a split dataset, official splits, a list or class folders")
    finetune.add_argument("--val", metavar="DATA", help="other data to look at after epochs (default: DATA's val side)")
    finetune.add_argument("--test", metavar="DATA", help="other data to test on at the end (default: DATA's test side)")
    for parser, kind in ((pretrain, PretrainOptions), (finetune, FinetuneOptions)):
        parser.add_argument(
            "-o", "--output", metavar="RUN", required=True, help="run folder; the same command goes on in it"
        )
        parser.add_argument(
            "--init", metavar="RUN|FILE", help="weights to begin with: a run, .pth or Hugging Face folder"
        )
        parser.add_argument("--dry-run", action="store_true", help="print what would be done, in numbers, and end")
        add_options(parser, kind, MODEL_GROUP_TITLES)

    evaluate = command(commands, "evaluate", "test a fine-tuned run", EVALUATE_EXAMPLE, _evaluate)
    evaluate.add_argument("fine_tuned", metavar="RUN", help="a run of 'finetune'")
    evaluate.add_argument("data", metavar="DATA", help="a split dataset, official splits, a list or class folders")
    evaluate.add_argument("-o", "--output", metavar="FOLDER", help="for predictions and pictures (default: in RUN)")
    add_options(evaluate, EvaluateOptions, MODEL_GROUP_TITLES)

    predict = command(commands, "predict", "labels of any videos, or their features", PREDICT_EXAMPLE, _predict)
    predict.add_argument("fine_tuned", metavar="RUN", help="a run of 'finetune'; for features also of 'pretrain'")
    predict.add_argument(
        "videos", nargs="+", metavar="VIDEO", help="files, folders, globs, lists or datasets (their accepted clips)"
    )
    predict.add_argument("--features", metavar="FILE.parquet", help="write pooled features instead of predicting")
    add_options(predict, PredictOptions, MODEL_GROUP_TITLES)

    export = command(commands, "export", "write a run's weights as other programs read them", EXPORT_EXAMPLE, _export)
    export.add_argument("weights", metavar="RUN|FILE", help="a run, .pth or Hugging Face folder")
    export.add_argument("-o", "--output", metavar="OUT", required=True, help="a folder, or a .pth for 'official'")
    export.add_argument(
        "--to", choices=["huggingface", "official"], default="huggingface", help="(default: %(default)s)"
    )


def _pretrain(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.cli.progress import show_training
    from tiktokactions.model.options import PretrainOptions

    with show_training() as progress:
        result = api.pretrain(
            arguments.data,
            arguments.output,
            init=arguments.init,
            mix=arguments.mix,
            dry_run=arguments.dry_run,
            progress=progress,
            **options_of(arguments, PretrainOptions),
        )
    _print_training(result, arguments.json)
    return DONE


def _finetune(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.cli.progress import show_training
    from tiktokactions.model.options import FinetuneOptions

    with show_training() as progress:
        result = api.finetune(
            arguments.data,
            arguments.output,
            val=arguments.val,
            test=arguments.test,
            init=arguments.init,
            dry_run=arguments.dry_run,
            progress=progress,
            **options_of(arguments, FinetuneOptions),
        )
    _print_training(result, arguments.json, tests=True)
    return DONE


def _print_training(run: Run, as_json: bool, tests: bool = False) -> None:
    if os.environ.get("RANK", "0") != "0":
        return
    result = run.as_json()
    if as_json:
        print(json.dumps(result))
    elif "finished" not in result:
        for name, value in result.items():
            print(
                f"{name.replace('_', ' '):20} {value:,}"
                if isinstance(value, int)
                else f"{name.replace('_', ' '):20} {value:.4g}"
            )
    else:
        state = "finished" if result["finished"] else "stopped, the same command goes on"
        print(f"{result['run']}: {state}, {result['steps']:,} steps, loss {result['loss']:.4f}")
        if "cross_validated_top1" in result:
            print(f"cross-validated top-1 on the train side: {result['cross_validated_top1']:.1%}")
        if "test" in result:
            print_evaluation(result["test"])
        elif tests and result["finished"]:
            print("not tested: the data have no test side, and no --test was given; 'evaluate' tests it on other data")


def print_evaluation(result: dict[str, Any]) -> None:
    interval = f"95 % interval {result['top1_low']:.1%} to {result['top1_high']:.1%}"
    print(f"{result['data']}: {result['videos']:,} videos, {result['classes']} classes, {result['views']} views each")
    print(f"  top-1               {result['top1']:.2%}  ({interval})")
    print(f"  top-5               {result['top5']:.2%}")
    print(f"  mean class accuracy {result['mean_class_accuracy']:.2%}")
    print(f"  predictions, table and confusion matrix: {result['folder']}")


def _evaluate(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.cli.progress import show_training
    from tiktokactions.model.options import EvaluateOptions

    with show_training() as progress:
        result = api.evaluate(
            arguments.fine_tuned,
            arguments.data,
            arguments.output,
            progress=progress,
            **options_of(arguments, EvaluateOptions),
        )
    if os.environ.get("RANK", "0") == "0":
        if arguments.json:
            print(json.dumps(dataclasses.asdict(result)))
        else:
            print_evaluation(dataclasses.asdict(result))
    return DONE


def _predict(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.cli.progress import show_training
    from tiktokactions.model.options import PredictOptions

    with show_training() as progress:
        result = api.predict(
            arguments.fine_tuned,
            arguments.videos,
            features=arguments.features,
            progress=progress,
            **options_of(arguments, PredictOptions),
        )
    if isinstance(result, api.FeaturesWritten):
        told = dataclasses.asdict(result)
        print(
            json.dumps(told)
            if arguments.json
            else f"{result.features}: {result.videos} videos, {result.length} numbers each"
        )
    elif arguments.json:
        print(json.dumps([dataclasses.asdict(prediction) for prediction in result]))
    else:
        for prediction in result:
            print(prediction.path)
            for guess in prediction.top:
                print(f"  {guess.probability:7.2%}  {guess.label}")
    return DONE


def _export(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    path = api.export(arguments.weights, arguments.output, to=arguments.to)
    print(json.dumps({"output": str(path)}) if arguments.json else str(path))
    return DONE
