"""The OpenAPI description is right: schemathesis sends what it allows and what it does not, and checks each answer."""

from __future__ import annotations

import warnings

import pytest

from tests.reviews.web.visits import Visitor
from tests.reviews.worlds import a_desk, doubtful
from tiktokactions.reviews import people
from tiktokactions.reviews.web import create_app

EXAMPLES = 12


def test_what_is_described(tmp_path):
    desk = a_desk(tmp_path / "data", doubtful(1))
    described = Visitor(desk).get("/openapi.json").json()
    desk.close()
    assert {"/api/decisions", "/api/undo", "/api/next", "/api/videos/{video_id}", "/api/report"} <= set(
        described["paths"]
    )
    assert not [path for path in described["paths"] if not path.startswith("/api/")]
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"] and operation.get("description"), f"{method} {path} says nothing of itself"
            assert {"200", "400", "401", "403", "422"} <= set(operation["responses"]), f"{method} {path}"


@pytest.mark.parametrize("who", ["owner", "nobody"])
def test_schemathesis(tmp_path, who):
    schemathesis = pytest.importorskip("schemathesis")
    import hypothesis

    desk = a_desk(tmp_path / "data", doubtful(6))
    try:
        owner = people.set_owner_token(desk.store, "a-token-of-the-owner")
        assert owner.role == "owner"
        headers = {"Host": "127.0.0.1:8000"} | (
            {"Authorization": "Bearer a-token-of-the-owner"} if who == "owner" else {}
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the guests' own libraries
            schema = schemathesis.openapi.from_asgi(
                "/openapi.json", create_app(desk), headers={"Host": "127.0.0.1:8000"}
            )
            for found in schema.get_all_operations():
                operation = found.ok()
                if operation.path.endswith("/disable"):
                    continue  # shuts the owner's guests out; tested by itself

                @hypothesis.given(case=operation.as_strategy())
                @hypothesis.settings(
                    max_examples=EXAMPLES,
                    deadline=None,
                    database=None,
                    derandomize=True,
                    suppress_health_check=list(hypothesis.HealthCheck),
                )
                def check(case):
                    answer = case.call(headers=headers)
                    case.validate_response(answer, excluded_checks=[schemathesis.checks.CHECKS.get_one("ignored_auth")])
                    if who == "nobody" and case.path != "/api/join":
                        assert answer.status_code in (400, 401, 404, 405, 413, 415, 422)

                check()
    finally:
        desk.close()
