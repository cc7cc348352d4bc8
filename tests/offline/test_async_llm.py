"""`AsyncLLM`: many requests of one event loop, each as it is generated."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from rowcast import AsyncLLM, AsyncLLMServer, RequestOutput, RowcastError, SamplingParams
from rowcast.errors import InvalidField
from scripted_replies import scripted_reply

Used = Callable[[AsyncLLM], Coroutine[Any, Any, None]]


def with_llm(use: Used, **settings: Any) -> None:
    """Use a fresh AsyncLLM in an event loop of its own."""

    async def run() -> None:
        async with AsyncLLM("scripted", **settings) as llm:
            await asyncio.wait_for(use(llm), 60)

    asyncio.run(run())


async def all_of(outputs: AsyncIterator[RequestOutput]) -> list[RequestOutput]:
    return [output async for output in outputs]


def test_outputs_grow_until_the_last_one() -> None:
    async def use(llm: AsyncLLM) -> None:
        params = SamplingParams(max_tokens=30, seed=3)
        outputs = await all_of(llm.generate("Hello", params, "mine"))
        texts = [output.outputs[0].text for output in outputs]
        assert texts[-1] == scripted_reply("Hello", 3, 30).text
        assert all(after.startswith(before) for before, after in pairwise(texts))
        assert len(outputs) > 2
        assert [output.finished for output in outputs] == [False] * (len(outputs) - 1) + [True]
        assert {output.request_id for output in outputs} == {"mine"}

    with_llm(use, step_seconds=0.01)


def test_many_run_at_once_and_the_loop_goes_on() -> None:
    async def use(llm: AsyncLLM) -> None:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.005)
                beats += 1

        async def one(seed: int) -> str:
            params = SamplingParams(max_tokens=12, seed=seed)
            return (await all_of(llm.generate("Hello", params)))[-1].outputs[0].text

        beating = asyncio.create_task(beat())
        texts = await asyncio.gather(*(one(seed) for seed in range(400)))
        assert texts == [scripted_reply("Hello", seed, 12).text for seed in range(400)]
        assert beats > 10
        beating.cancel()

    with_llm(use, step_seconds=0.005)


def test_an_aborted_request_ends_with_that_reason() -> None:
    async def use(llm: AsyncLLM) -> None:
        endless = SamplingParams(max_tokens=2000, ignore_eos=True)
        reading = asyncio.create_task(all_of(llm.generate("Hello", endless, "long")))
        await asyncio.sleep(0.3)
        await llm.abort("long")
        await llm.abort("unknown")
        last = (await reading)[-1]
        assert last.finished
        assert last.outputs[0].finish_reason == "abort"
        async for output in llm.generate("Hello", endless):
            assert not output.finished
            break  # leaving the iterator ends the request, too
        while llm._runtime.served.sessions:
            await asyncio.sleep(0.01)

    with_llm(use, step_seconds=0.01)


def test_the_name_of_an_aborted_request_is_free_at_once() -> None:
    async def use(llm: AsyncLLM) -> None:
        endless = SamplingParams(max_tokens=2000, ignore_eos=True)
        params = SamplingParams(max_tokens=20, ignore_eos=True, seed=3)
        reading = llm.generate("Hello", endless, "same")
        await anext(reading)
        await llm.abort("same")
        again = llm.generate("Hello", params, "same")
        await anext(again)
        assert [output.finished for output in await all_of(reading)][-1:] == [True]
        last = (await all_of(again))[-1].outputs[0]
        assert (last.finish_reason, len(last.token_ids)) == ("length", 20)

    with_llm(use, step_seconds=0.01)


def test_mistakes_are_raised_to_their_own_request() -> None:
    async def use(llm: AsyncLLM) -> None:
        with pytest.raises(InvalidField, match="prompt is a list"):
            await all_of(llm.generate(["a", "b"]))  # type: ignore[list-item]
        with pytest.raises(RowcastError, match=r"context holds .*: shorten it"):
            await all_of(llm.generate("x" * 20000))
        slow = SamplingParams(max_tokens=50, ignore_eos=True)
        reading = asyncio.create_task(all_of(llm.generate("Hello", slow, "same")))
        await asyncio.sleep(0.1)
        with pytest.raises(InvalidField, match="request_id 'same' is in use"):
            await all_of(llm.generate("Hello", slow, "same"))
        assert len((await reading)[-1].outputs[0].token_ids) == 50

    with_llm(use, step_seconds=0.01)


def test_a_chat_streams_too() -> None:
    async def use(llm: AsyncLLM) -> None:
        hello = [{"role": "user", "content": "Hello"}]
        outputs = await all_of(llm.chat(hello, SamplingParams(max_tokens=6, seed=1)))
        expected = scripted_reply("user: Hello\nassistant:", 1, 6).text
        assert outputs[-1].outputs[0].message is not None
        assert outputs[-1].outputs[0].message["content"] == expected

    with_llm(use)


def test_the_end_of_the_decoder_is_raised_to_all() -> None:
    async def use(llm: AsyncLLM) -> None:
        endless = SamplingParams(max_tokens=2000, ignore_eos=True)
        reading = [asyncio.create_task(all_of(llm.generate("Hello", endless))) for _ in range(3)]
        await asyncio.sleep(0.3)
        llm.close()
        for each in reading:
            with pytest.raises(RowcastError, match="closed"):
                await each

    with_llm(use, step_seconds=0.01)


def test_it_has_the_name_that_cacheflow_gave_it() -> None:
    assert AsyncLLMServer is AsyncLLM
