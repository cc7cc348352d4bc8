"""langchain-openai: invoke, stream, batch, token usage, tools, structured output."""

import os

from langchain_openai import ChatOpenAI, OpenAI
from pydantic import BaseModel


class Person(BaseModel):
    """A person."""

    age: int
    married: bool


server = {
    "model": "scripted",
    "base_url": os.environ["ROWCAST_URL"] + "/v1",
    "api_key": os.environ["ROWCAST_TOKEN"],
    "seed": 3,
}
chat = ChatOpenAI(max_tokens=12, **server)
answer = chat.invoke("Hello")
print(answer)
assert answer.usage_metadata["output_tokens"] == 12
assert "".join(part.content for part in chat.stream("Hello")) == answer.content
assert [each.content for each in chat.batch(["Hello"] * 4)] == [answer.content] * 4
long = ChatOpenAI(max_tokens=900, **server)
for method in ("json_schema", "function_calling"):
    person = long.with_structured_output(Person, method=method).invoke("Who?")
    print(method, person)
    assert isinstance(person, Person)
assert OpenAI(max_tokens=12, **server).invoke("Hello")
