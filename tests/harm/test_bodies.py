"""One team's costly bodies, and another team's stream at the same time (findings H1, H5, M8)."""

import json
from collections.abc import Iterator

import pytest

from commands.abuse.attacks.shot import CHAT, Shot
from harm.witness import Harm, Witness, witnessed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    """One server for all of these bodies: what is answered leaves nothing behind."""
    with witnessed(tmp_path_factory.mktemp("bodies")) as witness:
        yield witness


def expect_no_stall(harm: Harm) -> None:
    """Check that the witness's stream has no gap beyond its calm ones, within noise."""
    assert harm.seen.chunks, "the witness saw nothing"
    assert harm.seen.cuts == 0
    assert not harm.died
    assert harm.seen.stall <= max(2.0, 10 * harm.calm.stall), (
        f"{harm.seen.stall:.2f} s, calm {harm.calm.stall:.3f} s"
    )


def test_h1_runs_of_digits(scripted: Witness) -> None:
    digits = ("9" * 1000 + " ") * 4180
    with scripted.attacked() as harm:
        answers = scripted.deliver(Shot.of({**_completion(scripted), "prompt": digits}), seconds=60)
    assert answers.counts == {"400": 1}
    expect_no_stall(harm)


@pytest.mark.parametrize("unit", ["{}", "[]", '{"":1}', "1.5", '""', "9" * 999])
def test_h1_values_by_the_million(scripted: Witness, unit: str) -> None:
    values = ",".join([unit] * ((4 << 20) // (len(unit) + 1) - 100))
    body = f'{{"model": "{scripted.facts.model}", "prompt": "Hi", "metadata": [{values}]}}'
    with scripted.attacked() as harm:
        answers = scripted.deliver(Shot(body=body.encode()))
    assert answers.counts in ({"400": 1}, {"200": 1})
    expect_no_stall(harm)


def test_h5_long_stop_strings_that_a_reply_follows(scripted: Witness) -> None:
    text = scripted.ask(body={**_completion(scripted), "max_tokens": 900}).json()["choices"][0]
    stops = [text["text"][:1023] + chr(0x4E00 + number) for number in range(16)]
    body = {**_completion(scripted), "max_tokens": 900, "n": 16, "stop": stops, "stream": True}
    with scripted.attacked() as harm:
        answers = scripted.deliver(Shot.of(body), seconds=60)
    assert answers.counts == {"200": 1}
    expect_no_stall(harm)


def test_h5_a_stop_string_that_is_too_long_is_refused(scripted: Witness) -> None:
    refused = scripted.ask(body={**_completion(scripted), "stop": ["x" * 1025]})
    assert refused.status == 400
    assert "1024" in refused.text


@pytest.mark.parametrize("depth", [129, 480, 700, 900, 100_000])
def test_m8_a_body_that_nests_deeply_is_a_400_that_says_so(scripted: Witness, depth: int) -> None:
    body = json.dumps(_completion(scripted))[:-1].encode()
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        nested = opening * depth + b"1" + closing * depth
        refused = scripted.ask(body=body + b', "metadata": ' + nested + b"}")
        assert refused.status == 400
        assert "nested too deeply" in refused.text
        assert "the limit is 128" in refused.text
    assert "Traceback" not in scripted.server.output()


@pytest.mark.parametrize("depth", [130, 500, 960])
def test_m8_json_in_strings_is_no_deeper(scripted: Witness, depth: int) -> None:
    schema = '{"not":' * depth + "{}" + "}" * depth
    function = {"name": "f", "arguments": '{"a":' * depth + "1" + "}" * depth}
    call = {"id": "c", "type": "function", "function": function}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    asked = {"model": scripted.facts.model, "max_tokens": 1}
    messages = [{"role": "user", "content": "Hi"}, said]
    for body, path in (
        ({**_completion(scripted), "guided_json": schema}, "/v1/completions"),
        ({**asked, "messages": messages}, CHAT),
    ):
        refused = scripted.ask(path, body)
        assert refused.status == 400, refused.text
        assert "nested too deeply" in refused.text
    assert "Traceback" not in scripted.server.output()


def _completion(witness: Witness) -> dict[str, object]:
    return {"model": witness.facts.model, "prompt": "Once", "seed": 1, "ignore_eos": True}
