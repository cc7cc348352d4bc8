"""The native API of any running server, whatever model it serves.

Runs under pytest against a mock server. As a program it checks yours, and exits with 1 if a check
fails:

    python tests/test_inference_api.py --url http://127.0.0.1:7000
    python tests/test_inference_api.py --url http://127.0.0.1:1223 --token "$TOKEN"
"""

import argparse
import json
import sys
import traceback
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from processes import Running

SECONDS = 60
TEXT = "Once upon a time there was a"
SEEDS = range(17, 20)
SHORTEST = 12  # characters of a reply that can show anything


class Api:
    """A server under test."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str) -> requests.Response:
        return requests.get(self._url + path, headers=self._headers, timeout=SECONDS)

    def post(self, body: object, path: str = "/inference/falcon40b") -> requests.Response:
        """Send a body (bytes as they are) and read the whole answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = requests.post(
            self._url + path, data=data, headers=self._headers, timeout=SECONDS, stream=True
        )
        answer.chunks = list(answer.iter_content(None))  # type: ignore[attr-defined]
        return answer

    def body(self, **fields: object) -> dict[str, object]:
        """Return a request whose reply is always the same, and not empty."""
        return {"text": TEXT, "seed": self.seed, "max_tokens": 24} | fields

    def reply(self, **fields: object) -> str:
        """Return the text of the reply to `body`."""
        answer = self.post(self.body(**fields))
        assert answer.status_code == 200, text_of(answer)
        return text_of(answer)

    @cached_property
    def seed(self) -> int:
        """Return the first seed whose reply is long enough to be cut, compared and resumed."""
        for seed in SEEDS:
            answer = self.post({"text": TEXT, "seed": seed, "max_tokens": 24})
            assert answer.status_code == 200, text_of(answer)
            if len(text_of(answer)) >= SHORTEST:
                return seed
        raise AssertionError(
            f"no reply to {TEXT!r} has {SHORTEST} characters, whatever the seed: nothing to check"
        )


def text_of(answer: requests.Response) -> str:
    chunks: list[bytes] = answer.chunks  # type: ignore[attr-defined]
    return b"".join(chunks).decode()


def error_of(answer: requests.Response) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(text_of(answer))
    assert body["status_code"] == answer.status_code
    return body


def is_alive_and_ready(api: Api) -> None:
    for path in ("/liveness", "/readiness", "/health", "/health_check"):
        assert api.get(path).status_code == 200, path


def streams_raw_text_in_chunks(api: Api) -> None:
    answer = api.post(api.body())
    assert answer.status_code == 200, text_of(answer)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert len(text_of(answer)) >= SHORTEST


def repeats_a_reply_for_the_same_seed(api: Api) -> None:
    first, again = ([api.reply(seed=seed) for seed in SEEDS] for _ in range(2))
    assert first == again
    assert len(set(first)) > 1, "other seeds bring other replies"


def tells_the_seed_that_brings_a_reply_again(api: Api) -> None:
    answers = [api.post({"text": TEXT, "max_tokens": 24}) for _ in SEEDS]
    seeds = [int(answer.headers["X-Rowcast-Seed"]) for answer in answers]
    told = [text_of(answer) for answer in answers]
    assert [api.reply(seed=seed) for seed in seeds] == told
    assert len(set(told)) > 1, "each request without a seed gets one of its own"


def stops_before_a_stop_sequence_of_several_characters(api: Api) -> None:
    whole = api.reply()
    sequence = whole[len(whole) // 3 :][:5]
    assert api.reply(stop_sequence=sequence) == whole.partition(sequence)[0]


def stops_at_max_tokens(api: Api) -> None:
    whole = api.reply()
    cut = api.reply(max_tokens=4).rstrip("\N{REPLACEMENT CHARACTER}")
    assert whole.startswith(cut)
    assert len(cut) < len(whole)


def repeats_the_prompt_when_asked_to(api: Api) -> None:
    assert api.reply(return_prompt=True) == TEXT + api.reply()


def takes_numbers_as_strings(api: Api) -> None:
    strings = {"temperature": "1", "top_k": "10", "top_p": "0.9", "max_tokens": "24"}
    assert api.reply(**strings) == api.reply()


def answers_at_once_in_json_when_asked_to(api: Api) -> None:
    body = json.loads(api.reply(stream=False))
    assert body["answer"] == api.reply()
    assert body["completion_tokens"] <= 24


def streams_events_on_chat(api: Api) -> None:
    answer = api.post(api.body(), "/chat/falcon40b")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = [event.splitlines() for event in text_of(answer).split("\n\n") if event]
    pieces = [lines[-1].removeprefix("data: ") for lines in events if lines[0].startswith("id: ")]
    assert "".join(json.loads(piece)["text"] for piece in pieces) == api.reply()
    assert events[-1][0] == "event: end"


def refuses_malformed_json_with_its_place(api: Api) -> None:
    answer = api.post(b'{"text": "a",\n "top_k": 3,}')
    assert answer.status_code == 400
    assert "line 2" in error_of(answer)["message"]


def refuses_values_out_of_range_by_name(api: Api) -> None:
    for name, value in {"temperature": 0, "top_k": 0, "top_p": 2, "max_tokens": 9999}.items():
        answer = api.post({"text": TEXT, name: value})
        assert answer.status_code == 400
        assert name in error_of(answer)["message"]


def refuses_an_empty_text(api: Api) -> None:
    answer = api.post({"text": ""})
    assert answer.status_code == 400
    assert "text" in error_of(answer)["message"]


CHECKS: tuple[Callable[[Api], None], ...] = (
    is_alive_and_ready,
    streams_raw_text_in_chunks,
    repeats_a_reply_for_the_same_seed,
    tells_the_seed_that_brings_a_reply_again,
    stops_before_a_stop_sequence_of_several_characters,
    stops_at_max_tokens,
    repeats_the_prompt_when_asked_to,
    takes_numbers_as_strings,
    answers_at_once_in_json_when_asked_to,
    streams_events_on_chat,
    refuses_malformed_json_with_its_place,
    refuses_values_out_of_range_by_name,
    refuses_an_empty_text,
)


def pytest_generate_tests(metafunc: Any) -> None:
    """Make one test per check; written so that the program does not need pytest."""
    metafunc.parametrize("check", CHECKS, ids=lambda check: check.__name__)


def test_the_server(server: "Running", check: Callable[[Api], None]) -> None:
    check(Api(server.url))


def main(arguments: list[str]) -> int:
    """Run every check, print each, and return 1 if one failed."""
    parser = argparse.ArgumentParser(description="Checks the native API of a running server.")
    parser.add_argument("--url", default="http://127.0.0.1:7000", help="server or proxy")
    parser.add_argument("--token", default="", help="a token for the proxy")
    chosen = parser.parse_args(arguments)
    failed, api = 0, Api(chosen.url, chosen.token)
    for check in CHECKS:
        problem = _problem_of(check, api)
        failed += bool(problem)
        print(f"{'FAILED' if problem else 'ok    '}  {check.__name__.replace('_', ' ')}{problem}")
    print(f"{len(CHECKS) - failed} of {len(CHECKS)} checks passed at {chosen.url}")
    return 1 if failed else 0


def _problem_of(check: Callable[[Api], None], api: Api) -> str:
    """Return what went wrong, on its own lines; empty if the check passed."""
    try:
        check(api)
    except (AssertionError, requests.RequestException, KeyError, ValueError) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"\n        {type(error).__name__}: {error or place.line}"
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
