"""`LLM`: prompts, chats and scores, and what happens when something ends in the middle.

Covers `in_flight`, `returned`, `generation/prepared`, `chat_request`, `runtime`, `decoder_process`,
`outputs`, `struct_types`.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from processes import family, gone, until
from rowcast import LLM, RequestOutput, RowcastError, SamplingParams, StructuredOutputsParams
from rowcast.errors import InvalidField, PromptTooLong
from rowcast.offline import runtime
from rowcast.offline.generation import in_flight
from rowcast.offline.generation.inputs import PromptInput
from scripted_replies import scripted_reply

LONG = "x" * 20000


def text(prompt: str, seed: int, tokens: int) -> str:
    return scripted_reply(prompt, seed, tokens).text


def first(outputs: list[RequestOutput]) -> str:
    return outputs[0].outputs[0].text


def decoders(llm: LLM) -> list[psutil.Process]:
    """Return the launcher of an LLM, and the backend that it has forked."""
    return family(llm._runtime._process.pid)


def test_outputs_come_in_the_order_of_the_prompts(llm: LLM) -> None:
    prompts = [f"Hello {number}" for number in range(700)]  # more than are in flight at once
    outputs = llm.generate(prompts, SamplingParams(max_tokens=9, seed=5))
    assert [output.prompt for output in outputs] == prompts
    assert [output.outputs[0].text for output in outputs] == [text(p, 5, 9) for p in prompts]
    assert all(output.finished and output.seed == 5 for output in outputs)


def test_a_prompt_may_be_text_or_tokens_in_any_of_four_forms(llm: LLM) -> None:
    params, tokens = SamplingParams(max_tokens=8, seed=3), list(b"Hello")
    forms: list[PromptInput] = ["Hello", {"prompt": "Hello"}, tokens, {"prompt_token_ids": tokens}]
    outputs = llm.generate(forms, params)
    assert {first([output]) for output in outputs} == {text("Hello", 3, 8)}
    assert [output.prompt for output in outputs] == ["Hello", "Hello", None, None]
    assert first(llm.generate(tokens, params)) == first(llm.generate("Hello", params))
    assert llm.generate([], params) == []


def test_each_prompt_may_have_its_own_parameters(llm: LLM) -> None:
    each = [SamplingParams(max_tokens=number, seed=number) for number in range(1, 6)]
    outputs = llm.generate(["Hello"] * 5, each)
    assert [first([output]) for output in outputs] == [text("Hello", n, n) for n in range(1, 6)]
    with pytest.raises(InvalidField, match="5 entries for 2 prompts"):
        llm.generate(["a", "b"], each)


def test_a_generator_of_prompts_is_read_as_its_prompts_are_needed(llm: LLM) -> None:
    taken = []

    def prompts() -> Iterator[str]:
        for number in range(1000):
            taken.append(number)
            yield f"Hello {number}"
        raise RuntimeError("the source is broken")

    with pytest.raises(RuntimeError, match="the source is broken"):
        llm.generate(prompts(), SamplingParams(max_tokens=2))
    assert len(taken) == 1000
    few = (f"Hello {number}" for number in range(3))
    assert len(llm.generate(few, SamplingParams(max_tokens=2))) == 3


def test_a_prompt_that_is_too_long_raises_before_anything_is_computed(llm: LLM) -> None:
    steps = llm._runtime.served.status().steps
    with pytest.raises(PromptTooLong, match=r"prompts\[1\] has 20000 tokens; .*: shorten it"):
        llm.generate(["Hello", LONG, "Hello"], SamplingParams(max_tokens=2))
    assert llm._runtime.served.status().steps == steps
    with pytest.raises(InvalidField, match=r"prompts\[1\] is empty"):
        llm.generate(["Hello", ""])
    with pytest.raises(InvalidField, match=r"prompts\[0\] contains a token id outside"):
        llm.generate([[10**6]])


def test_several_replies_and_the_likeliest_of_more(llm: LLM) -> None:
    (all_six,) = llm.generate("Hello", SamplingParams(n=6, max_tokens=6, seed=4, logprobs=0))
    (best,) = llm.generate("Hello", SamplingParams(n=2, best_of=6, max_tokens=6, seed=4))
    means = {
        each.text: (each.cumulative_logprob or 0.0) / len(each.token_ids)
        for each in all_six.outputs
    }
    expected = sorted(means, key=lambda found: -means[found])[:2]
    assert [each.text for each in best.outputs] == expected
    assert [each.index for each in best.outputs] == [0, 1]
    assert best.outputs[0].logprobs is None


def test_logprobs_name_the_token_and_the_likeliest(llm: LLM) -> None:
    params = SamplingParams(max_tokens=5, seed=1, logprobs=2, prompt_logprobs=1)
    (output,) = llm.generate("Hi!", params)
    (reply,) = output.outputs
    assert reply.logprobs is not None
    assert len(reply.logprobs) == len(reply.token_ids) == 5
    for token, at in zip(reply.token_ids, reply.logprobs, strict=True):
        assert next(iter(at)) == token
        assert 2 <= len(at) <= 3
        assert {1, 2} <= {each.rank for each in at.values()}
    total = sum(
        at[token].logprob for token, at in zip(reply.token_ids, reply.logprobs, strict=True)
    )
    assert reply.cumulative_logprob == pytest.approx(total)
    assert output.prompt_logprobs is not None
    assert output.prompt_logprobs[0] is None
    assert [next(iter(at)) for at in output.prompt_logprobs[1:] if at] == list(b"i!")


def test_a_stop_string_ends_a_reply_and_is_named(llm: LLM) -> None:
    whole = text("Hello", 2, 20)
    stop = whole[12:16]
    (output,) = llm.generate("Hello", SamplingParams(max_tokens=20, seed=2, stop=[stop, "none"]))
    (reply,) = output.outputs
    assert reply.text == whole[: whole.index(stop)]
    assert (reply.finish_reason, reply.stop_reason) == ("stop", stop)
    params = SamplingParams(max_tokens=20, seed=2, stop=stop, include_stop_str_in_output=True)
    assert first(llm.generate("Hello", params)) == reply.text + stop
    until(lambda: llm._runtime.served.status().seated == 0, "the row is free")


def test_rules_are_followed(llm: LLM) -> None:
    for rule in (
        StructuredOutputsParams(choice=["yes", "no"]),
        StructuredOutputsParams(regex="[0-9]{3}"),
    ):
        params = SamplingParams(max_tokens=50, structured_outputs=rule)
        found = {first([each]) for each in llm.generate(["Hello"] * 20, params)}
        assert found <= {"yes", "no"} or all(each.isdigit() and len(each) == 3 for each in found)
    with pytest.raises(InvalidField, match=r"structured_outputs.regex cannot be followed"):
        llm.generate("Hello", SamplingParams(guided_decoding=StructuredOutputsParams(regex="(")))


def test_a_chat_has_the_message_as_the_api_returns_it(llm: LLM) -> None:
    hello = [{"role": "user", "content": "Hello"}]
    params = SamplingParams(max_tokens=9, seed=6)
    one, other = llm.chat([hello, [*hello, {"role": "user", "content": "again"}]], params)
    assert one.prompt == "user: Hello\nassistant:"
    assert first([one]) == text("user: Hello\nassistant:", 6, 9)
    assert one.outputs[0].message == {
        "role": "assistant",
        "content": one.outputs[0].text,
        "refusal": None,
    }
    assert other.prompt == "user: Hello\nuser: again\nassistant:"
    assert first(llm.chat(hello, params)) == first([one])


def test_a_chat_returns_the_call_of_a_tool(llm: LLM) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    (output,) = llm.chat(
        [{"role": "user", "content": "Hello"}],
        SamplingParams(max_tokens=400, seed=1),
        tools=[tool],
        tool_choice="required",
    )
    message = output.outputs[0].message
    assert message is not None
    assert message["tool_calls"][0]["function"]["name"] == "look"


def test_vllms_programs_run_with_another_import(llm: LLM) -> None:
    """Its examples of chats and of parameters, as its documents have them."""
    conversation = [
        {"role": "system", "content": "You are a helpful assistant"},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello! How can I assist you today?"},
        {"role": "user", "content": "Write an essay about the importance of higher education."},
    ]
    sampling_params = llm.get_default_sampling_params()
    sampling_params.max_tokens = 6
    sampling_params.seed = 5
    outputs = llm.chat(conversation, sampling_params, use_tqdm=False)
    for output in outputs:
        assert str(output.prompt).startswith("system: You are a helpful assistant\nuser: Hello\n")
    several = llm.chat([conversation] * 10, sampling_params=sampling_params, use_tqdm=True)
    assert [first([each]) for each in several] == [first(outputs)] * 10
    assert first(llm.generate(prompts="Hello", sampling_params=sampling_params)) == text(
        "Hello", 5, 6
    )
    with pytest.raises(InvalidField, match="chat_template is set for all chats"):
        llm.chat(conversation, sampling_params, chat_template="{{ messages }}")


def test_scores_are_those_of_the_texts_tokens(llm: LLM) -> None:
    whole, rest = llm.score(["Hello", "Hell"], ["", "o"]), llm.score("Hello")
    assert whole[0].logprobs == []
    assert whole[1].token_ids == [ord("o")]
    assert rest[0].logprobs[0] is None
    assert rest[0].logprobs[-1:] == whole[1].logprobs
    assert whole[1].cumulative_logprob == whole[1].logprobs[0]


@pytest.mark.slow
def test_the_seed_of_an_llm_is_the_origin_of_all_others() -> None:
    def texts(seed: int | None) -> list[str]:
        with LLM("scripted", seed=seed) as llm:
            outputs = llm.generate(["Hello"] * 3, SamplingParams(max_tokens=8))
        assert all(first([each]) == text("Hello", each.seed, 8) for each in outputs)
        return [first([output]) for output in outputs]

    assert texts(1) == texts(1)
    assert len({*texts(1), *texts(2), *texts(None)}) == 9


def test_several_threads_use_one_llm(llm: LLM) -> None:
    found: dict[int, list[str]] = {}

    def generate(seed: int) -> None:
        outputs = llm.generate(["Hello"] * 200, SamplingParams(max_tokens=6, seed=seed))
        found[seed] = [first([output]) for output in outputs]

    threads = [threading.Thread(target=generate, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {seed: [text("Hello", seed, 6)] * 200 for seed in range(6)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("whom", "how"),
    [(0, signal.SIGKILL), (0, signal.SIGTERM), (1, signal.SIGKILL)],
    ids=["launcher", "stopped launcher", "backend"],
)
def test_a_killed_decoder_changes_no_byte(whom: int, how: signal.Signals) -> None:
    prompts = [f"Hello {number}" for number in range(120)]
    params = SamplingParams(max_tokens=30, seed=8)
    with LLM("scripted", step_seconds=0.02) as llm:
        victim = decoders(llm)[whom]
        threading.Timer(0.5, victim.send_signal, (how,)).start()
        outputs = llm.generate(prompts, params)
        until(lambda: gone([victim]), "it has ended")
        assert first(llm.generate("Hello", params)) == text("Hello", 8, 30)
    assert [first([output]) for output in outputs] == [text(p, 8, 30) for p in prompts]


@pytest.mark.slow
def test_an_interruption_frees_all_rows() -> None:
    with LLM("scripted", step_seconds=0.02) as llm:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            llm.generate(["Hello"] * 500, SamplingParams(max_tokens=100, ignore_eos=True))
        assert len(llm._runtime.served.sessions) == 0
        until(lambda: llm._runtime.served.status().seated == 0, "all rows are free")
        assert first(llm.generate("Hello", SamplingParams(max_tokens=4, seed=1))) == text(
            "Hello", 1, 4
        )


def test_nothing_is_left_of_a_closed_llm() -> None:
    llm = LLM("scripted")
    processes, folder = decoders(llm), Path(str(llm._runtime.settings.backend_socket)).parent
    llm.close()
    llm.close()
    assert gone(processes)
    assert not folder.exists()
    with pytest.raises(RowcastError, match="this LLM was closed; make another one"):
        llm.generate("Hello")


def test_an_llm_that_nobody_refers_to_is_closed() -> None:
    llm = LLM("scripted")
    processes = decoders(llm)
    del llm
    until(lambda: gone(processes), "the decoder has ended")


def test_a_fork_has_to_make_its_own(llm: LLM) -> None:
    read, write = os.pipe()
    if not (child := os.fork()):
        try:
            llm.generate("Hello")
        except RowcastError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    assert b"belongs to the process that made it; make another one after the fork" in os.read(
        read, 1000
    )
    os.close(read)
    assert first(llm.generate("Hello", SamplingParams(max_tokens=4, seed=1))) == text("Hello", 1, 4)


def test_a_model_that_cannot_be_loaded_is_an_error_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(RowcastError, match="missing-model"):
        LLM(tmp_path / "missing-model")


def test_a_decoder_that_cannot_start_is_an_error_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runtime, "_COMMAND", ("/bin/sh", "-c", "echo rowcast: no rows >&2; exit 2"))
    before = time.monotonic()
    with pytest.raises(RowcastError, match="the decoder ended: no rows"):
        LLM("scripted", log=tmp_path / "log")
    assert time.monotonic() - before < in_flight.LOOK_SECONDS + 60
