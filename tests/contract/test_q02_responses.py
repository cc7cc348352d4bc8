"""Q-02: OpenAI's own client with /v1/responses: through the proxy, and while processes die."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.responses import Response

from processes import Running, running_server, until
from scripted_replies import long_reply, scripted_reply

from .conftest import Stack, encoded

TEXT = "user: Hello\nassistant:"
TOOL: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Rome", "Paris"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of two workers that keeps streams, slow enough to be killed in the middle."""
    folder = tmp_path_factory.mktemp("responses")
    env = {"JOURNAL": str(folder / "journal.db"), "WORKERS": "2", "STEP_SECONDS": "0.01"}
    with running_server(folder, env=env) as made:
        yield made


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="EMPTY", max_retries=3) as made:
        yield made


def strict(response: Response) -> Response:
    """Return the response; every field is what OpenAI's types say."""
    return Response.model_validate_json(response.model_dump_json(warnings="error"), strict=True)


def test_q02_through_the_proxy(stack: Stack) -> None:
    token = stack.authorization.removeprefix("Bearer ")
    with openai.OpenAI(base_url=f"{stack.proxy.url}/v1", api_key=token, max_retries=0) as client:
        made = strict(
            client.responses.create(
                model="scripted", input="Hello", max_output_tokens=20, extra_body={"seed": 11}
            )
        )
        counted = client.responses.input_tokens.count(model="scripted", input="Hello")
    assert made.output_text == scripted_reply(TEXT, 11, 20).text
    assert made.usage is not None
    assert made.usage.input_tokens == counted.input_tokens == len(TEXT)


def test_q02_streamed(client: openai.OpenAI) -> None:
    seed = long_reply(TEXT, 30, at_least=30)
    with client.responses.stream(
        model="scripted", input="Hello", max_output_tokens=30, extra_body={"seed": seed}
    ) as stream:
        events = list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.incomplete"
    text = "".join(each.delta for each in events if each.type == "response.output_text.delta")
    assert text == scripted_reply(TEXT, seed, 30).text


def test_q02_asynchronously(server: Running) -> None:
    async def converse() -> tuple[Response, Response, list[str]]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="EMPTY") as client:
            first = await client.responses.create(
                model="scripted", input="Hello", max_output_tokens=5
            )
            second = await client.responses.create(
                model="scripted",
                input="And then?",
                previous_response_id=first.id,
                max_output_tokens=5,
            )
            items = client.responses.input_items.list(second.id, order="asc")
            return first, second, [str(item.to_dict()["role"]) async for item in items]

    first, second, roles = asyncio.run(converse())
    assert second.previous_response_id == first.id
    assert roles == ["user", "assistant", "user"]


def test_q02_stored_and_deleted(client: openai.OpenAI) -> None:
    made = client.responses.create(model="scripted", input="Hello", max_output_tokens=5)
    assert strict(client.responses.retrieve(made.id)) == made
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="scripted", input="x", previous_response_id=made.id)
    hidden = client.responses.create(
        model="scripted", input="Hello", max_output_tokens=5, store=False
    )
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(hidden.id)


def test_q02_an_agent_calls_a_tool(client: openai.OpenAI) -> None:
    conversation: Any = [{"role": "user", "content": "What is the weather?"}]
    asked = client.responses.create(
        model="scripted",
        input=conversation,
        tools=[TOOL],
        tool_choice="required",
        parallel_tool_calls=False,
        max_output_tokens=1500,
    )
    (call,) = [strict(asked).output[-1]]
    assert call.type == "function_call"
    assert json.loads(call.arguments)["city"] in {"Rome", "Paris"}
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."}
    conversation += [*asked.output, result]
    answered = client.responses.create(
        model="scripted", input=conversation, tools=[TOOL], max_output_tokens=8
    )
    assert answered.output_text
    continued = client.responses.create(
        model="scripted",
        input=[result],  # type: ignore[list-item]
        previous_response_id=asked.id,
        tools=[TOOL],
        max_output_tokens=8,
    )
    assert continued.usage is not None
    assert answered.usage is not None
    assert continued.usage.input_tokens == answered.usage.input_tokens


@pytest.mark.slow
def test_q02_another_team_s_response_is_unknown(tmp_path: Path, stack: Stack) -> None:
    del stack
    env = {"JOURNAL": str(tmp_path / "journal.db"), "PROXY_SECRET": "secret"}
    with running_server(tmp_path, env=env) as server:

        def client(team: str) -> openai.OpenAI:
            headers = {"X-Rowcast-Proxy-Secret": "secret", "X-Rowcast-Team": team}
            return openai.OpenAI(
                base_url=f"{server.url}/v1",
                api_key="EMPTY",
                max_retries=0,
                default_headers=headers,
            )

        made = client("blue").responses.create(
            model="scripted", input="Hello", max_output_tokens=5, background=True
        )
        for method in ("retrieve", "cancel", "delete"):
            with pytest.raises(openai.NotFoundError):
                getattr(client("red").responses, method)(made.id)
        assert client("blue").responses.retrieve(made.id).id == made.id


@pytest.mark.slow
def test_q02_in_the_background_while_a_decoder_and_a_worker_are_killed(
    server: Running, client: openai.OpenAI
) -> None:
    seed = long_reply(TEXT, 300, at_least=300)
    stream = client.responses.create(
        model="scripted",
        input="Hello",
        max_output_tokens=300,
        background=True,
        stream=True,
        extra_body={"seed": seed},
    )
    read = [next(stream) for _ in range(20)]
    stream.close()
    created: Any = read[0]
    name = created.response.id
    server.backend().kill()
    server.workers()[0].kill()
    until(lambda: client.responses.retrieve(name).status == "incomplete", "it ends", 60)
    rest = list(
        client.responses.retrieve(name, stream=True, starting_after=read[-1].sequence_number)
    )
    numbers = [event.sequence_number for event in (*read, *rest)]
    assert numbers == list(range(len(numbers)))
    again = list(client.responses.retrieve(name, stream=True))
    assert [*read, *rest] == again
    found = strict(client.responses.retrieve(name))
    assert found.output_text == scripted_reply(TEXT, seed, 300).text
    assert again[-1].type == "response.incomplete"
    assert again[-1].response == found


@pytest.mark.slow
def test_q02_cancelled_in_the_background(client: openai.OpenAI) -> None:
    made = client.responses.create(
        model="scripted", input="Hello", max_output_tokens=4000, background=True
    )
    assert made.status == "queued"
    cancelled = strict(client.responses.cancel(made.id))
    assert (cancelled.status, cancelled.output) == ("cancelled", [])
    assert client.responses.retrieve(made.id).status == "cancelled"


def test_q02_only_tokens_of_the_own_team_are_accepted(stack: Stack) -> None:
    other = encoded('{"team_id": "x", "token_id":"y"}', "another secret that is long enough here")
    with (
        openai.OpenAI(base_url=f"{stack.proxy.url}/v1", api_key=other, max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.responses.retrieve("resp_00ff")
