"""What a project's file may say, and what is said of one that cannot be followed."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiktokactions as ta
from tests.projects import CURATE, REPORT, SPLIT, written
from tiktokactions.cli import derive, parser
from tiktokactions.commands.run import SHIPPED
from tiktokactions.commands.signatures import words_of
from tiktokactions.projects.project import COMMANDS

STUDY = "[[step]]\ncommand = 'study scaling'\ndata = 'd'\nevaluate_on = 'd'\noutput = 's'\nsizes = [1, 2, 3]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "no step in it", id="empty"),
        pytest.param("step = []", "no step in it", id="no step"),
        pytest.param("[[step]]\nvideos = 'v'", "step 1: .*'command'", id="no command"),
        pytest.param(
            "[[step]]\ncommand = 'cook'", "command 'cook', expected one of demo, hashtags propose", id="unknown"
        ),
        pytest.param("[[step]]\ncommand = 'review'", "command 'review', expected one of", id="one that serves"),
        pytest.param(f"{CURATE}{CURATE}", "step curate: two steps have this name", id="two of one name"),
        pytest.param(
            f"{CURATE}min_person = 3", "step curate: unknown name min_person; expected .* audio", id="no option"
        ),
        pytest.param(f"{CURATE}crf = 'two'", "step curate: crf: got 'two': Expected 'int'", id="another type"),
        pytest.param(f"{CURATE}samples = 0", "step curate: samples: got 0, expected 1 or more", id="out of range"),
        pytest.param(f"{CURATE}min-clip-s = 2", "min_clip_s and min-clip-s are one option; give it once", id="twice"),
        pytest.param(f"{CURATE}shard = '1/2'", "step curate: shard is not for a file", id="an option of run"),
        pytest.param(f"{STUDY}pretrain_config = {{epoch = 2}}", "pretrain_config: unknown option epoch", id="a recipe"),
        pytest.param(f"{STUDY}finetune_config = {{epochs = 0}}", "finetune_config: epochs: got 0", id="recipe's range"),
        pytest.param(f"{CURATE}progress = 1", "unknown name progress", id="a callback"),
        pytest.param(
            "[[step]]\ncommand = 'curate'\noutput = 'd'", "step curate: videos must be given", id="too little"
        ),
        pytest.param(f"{CURATE}torchrun = '--standalone'", "torchrun starts pretrain, .*, not curate", id="torchrun"),
        pytest.param(f"{CURATE}wait_for_review = true", "wait_for_review is for 'review apply'", id="waits for nobody"),
        pytest.param(f"{SPLIT}{CURATE}", "dataset-split: reads data, which only step curate makes, later", id="order"),
        pytest.param(f"{CURATE}[plan]\nvideos = 'many'", "plan: videos: got 'many'", id="plan"),
        pytest.param(f"{CURATE}[other]\n", "unknown field 'other'", id="another table"),
        pytest.param("[[step]\n", "Expected", id="no TOML"),
    ],
)
def test_a_file_that_cannot_be_followed_is_refused_before_anything_is_done(text, message, tmp_path):
    with pytest.raises(ta.UsageError, match=f"project.toml.*{message}"):
        ta.run(written(tmp_path, text))
    assert [path.name for path in tmp_path.iterdir()] == ["project.toml"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"until": "cook"}, "`until`: got 'cook', expected one of curate, dataset-split, report"),
        ({"from_step": "cook"}, "`from`: got 'cook'"),
        ({"from_step": "report", "until": "curate"}, "`from` report: stands after `until` curate"),
        ({"write": "desk"}, "`write`: got 'desk', expected one of laptop, lab, paper"),
        ({"write": "lab"}, "is there already and another file"),
    ],
    ids=["until", "from", "backwards", "no such file", "another file is there"],
)
def test_options_that_make_no_sense(options, message, tmp_path):
    with pytest.raises(ta.UsageError, match=message):
        ta.run(written(tmp_path, CURATE + SPLIT + REPORT), **options)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_file_can_be_had_and_followed(name, tmp_path):
    planned = ta.run(tmp_path / "mine" / "file.toml", write=name, dry_run=True)
    assert {step.state for step in planned.steps} == {"to do"} and len(planned.steps) >= 9
    assert planned.needs is not None and any("GPU-h" in need.unit for need in planned.needs.needs)
    again = ta.run(tmp_path / "mine" / "file.toml", write=name, dry_run=True)
    assert again == planned, "the same command twice"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file.toml"], "a dry run leaves nothing"


def options_of_steps() -> list[derive.Command]:
    return [command for command in derive.all_commands() if " ".join(command.words) in COMMANDS]


def test_every_step_is_a_command_and_no_option_is_hidden_by_the_words_of_a_step():
    assert len(options_of_steps()) == len(COMMANDS)
    ours = {"command", "name", "torchrun", "wait_for_review"}
    assert not [option.name for command in options_of_steps() for option in command.options if option.name in ours]


CALLS = {
    "curate": {"videos": ["v", "w"], "output": "data", "keep_duplicates": True, "second_look": False},
    "collect_run": {"hashtags": "h.csv", "output": "c", "per_hashtag": 5, "region": ["US", "GB"]},
    "pretrain": {"data": ["a", "b"], "output": "r", "mix": [1.0, 2.0], "normalize_target": False, "model": "tiny"},
    "finetune": {"data": ["a"], "output": "r", "init": "p", "flip": False},
    "download": {"collection": "c", "entitled": True, "curate_into": "d", "delete_raw": False},
}


@pytest.mark.parametrize("name", CALLS)
def test_what_a_person_would_type_means_the_same(name):
    """It is what torchrun is given, and what plan and report show."""
    [command] = [command for command in derive.all_commands() if command.name == name]
    call, heard = CALLS[name], list[parser.Typed]()
    words = [*command.words, *words_of(command.function, call)]

    def hear(_: derive.Command, typed: parser.Typed) -> int:
        heard.append(typed)
        return 0

    app = parser.build_app(words, hear)
    function, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False)
    function(*bound.args, **bound.kwargs)
    assert {n: heard[0][n] for n in call if n in heard[0]} == {n: v for n, v in call.items() if n in heard[0]}
    assert all(value is False for n, value in call.items() if n not in heard[0]), "what is off need not be typed"


def test_paths_are_looked_for_beside_the_file(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    file = written(tmp_path / "deep", CURATE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ta.UsageError, match="videos"):
        ta.run(Path("deep/project.toml"))
    assert Path.cwd() == tmp_path and (file.parent / "project.chain" / "chain.json").is_file()
