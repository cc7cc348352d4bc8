"""OpenAI's Python client against Rowcast: list the models, complete a text.

python examples/openai_client.py --url http://127.0.0.1:7000/v1
"""

import argparse

from openai import OpenAI


def main() -> None:
    """List and complete."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--url", default="http://127.0.0.1:7000/v1")
    options.add_argument("--key", default="EMPTY", help="the proxy's token, without Bearer")
    chosen = options.parse_args()
    client = OpenAI(base_url=chosen.url, api_key=chosen.key)
    model = client.models.list().data[0].id
    print("Model:", model)
    completion = client.completions.create(
        model=model, prompt="A robot may not injure a human being", n=2, logprobs=3, max_tokens=16
    )
    for choice in completion.choices:
        print(choice.index, choice.finish_reason, repr(choice.text))


if __name__ == "__main__":
    main()
