"""The command ``review DATASET`` and its parts ``apply | status | invite | export | import``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Any

from tiktokactions.cli.commands import ATTENTION, DONE, command, group
from tiktokactions.cli.options import add_options, options_of

REVIEW_EXAMPLE = """\
Example:
  tiktokactions review data/
  tiktokactions review apply data/

A folder that has the name of a command is given as a path: tiktokactions review ./apply
"""
SERVE_EXAMPLE = "Example:\n  tiktokactions review data/\n"
GROUP_TITLES = {"server": "the pages", "queue": "what is shown", "people": "several people"}
PARTS = ("serve", "apply", "status", "invite", "export", "import")


def with_review_part(argv: Sequence[str]) -> list[str]:
    """``review DATASET`` is short for ``review serve DATASET``."""
    if len(argv) > 1 and argv[0] == "review" and argv[1] not in (*PARTS, "-h", "--help"):
        return ["review", "serve", *argv[1:]]
    return list(argv)


def add_review(commands: Any) -> None:
    from tiktokactions.reviews.options import ReviewOptions

    description = "People judge and label clips on a page of this machine: tiktokactions review DATASET"
    parts = group(commands, "review", "people judge and label clips on a web page", description, REVIEW_EXAMPLE)
    serve = command(parts, "serve", "show the pages; the same as 'review DATASET'", SERVE_EXAMPLE, _serve)
    serve.add_argument("dataset", metavar="DATASET")
    add_options(serve, ReviewOptions, GROUP_TITLES)
    apply = command(
        parts,
        "apply",
        "turn what was decided into statuses, labels and clips",
        "Example:\n  tiktokactions review apply data/\n",
        _apply,
    )
    apply.add_argument("dataset", metavar="DATASET")
    apply.add_argument(
        "--aggregate",
        choices=("majority", "dawid-skene", "mace", "glad"),
        help="how several judgements become one (default: as the last time, at first majority)",
    )
    apply.add_argument("--watch", action="store_true", help="go on applying new decisions until interrupted")
    status = command(
        parts,
        "status",
        "who decided what, agreement, precision per hashtag",
        "Example:\n  tiktokactions review status data/\n",
        _status,
    )
    status.add_argument("dataset", metavar="DATASET")
    invite = command(
        parts,
        "invite",
        "a token with which a person may judge under their name",
        "Example:\n  tiktokactions review invite data/ Ann\n",
        _invite,
    )
    invite.add_argument("dataset", metavar="DATASET")
    invite.add_argument("name", metavar="NAME")
    invite.add_argument("--owner", action="store_true", help="who also settles conflicts and sees everybody's figures")
    _add_exchange(parts)


def _add_exchange(parts: Any) -> None:
    export = command(
        parts,
        "export",
        "tasks or decisions for Label Studio (.json), or as .csv or .jsonl",
        "Example:\n  tiktokactions review export data/ -o tasks.json\n",
        _export,
    )
    export.add_argument("dataset", metavar="DATASET")
    export.add_argument("-o", "--output", required=True, metavar="FILE", help=".json, .csv or .jsonl")
    export.add_argument("--decisions", action="store_true", help="what was decided, instead of tasks")
    export.add_argument(
        "--queue", default="review", help="review, sample, conflicts or label:LABEL (default: %(default)s)"
    )
    export.add_argument(
        "--media-url", metavar="URL", help="where the platform finds the clips (default: Label Studio's local storage)"
    )
    imported = command(
        parts,
        "import",
        "answers given elsewhere: Label Studio's export (.json), .csv or .jsonl",
        "Example:\n  tiktokactions review import data/ answers.csv\n",
        _import,
    )
    imported.add_argument("dataset", metavar="DATASET")
    imported.add_argument("answers", metavar="FILE", help=".json, .csv or .jsonl")
    imported.add_argument("--gold", action="store_true", help="these answers are known to be right: make gold items")


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _serve(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.reviews.options import ReviewOptions

    applied = api.review(arguments.dataset, report=_report, **options_of(arguments, ReviewOptions))
    return _print_applied(applied, arguments.json)


def _apply(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    if arguments.watch:
        api.review_watch(arguments.dataset, aggregate=arguments.aggregate, report=_report)
    applied = api.review_apply(arguments.dataset, aggregate=arguments.aggregate, report=_report)
    return _print_applied(applied, arguments.json)


def _print_applied(applied: Any, as_json: bool) -> int:
    if as_json:
        print(json.dumps(dataclasses.asdict(applied)))
    else:
        print(f"{applied.changed} of {applied.verdicts} verdicts new, in {applied.dataset}, by {applied.method}")
        for status in ("accepted", "needs_review", "rejected"):
            print(f"  {status.replace('_', ' '):13} {getattr(applied, status):>7}")
        print(
            f"{applied.cut} clips cut, {applied.removed} of rejected videos removed, {applied.conflicts} conflicts open"
        )
    for video_id, problem in sorted(applied.problems.items()):
        print(f"attention: {video_id}: {problem}", file=sys.stderr)
    return ATTENTION if applied.problems else DONE


def _status(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    report = api.review_status(arguments.dataset)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(report)))
        return DONE
    print(
        f"{report.videos_judged} videos judged, {report.videos_decided} decided, {report.conflicts} conflicts open"
        f" ({report.k} judgements a video)"
    )
    for person in report.reviewers:
        pace = "" if person.seconds_per_video is None else f", {person.seconds_per_video:.1f} s a video"
        right = f", gold {person.gold_right} of {person.gold_answered}" if person.gold_answered else ""
        print(
            f"  {person.name}: {person.judged} judged ({person.accepted} accepted, {person.rejected} rejected,"
            f" {person.unsure} unsure){pace}{right}"
        )
    for name, alpha in (("accept or reject", report.alpha_verdict), ("labels", report.alpha_labels)):
        if alpha is not None:
            print(f"Krippendorff's alpha, {name}: {alpha:.3f}")
    for pair in report.pairs:
        kappa = "undefined" if pair.kappa is None else f"{pair.kappa:.3f}"
        print(f"  {pair.a} and {pair.b}: {pair.agreed} of {pair.videos} alike, Cohen's kappa {kappa}")
    for label in report.precision:
        share = f"{label.precision:.1%} ({label.low:.1%} to {label.high:.1%})" if label.judged else "unknown"
        print(f"precision of {label.label}: {share}, {label.right} of {label.judged} right, {label.waiting} waiting")
    return DONE


def _invite(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    role = "owner" if arguments.owner else "reviewer"
    invitation = api.review_invite(arguments.dataset, arguments.name, role=role)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(invitation)))
    else:
        print(f"{invitation.reviewer} ({invitation.role}) judges with this token, which is shown only once:")
        print(invitation.token)
    return DONE


def _export(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    what = "decisions" if arguments.decisions else "tasks"
    written = api.review_export(
        arguments.dataset, arguments.output, what=what, queue=arguments.queue, media_url=arguments.media_url
    )
    if arguments.json:
        print(json.dumps({"file": arguments.output, what: written}))
    else:
        print(f"{written} {what} in {arguments.output}")
    return DONE


def _import(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    imported = api.review_import(arguments.dataset, arguments.answers, as_gold=arguments.gold)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(imported)))
    else:
        print(f"{imported.added} answers taken in, {imported.known} known before, {len(imported.refused)} refused")
    for problem in imported.refused:
        print(f"attention: {problem}", file=sys.stderr)
    return ATTENTION if imported.refused else DONE
