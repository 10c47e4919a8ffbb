"""The command line: what is typed reaches the functions, and exit codes and output keep their promises."""

from __future__ import annotations

import dataclasses
import json
import typing
from datetime import date
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tiktokactions import cli
from tiktokactions.cli.derive import Command, Option, all_commands
from tiktokactions.curation.options import CurateOptions

SUMMARY = api.CurateResult("d", 3, 1, 1, 1, 2.5, 3, 0, 0, 0, {}, 0, "none")
RESULT = SimpleNamespace(last_run=SUMMARY)
"""What the command line asks of the dataset that ``curate`` returns."""


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What ``curate`` was called with."""
    calls: list[dict[str, Any]] = []

    def curate(videos: Any, output: Any, **options: Any) -> SimpleNamespace:
        options.pop("progress")
        calls.append({"videos": videos, "output": output, **options})
        return RESULT

    monkeypatch.setattr(api, "curate", curate)
    return calls


@pytest.mark.parametrize(
    ("typed", "options"),
    [
        ([], {}),
        (["--min-person-frames", "6"], {"min_person_frames": 6}),
        (
            ["--scenes", "adaptive", "--scene-param", "window_width=3"],
            {"scenes": "adaptive", "scene_param": ("window_width=3",)},
        ),
        (["--short-side", "source", "--fps", "30000/1001"], {"short_side": None, "fps": Fraction(30000, 1001)}),
        (["--short-side", "240", "--audio"], {"short_side": 240, "audio": True}),
        (["--no-audio", "--person-score", "0.5"], {"audio": False, "person_score": 0.5}),
    ],
)
def test_what_is_typed_reaches_the_function_and_nothing_else(
    typed: list[str], options: dict[str, Any], called: list[dict[str, Any]]
) -> None:
    assert cli.main(["curate", "a", "b", "-o", "d", *typed]) == 0
    assert called == [{"videos": ["a", "b"], "output": "d", **options}]


def test_a_configuration_file_sets_the_same_names(tmp_path: Path, called: list[dict[str, Any]]) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        'min_person_frames = 6\nshort_side = "source"\nperson_score = 1\nfps = "24000/1001"\nscene_param = ["luma_only=1"]\n'
    )
    assert cli.main(["curate", "a", "-o", "d", "--config", str(config), "--min-person-frames", "7"]) == 0
    assert called[0] == {
        "videos": ["a"],
        "output": "d",
        "min_person_frames": 7,
        "short_side": None,
        "person_score": 1.0,
        "fps": Fraction(24000, 1001),
        "scene_param": ("luma_only=1",),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min_people = 6", "unknown name min_people; expected some of ai_labelled, audio, crf"),
        ("min_person_frames = 'six'", "min_person_frames: got 'six': Expected 'int'"),
        ("audio = 1", "audio: got 1: Expected 'bool'"),
        ("scenes = 'magic'", "scenes: got 'magic', expected one of"),
        ("min_person_frames = ", "Invalid value"),
    ],
)
def test_a_wrong_configuration_file_is_an_error(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], called: list[dict[str, Any]]
) -> None:
    (tmp_path / "c.toml").write_text(text)
    assert cli.main(["curate", "a", "-o", "d", "--config", str(tmp_path / "c.toml")]) == 2
    assert message in capsys.readouterr().err
    assert called == []


def test_every_option_has_a_flag_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["curate", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for field in dataclasses.fields(CurateOptions):
        assert "--" + field.name.replace("_", "-") in shown
        assert field.metadata["help"].split(";")[0][:40] in shown
    assert "Example: tiktokactions curate videos/ -o data/" in shown


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (api.UsageError("bad input"), 2),
        (api.DiskFullError("disk full"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_have_exit_codes_and_one_line(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(api, "curate", fails)
    assert cli.main(["curate", "a", "-o", "d"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert str(error) in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("changes", [{"uncut": {"v": "gone"}}, {"outdated": 2}])
def test_what_needs_attention_exits_1(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(api, "curate", lambda **k: SimpleNamespace(last_run=dataclasses.replace(SUMMARY, **changes)))
    assert cli.main(["curate", "a", "-o", "d"]) == 1
    assert "attention: " in capsys.readouterr().err


def test_json_is_one_object_with_the_promised_names(
    called: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["curate", "a", "-o", "d", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (
        said.items()
        >= {"dataset": "d", "videos": 3, "accepted": 1, "needs_review": 1, "rejected": 1, "seconds": 2.5}.items()
    )


@pytest.mark.parametrize("arguments", [[], ["dataset"]])
def test_a_command_without_its_part_shows_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    assert "Commands" in capsys.readouterr().out


def test_commands_work_on_a_real_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "videos/dance/a.mp4", numbered_frames(120, 160, 160))
    dataset = str(tmp_path / "dataset")
    assert cli.main(["curate", str(tmp_path / "videos"), "-o", dataset, "--detector", "none"]) == 0
    said = capsys.readouterr()
    assert "needs review        1" in said.out
    assert "1/1 videos | 0 accepted, 1 to review, 0 rejected" in said.err
    assert cli.main(["curate", str(tmp_path / "videos"), "-o", dataset, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["curated"] == 0
    assert cli.main(["dataset", "stats", dataset, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["videos"] == 1
    assert cli.main(["dataset", "verify", dataset]) == 0
    assert "1 records and 1 clips checked, 0 problems" in capsys.readouterr().out
    assert cli.main(["dataset", "card", dataset]) == 0
    assert Path(capsys.readouterr().out.strip()).read_text().startswith("---\n")
    next(Path(dataset).glob("clips/*/*")).unlink()
    assert cli.main(["dataset", "verify", dataset]) == 1
    assert cli.main(["curate", str(tmp_path / "nowhere"), "-o", dataset]) == 2


def test_doctor_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "missing  yolox-nano" in said
    assert "to get it: " in said


def typed_value(option: Option) -> str:
    """Something that can be typed for an option, whatever its type."""
    kind = typing.get_args(option.kind)[0] if option.takes_several else option.kind
    return str(typing.get_args(kind)[0]) if typing.get_origin(kind) is typing.Literal else TYPED[kind]


TYPED = {str: "x", int: "3", float: "0.5", Fraction: "24", date: "2024-01-01"}


def all_options(*, several: bool) -> list[Any]:
    return [
        pytest.param(command, option, id=f"{command.typed} {option.flags[-1]}")
        for command in all_commands()
        for option in command.options
        if option.flags and option.kind is not bool and option.takes_several is several
    ]


def what_is_called(command: Command, typed: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, Any]]:
    """Type a command with something for all that must be given; the exit code and what its function was called with."""
    calls: list[dict[str, Any]] = []

    def function(**given: Any) -> None:
        calls.append(given)
        raise api.UsageError("enough")

    monkeypatch.setattr(api, command.name, function)
    needed = [o for o in command.options if o.required and not (typed and typed[0] in o.flags)]
    words = [word for o in needed for word in ([o.flags[-1], typed_value(o)] if o.flags else ["x"])]
    return cli.main([*command.words, *words, *typed]), calls[0] if calls else {}


@pytest.mark.parametrize(("command", "option"), all_options(several=True))
def test_a_repeated_list_adds_up(command: Command, option: Option, monkeypatch: pytest.MonkeyPatch) -> None:
    flag, value = option.flags[-1], typed_value(option)
    _, apart = what_is_called(command, [flag, value, flag, value, value], monkeypatch)
    _, together = what_is_called(command, [flag, value, value, value], monkeypatch)
    assert len(apart[option.name]) == 3 and apart[option.name] == together[option.name]


@pytest.mark.parametrize(("command", "option"), all_options(several=False))
def test_any_other_repeated_option_is_an_error(
    command: Command, option: Option, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flag, value = option.flags[-1], typed_value(option)
    code, given = what_is_called(command, [flag, value, flag, value], monkeypatch)
    assert (code, given) == (2, {})
    assert "specified multiple times" in capsys.readouterr().err


def test_lists_are_the_ones_that_one_expects() -> None:
    lists = {o.flags[-1] for command in all_commands() for o in command.options if o.takes_several and o.flags}
    assert lists == {
        "--also", "--at", "--check-against", "--from", "--labels", "--labels-from",
        "--measure", "--mix", "--region", "--remove", "--scene-param", "--sides",
        "--sizes", "--steps", "--targets", "--test", "--val",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["curate"], "VIDEOS"),
        (["curate", "a", "--bogus", "3"], "Unknown option: --bogus"),
        (["curate", "a", "--samples", "many"], 'unable to convert "many" into int'),
        (["curate", "a", "--scenes", "magic"], 'Invalid value "magic" for --scenes'),
        (["dataset", "export", "a", "-o", "b"], "--format"),
        (["nonsense"], 'Unknown command "nonsense"'),
        (["dataset", "nonsense"], 'Unknown command "nonsense"'),
    ],
    ids=" ".join,
)
def test_bad_usage_is_one_line(typed: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(typed) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: ") and said.err.count("\n") == 1 and message in said.err


def test_a_dash_stands_for_standard_input(called: list[dict[str, Any]]) -> None:
    assert cli.main(["curate", "-", "-o", "d"]) == 0
    assert called[0]["videos"] == ["-"]


def test_no_help_text_is_empty_or_shows_a_tuple() -> None:
    for command in all_commands():
        for option in command.options:
            assert len(option.help) > 8 and "(default: (" not in option.help, (
                f"{command.typed} {option.name}: {option.help!r}"
            )
            assert not option.help.startswith(("of ", "which")), f"{command.typed} {option.name}: {option.help!r}"
