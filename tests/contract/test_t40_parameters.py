"""T-40 to T-46: every parameter, its bounds, its defaults, and numbers sent as strings."""

import pytest

from contract.asking import is_error, post
from contract.drawing import SEEDS, firsts, likeliest
from processes import Running
from scripted_replies import scripted_reply

TEXT = "What is your favorite condiment?"
SEED = 21

BOUNDS = {
    "temperature": (0.01, 100, (0, 0.009, 100.1, -1)),
    "top_p": (0.01, 1, (0, 0.009, 1.01, -1)),
    "top_k": (1, 1000, (0, 1001, -1, 1.5)),
    "max_tokens": (1, 2048, (0, 2049, -1, 1.5)),
}


def _status(server: Running, **fields: object) -> int:
    return post(server.port, {"text": TEXT, "max_tokens": 2} | fields).status


def _assert_bounds(server: Running, name: str) -> None:
    low, high, beyond = BOUNDS[name]
    for allowed in (low, high):
        assert _status(server, **{name: allowed}) == 200
    for refused in beyond:
        answer = post(server.port, {"text": TEXT, name: refused})
        assert is_error(answer, 400, name, f"{low:g}", f"{high:g}")


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": None}, {"max_tokens": 3}])
def test_t40_text_is_required(server: Running, body: dict[str, object]) -> None:
    assert is_error(post(server.port, body), 400, "text")


@pytest.mark.parametrize("text", [1, True, ["a"], {"a": "b"}])
def test_t40_text_is_a_string(server: Running, text: object) -> None:
    assert is_error(post(server.port, {"text": text}), 400, "text", "string")


def test_t41_temperature_from_0_01_to_100(server: Running) -> None:
    _assert_bounds(server, "temperature")
    for named in (0.1, 1, 10):
        assert _status(server, temperature=named) == 200


@pytest.mark.slow
def test_t41_below_1_it_prefers_what_is_likely_and_above_1_it_evens_out(draft: Running) -> None:
    (best, *_) = likeliest(draft)
    cold, calm, hot = (firsts(draft, temperature=each) for each in (0.1, 1, 10))
    assert cold[best] > calm[best] > hot[best]
    assert len(cold) < len(calm) < len(hot)
    assert len(hot) > len(SEEDS) / 2, "next to everything is as likely as everything else"


@pytest.mark.slow
def test_t41_the_default_is_1(draft: Running) -> None:
    named = firsts(draft, temperature=1)
    assert firsts(draft, temperature=None) == named
    assert firsts(draft, temperature=2) != named


def test_t42_max_tokens_from_1_to_2048(server: Running) -> None:
    _assert_bounds(server, "max_tokens")


@pytest.mark.parametrize("limit", [1, 7, 32])
def test_t42_max_tokens_is_the_longest_reply(server: Running, limit: int) -> None:
    answer = post(server.port, {"text": TEXT, "seed": SEED, "max_tokens": limit})
    assert answer.text == scripted_reply(TEXT, SEED, limit).text


def test_t42_the_default_is_128_tokens(server: Running) -> None:
    answer = post(server.port, {"text": TEXT, "seed": SEED})
    assert answer.text == scripted_reply(TEXT, SEED, 128).text


def test_t43_top_k_from_1_to_1000(server: Running) -> None:
    _assert_bounds(server, "top_k")


@pytest.mark.slow
def test_t43_top_k_1_is_greedy(draft: Running) -> None:
    (best, *_) = likeliest(draft)
    assert firsts(draft, top_k=1, temperature=100) == {best: len(SEEDS)}


@pytest.mark.parametrize("count", [2, 3, 10])
def test_t43_only_the_top_k_likeliest_are_drawn(draft: Running, count: int) -> None:
    """The temperature is so high that every allowed token occurs."""
    allowed = list(likeliest(draft))[:count]
    assert set(firsts(draft, top_k=count, temperature=100)) == set(allowed)


@pytest.mark.slow
def test_t43_top_k_1000_leaves_next_to_everything(draft: Running) -> None:
    assert len(firsts(draft, top_k=1000, temperature=100)) > len(SEEDS) / 2


@pytest.mark.slow
def test_t43_the_default_is_10(draft: Running) -> None:
    named = firsts(draft, top_k=10, temperature=100)
    assert firsts(draft, top_k=None, temperature=100) == named


def test_t44_top_p_from_0_01_to_1(server: Running) -> None:
    _assert_bounds(server, "top_p")


@pytest.mark.slow
def test_t44_top_p_0_01_is_near_greedy(draft: Running) -> None:
    (best, *_) = likeliest(draft)
    assert firsts(draft, top_p=0.01) == {best: len(SEEDS)}


@pytest.mark.slow
@pytest.mark.parametrize("mass", [0.4, 0.6, 0.8])
def test_t44_only_the_fewest_tokens_that_have_that_mass_are_drawn(
    draft: Running, mass: float
) -> None:
    assert set(firsts(draft, top_p=mass)) == set(_nucleus(likeliest(draft), mass))


@pytest.mark.slow
def test_t44_top_p_1_cuts_nothing(draft: Running) -> None:
    ranked = likeliest(draft)
    assert set(firsts(draft, top_p=1)) > set(_nucleus(ranked, 0.8))
    assert len(firsts(draft, top_p=1, temperature=100)) > len(SEEDS) / 2


def _nucleus(ranked: dict[str, float], mass: float) -> list[str]:
    """Return the likeliest tokens that together reach this probability."""
    found: list[str] = []
    for token, probability in ranked.items():
        found.append(token)
        mass -= probability
        if mass <= 0:
            break
    return found


def _reply(limit: int = 128) -> str:
    return scripted_reply(TEXT, SEED, limit).text


def _stopped_at(server: Running, sequence: str) -> str:
    body = {"text": TEXT, "seed": SEED, "stop_sequence": sequence}
    answer = post(server.port, body)
    assert answer.status == 200
    assert answer.whole
    return answer.text


@pytest.mark.parametrize("place", range(0, 60, 7))
@pytest.mark.parametrize("length", [1, 2, 5, 17])
def test_t45_a_stop_sequence_of_any_length_ends_the_reply_before_itself(
    server: Running, place: int, length: int
) -> None:
    """The sequence may be within a token, or span several tokens that arrive separately."""
    sequence = _reply()[place : place + length]
    assert _stopped_at(server, sequence) == _reply().partition(sequence)[0]


def test_t45_a_multi_character_sequence_is_not_matched_by_its_beginning(server: Running) -> None:
    beginning = _reply()[10:14]
    assert _stopped_at(server, beginning + "\N{SNOWMAN}") == _reply()


def test_t45_the_default_is_the_models_own_end_of_text(server: Running) -> None:
    seed = next(s for s in range(500) if scripted_reply(TEXT, s).reason == "stop")
    answer = post(server.port, {"text": TEXT, "seed": seed})
    assert answer.text == scripted_reply(TEXT, seed).text
    assert "endoftext" not in answer.text


AS_STRINGS = {"temperature": "1", "top_k": "40", "top_p": "0.9", "max_tokens": "32", "seed": "21"}


def test_t46_numbers_may_come_as_strings(server: Running) -> None:
    answer = post(server.port, {"text": TEXT} | AS_STRINGS)
    assert answer.text == scripted_reply(TEXT, SEED, 32).text


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("value", ["abc", "", "1_0", "0x10", "NaN", "inf", True, [], {}])
def test_t46_what_is_no_number_is_a_400_that_names_field_and_range(
    server: Running, name: str, value: object
) -> None:
    high = BOUNDS[name][1]
    assert is_error(post(server.port, {"text": TEXT, name: value}), 400, name, f"{high:g}")


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e400"])
def test_t46_a_number_that_is_not_finite_is_a_400(server: Running, literal: bytes) -> None:
    body = b'{"text": "Hello", "temperature": ' + literal + b"}"
    assert is_error(post(server.port, body), 400)
