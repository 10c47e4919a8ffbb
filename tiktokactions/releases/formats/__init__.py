"""One file per format that other programs read. Each has ``write(export, out)``; the same dataset gives the same bytes."""

from typing import Literal, get_args

Format = Literal[
    "kinetics",
    "videomae",
    "webdataset",
    "huggingface",
    "parquet",
    "coco",
    "activitynet",
    "fiftyone",
    "labelstudio",
    "ids",
]
NAMES: tuple[Format, ...] = get_args(Format)
"""All formats, without importing what writes them."""
