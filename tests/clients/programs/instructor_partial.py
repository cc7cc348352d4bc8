"""instructor: an object by a forced tool call, in parts, through silence and killed decoders."""

from collections.abc import Callable

import instructor
import openai
from disturbed import BASE, PERSON_ASKED, TOKEN, hold
from pydantic import BaseModel


class Person(BaseModel):
    """A person."""

    age: int
    married: bool


def by(mode: instructor.Mode) -> Callable[[Callable[[], None]], str]:
    client = instructor.from_openai(openai.OpenAI(base_url=BASE, api_key=TOKEN), mode=mode)
    asked = {"model": "scripted", "messages": PERSON_ASKED, "seed": 3, "max_tokens": 900}

    def read(came: Callable[[], None]) -> str:
        last = None
        for part in client.chat.completions.create_partial(
            response_model=Person, max_retries=0, **asked
        ):
            came()
            last = part
        return last.model_dump_json()

    whole = client.chat.completions.create(response_model=Person, max_retries=0, **asked)
    assert isinstance(whole, Person)
    return read


hold("instructor, tools", by(instructor.Mode.TOOLS), silent=True, middle=1.2)
hold("instructor, JSON schema", by(instructor.Mode.JSON_SCHEMA), middle=1.2)
