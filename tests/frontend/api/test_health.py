"""Health over HTTP: alive, ready, and the true reason if not.

Covers `frontend/frontend`, `served_model`.
"""

import pytest

from rowcast.frontend.app import create_app

from ..serving import Served, error_of, frontend_of, serving
from ..sessions.played import road

HEALTH = ["/readiness", "/health", "/health_check", "/"]


@pytest.mark.parametrize("path", HEALTH)
def test_a_ready_server_says_what_it_serves(served: Served, path: str) -> None:
    response = served.client.get(path)
    assert response.status_code == 200
    report = response.get_json()
    assert report["status"] == "ready"
    assert report["model"] == "scripted"
    assert report["rows"]["of"] == 32
    assert report["context_length"] == 4096


def test_only_administrators_are_shown_how_many_tokens_all_teams_have_sent() -> None:
    with serving(settings={"proxy_secret": None}) as served:
        client = served.app.test_client()
        counts = client.get("/health").get_json()["prefixes"]
        assert counts == {"looked_up": 0, "found": 0, "entries": 0, "bytes": 0, "limit": 0}
        forwarded = client.get("/health", headers={"X-Rowcast-Proxy": "1"})
        assert "prefixes" not in forwarded.get_json()


def test_liveness_says_that_the_process_answers(served: Served) -> None:
    response = served.client.get("/liveness")
    assert (response.status_code, response.get_json()) == (200, {"status": "alive"})


@pytest.mark.parametrize("path", [*HEALTH, "/liveness"])
def test_health_answers_a_head(served: Served, path: str) -> None:
    response = served.client.head(path)
    assert (response.status_code, response.data) == (200, b"")


def test_without_a_backend_it_lives_but_is_not_ready() -> None:
    with road() as made:
        client = create_app(frontend_of(made.sessions)).test_client()
        assert client.get("/liveness").status_code == 200
        for path in HEALTH:
            response = client.get(path)
            assert response.status_code == 503
            assert response.get_json() == {
                "status": "not ready",
                "reason": "no backend is connected",
            }
        refused = client.post("/", json={"text": "Hi"})
        assert error_of(refused, 503) == "no backend is connected"
        assert int(refused.headers["Retry-After"]) >= 1


def test_a_stopping_server_sends_new_prompts_away_and_is_not_ready() -> None:
    with serving() as served:
        served.frontend.stop()
        refused = served.post(text="Hi")
        assert "stopping" in error_of(refused, 503)
        assert int(refused.headers["Retry-After"]) >= 1
        assert served.client.get("/liveness").status_code == 200
        assert served.client.get("/readiness").status_code == 503
