"""Reading results: what is accepted, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiktokactions.study.measurements import ResultsError, read_measurements

GOOD = "size,accuracy\n100,0.5\n200,0.6\n300,0.65\n"


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "results.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_sizes_are_sorted_and_repeated_sizes_are_runs(tmp_path):
    text = "size,accuracy,run,seed\n300,0.65,0,1\n100,0.5,0,1\n200,0.6,0,1\n100,0.54,1,2\n"
    found = read_measurements(written(tmp_path, text))
    assert found.sizes.tolist() == [100, 200, 300] and found.runs[0] == (0.5, 0.54)
    assert found.means[0] == pytest.approx(0.52) and found.counts.tolist() == [2, 1, 1] and found.total == 4
    assert found.within == pytest.approx(2 * 0.02**2)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "\ufeff" + GOOD,
        GOOD.replace("size,accuracy", "Size, Accuracy"),
        GOOD.replace("size,accuracy", "pretraining_videos,top1"),
        GOOD.replace(",", ";"),
        GOOD.replace(",", ";").replace(".", ","),
        GOOD.replace(",", "\t"),
    ],
    ids=[
        "plain",
        "byte order mark",
        "capitals and blanks",
        "the reference's names",
        "semicolons",
        "decimal commas",
        "tabs",
    ],
)
def test_spellings(tmp_path, text):
    for encoding in ("utf-8", "utf-16"):  # a spreadsheet's "Unicode text"
        assert read_measurements(written(tmp_path, text.lstrip("\ufeff"), encoding)).means.tolist() == [0.5, 0.6, 0.65]
    assert read_measurements(written(tmp_path, text)).means.tolist() == [0.5, 0.6, 0.65]


def test_metrics(tmp_path):
    rows = "".join(
        f"{s},{a + b},{m}\n" for m, b in (("top5", 0.3), ("top1", 0.0)) for s, a in ((1, 0.1), (2, 0.2), (3, 0.3))
    )
    path = written(tmp_path, "size,accuracy,metric\n" + rows)
    assert read_measurements(tmp_path).means.tolist() == [0.1, 0.2, 0.3], "a study's folder, top-1 first"
    assert read_measurements(path, "top5").means.tolist() == pytest.approx([0.4, 0.5, 0.6])
    with pytest.raises(ResultsError, match="metrics top5, top1; choose one"):
        read_measurements(path, "mAP")


def test_what_was_measured_without_real_videos_is_no_point_of_the_curve(tmp_path):
    found = read_measurements(written(tmp_path, GOOD + "0,0.42\n0,0.44\n"))
    assert found.sizes.tolist() == [100, 200, 300]
    assert found.notes == ("without real videos 43.0 % was measured (size 0): a floor, not a point of the curve",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size,accuracy\n100,50\n200,60\n300,65\n", r"line 2: accuracy 50, expected a fraction .*percent\? divide by 100"),
        ("size,accuracy\n100,0.5\n200,nan\n300,0.65\n", "line 3: accuracy is 'nan', expected a number"),
        ("size,accuracy\n100,0.5\n200,\n300,0.65\n", "line 3: accuracy is ''"),
        ("size,accuracy\n100,0,5\n200,0,6\n300,0,65\n", "line 2: more fields than the 2 columns size, accuracy"),
        ("size;accuracy\n1,000;0,5\n2,000;0,6\n3,000;0,65\n", "line 2: size is '1,000', a thousand .* Write 1000"),
        ("size;accuracy\n1'000'000;0,5\n2;0,6\n3;0,65\n", "line 2: size is .* Write 1000000"),
        ("size;accuracy\n900;0,5\n1\u202f500;0,6\n3;0,65\n", "line 3: size is .* Write 1500"),
        (GOOD.replace("100", "10%"), "line 2: size is '10%', expected a number; no per cent"),
        ("size,accuracy\n100,0.5\n100,0.6\n", "1 size.* measured, expected three or more"),
        ("size,accuracy\n100,0.5\n200,0.6\n", "2 size.* measured"),
        ("size;accuracy\n1.000;0,74\n2.000;0,83\n3.000;0,89\n", "line 2: size is '1.000', a thousand .* Write 1000"),
        ("size,accuracy\n0.125,0.5\n0.250,0.6\n1,0.7\n", "sizes from 0.125 to 1 look like shares; expected numbers"),
        (GOOD.replace("size,accuracy", "size,accuracy,accuracy").replace(".5", ".5,0.5"), "column 'accuracy' is there twice"),
        (GOOD + GOOD, "line 5: the header is there again"),
        (GOOD.replace("\n", ",\n"), "line 1: ends with ','"),
        (GOOD.replace("0.6", "0.6,"), "line 3: ends with ','"),
        ("size,accuracy,test_clips\n1,0.5,12\n2,0.6,13\n3,0.7,12\n", "test_clips has 12 and 13, expected one"),
        ("size,accuracy\n-5,0.5\n200,0.6\n300,0.65\n", "line 2: size -5"),
        ("size,accuracy,run\n100,0.5,0\n100,0.5,0\n200,0.6,0\n300,0.65,0\n", "lines 2 and 3: .* is there twice"),
        ("videos_seen,score\n100,0.5\n", "columns videos_seen, score; expected 'size' and 'accuracy'"),
        ("", r"columns \(none\)"),
    ],
    ids=["percent", "nan", "empty", "decimal commas", "thousands", "Swiss thousand", "French thousand", "per cent",
         "one size", "two", "thousand with a point", "shares",
         "doubled column", "joined files", "trailing in all", "trailing in one", "two test sets", "negative",
         "twice", "columns", "no file"],
)  # fmt: skip
def test_what_is_refused(tmp_path, text, message):
    with pytest.raises(ResultsError, match=message):
        read_measurements(written(tmp_path, text))


def test_missing_file(tmp_path):
    with pytest.raises(ResultsError, match=r"results\.csv: not found; expected the folder of a study"):
        read_measurements(tmp_path)


@pytest.mark.parametrize(
    ("text", "columns", "note"),
    [
        ("Wall time,Step,Value\n1.1,10,0.7\n2.1,20,0.8\n3.1,30,0.9\n", ("Step", "Value"), ""),
        ('"Name","State","num_videos","test/acc1"\n"a","finished","10","0.7"\n"b","crashed","10",""\n'
         '"c","finished","20","0.8"\n"d","finished","30","0.9"\n', ("num_videos", "test/acc1"),
         "1 run(s) that did not finish"),
        ("Name,_step,size,acc\na,9,10,0.6\na,9,10,0.8\nb,9,20,0.8\nc,9,30,0.9\n", (None, "acc"), ""),
        ("timestamp,step,size,acc\n1,0,10,0.7\n2,0,20,0.8\n3,0,30,0.9\n", (None, "acc"), ""),
        ("run_name,step,videos,loss,acc\na,0,10,3.1,\na,1,,2.2,0.4\na,2,,2.1,0.7\na,3,,2.0,\n"
         "b,0,20,3.1,\nb,1,,2.0,0.8\nc,0,30,3.0,0.6\nc,1,30,2.9,0.9\n", (None, "acc"), "of 8 lines, those with the last"),
        ('"clips","a - test/acc","a - test/acc__MIN","b - test/acc","b - test/acc__MIN"\n10,0.6,0.6,0.8,0.8\n'
         '20,0.8,0.8,"",""\n30,"","",0.9,0.9\n', ("clips", "test/acc"), ""),
    ],
    ids=["tensorboard", "wandb", "wandb, runs of one name", "trackio", "every step of trackio", "wandb, a chart"],
)  # fmt: skip
def test_exports(tmp_path, text, columns, note):
    path = written(tmp_path, text)
    found = read_measurements(path, size_column=columns[0], metric_column=columns[1])
    assert found.sizes.tolist() == [10, 20, 30] and found.means.tolist() == pytest.approx([0.7, 0.8, 0.9])
    assert [told.startswith(note) for told in found.notes] == [True] * bool(note)
    with pytest.raises(ResultsError, match="`metric_column`: got 'top9', expected one of the columns"):
        read_measurements(path, size_column=columns[0], metric_column="top9")
