"""Pre-train without labels, fine-tune with them, test. Without ``tiny`` and ``epochs`` these are the paper's recipes."""

import sys
from pathlib import Path

import tiktokactions as ta

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    small = {"model": "tiny", "frames": 4, "batch_size": 2, "epochs": 1, "workers": 0, "device": "cpu"}
    run = ta.pretrain(folder / "data", folder / "runs" / "pretrained", **small)
    tuned = ta.finetune(folder / "data", folder / "runs" / "finetuned", init=run, **small)
    tested = tuned.evaluate(folder / "data")
    print(f"top-1 {tested.top1:.1%}, 95 % interval {tested.top1_low:.1%} to {tested.top1_high:.1%}")
    for prediction in tuned.predict(folder / "videos", top=1):
        print(prediction.path, prediction.top[0])
