"""Complete four prompts without a server.

python examples/offline_inference.py [--model storyteller]
"""

import argparse

from rowcast import LLM, SamplingParams

PROMPTS = [
    "Hello, my name is",
    "The president of the United States is",
    "The capital of France is",
    "The future of AI is",
]


def main() -> None:
    """Generate, and print each prompt with its reply."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default="storyteller", help="a folder, a hub id, or a name")
    chosen = options.parse_args()
    sampling_params = SamplingParams(temperature=0.8, top_p=0.95)
    with LLM(model=chosen.model) as llm:
        for output in llm.generate(PROMPTS, sampling_params):
            print(f"Prompt: {output.prompt!r}, Generated text: {output.outputs[0].text!r}")


if __name__ == "__main__":
    main()
