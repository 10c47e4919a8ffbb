"""One file per format that other programs read. Each has ``write(export, out)``; the same dataset gives the same bytes."""

NAMES = ("kinetics", "videomae", "webdataset", "huggingface", "parquet", "coco", "fiftyone", "labelstudio", "ids")
"""All formats, without importing what writes them."""
