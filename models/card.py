"""`python -m models.card`: writes both model cards, from the files, the figures and the samples.

Only a card's sentences are written by hand: hashes come from the files next to it, and figures and
samples are computed anew.
"""

import argparse
import hashlib
import json
from pathlib import Path

from models import samples, shapes
from models.evaluate import HERE, Figures, Pair, figures
from models.training import Recipe

FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)
HEAD = """---
license: mit
language: en
library_name: transformers
pipeline_tag: text-generation
---

# {title}

{about}

| | |
|---|---|
| form | `LlamaForCausalLM`: {layers} layers, {hidden} wide, {inner} within |
| heads | {heads}, and {kv} of keys and values |
| parameters | {parameters:.2f} million, bf16 |
| multiplications a token | {cost:.2f} million |
| positions | 1,024 |
| vocabulary | 3,072 tokens of byte-level BPE; spells any text |
| ends of a reply | `<\\|endoftext\\|>` of a text, `<\\|end\\|>` of a turn |
| license | [MIT](../../LICENSE), as all of Rowcast; no third party's data or weights |

## Data

Written by `models/corpus`, a program: stories told about small worlds in which people live
somewhere, own things, lose, trade and give them; questions that such a world answers; letters,
small talk, sums to twenty and the small times table, lists, and JSON objects of a described shape.
Document number *n* of seed {seed} is the same everywhere. A text of the figures below is from
another seed, and in no training.

## Recipe

`python -m models.train`: both models at once, {steps:,} steps, {tokens:.1f} million tokens, in
{minutes} core-minutes of a machine with AMX. {recipe} Tokens of answers weigh three times as much
as those of stories, and what a guest says 0.3.
"""
STORYTELLER = (
    "Tells little stories in simple English, answers questions about them, and keeps up small "
    "talk. "
    "Made for trying Rowcast out and for testing it: small, trained, and its own."
)
DRAFT = (
    "Guesses what the [storyteller](../storyteller) says next, at a tenth of its cost: for "
    "speculative "
    "decoding. It shares the storyteller's tokenizer. On its own it rambles."
)
LIMITS = """## Limits

It knows the world of its corpus and nothing else: no history, no science, no places, no people.
Asked for more, it says so at best, and makes things up at worst. It reads and writes simple English
only, gets sums wrong more often than right, and long texts lead it astray: most of its training
texts had fewer than 300 tokens, few more than 700. Names that are not in its lists are spelled from
pieces, and sometimes misspelled. It was tuned for nothing: do not use it where
an answer matters.
"""


def main() -> None:
    options = _options()
    pair = Pair(options.folders)
    found = figures(pair, options.texts, options.questions)
    run = json.loads((options.folders[0] / "training.json").read_text(encoding="utf-8"))
    big, small = options.folders
    pages = (
        _page("Storyteller", STORYTELLER, big, run)
        + _figures(found)
        + LIMITS
        + _samples(pair)
        + _greedy(pair)
        + _hashes(big),
        _page("Draft", DRAFT, small, run) + _draft_figures(found, options.folders) + _hashes(small),
    )
    for folder, page in zip(options.folders, pages, strict=True):
        (folder / "README.md").write_text(page, encoding="utf-8")


def _page(title: str, about: str, folder: Path, run: dict[str, float]) -> str:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return HEAD.format(
        title=title,
        about=about,
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        heads=config["num_attention_heads"],
        kv=config["num_key_value_heads"],
        inner=config["intermediate_size"],
        parameters=run["parameters"][folder.name] / 1e6,  # type: ignore[index]
        cost=shapes.cost(folder) / 1e6,
        seed=1,
        steps=int(run["steps"]),
        tokens=run["tokens"] / 1e6,
        minutes=round(run["core_seconds"] / 60),
        recipe=_recipe(Recipe()),
    )


def _recipe(recipe: Recipe) -> str:
    return (
        f"Muon for the layers' matrices (rate {recipe.matrix_rate}), AdamW for the rest "
        f"({recipe.other_rate}), level and then falling over the last {recipe.decay:.0%}; the "
        f"draft joins after {recipe.draft_from:.0%} of the steps and learns from the storyteller's "
        "distribution."
    )


def _figures(found: Figures) -> str:
    rows = [
        f"| questions answered rightly: {name} | {share:.1%} |"
        for name, share in found.right.items()
    ]
    return "\n".join(
        [
            "",
            "## Figures",
            "",
            "Of texts that no training saw, by `python -m models.card`.",
            "",
            "| | |",
            "|---|---|",
            (
                f"| perplexity a token ({found.characters_a_token:.2f} characters) | "
                f"{found.perplexity:.2f} |"
            ),
            *rows,
            f"| the draft says the same, greedy | {found.agreement_greedy:.1%} |",
            (
                f"| the draft says the same, sampled at 0.8 with the same noise | "
                f"{found.agreement_sampled:.1%} |"
            ),
            "",
            (
                "An answer is right when it holds what was asked for and nothing else that was "
                "asked about "
                "the same text."
            ),
            "",
            "",
        ]
    )


def _draft_figures(found: Figures, folders: list[Path]) -> str:
    share = shapes.cost(folders[1]) / shapes.cost(folders[0])
    return "\n".join(
        [
            "",
            "## Figures",
            "",
            "Of texts that no training saw, by `python -m models.card`.",
            "",
            "| | |",
            "|---|---|",
            f"| cost of a token, of the storyteller's | {share:.1%} |",
            f"| perplexity a token | {found.draft_perplexity:.2f} |",
            f"| says what the storyteller says, greedy | {found.agreement_greedy:.1%} |",
            f"| the same, sampled at 0.8 with the same noise | {found.agreement_sampled:.1%} |",
            f"| its likeliest token is the one sampled at 0.8 | {found.agreement_best:.1%} |",
            "",
            "",
        ]
    )


def _samples(pair: Pair) -> str:
    lines = [
        "",
        "## Ten stories, unedited",
        "",
        "Temperature 0.8, top_p 0.95, top_k 50; seeds 0 to 9. What was given stands in bold.",
        "",
    ]
    for given, reply in samples.stories(pair):
        quoted = reply.strip().replace("\n", "\n> ")
        lines += [f"> **{given.strip()}** {quoted}", ""]
    lines += ["## Ten dialogues, unedited", "", "The same way.", ""]
    for number, turns in enumerate(samples.dialogues(pair), 1):
        lines.append(f"{number}.")
        for request, reply in turns:
            lines += [f"   - **{_line(request)}**", f"     {_line(reply)}"]
        lines.append("")
    return "\n".join(lines)


def _greedy(pair: Pair) -> str:
    greedy = json.dumps(samples.greedy(pair), indent=2, ensure_ascii=False)
    most = samples.FIXED_TOKENS
    return f"## Greedy replies\n\nThe first {most} tokens, in fp32.\n\n```json\n{greedy}\n```\n"


def _line(text: str) -> str:
    return " ⏎ ".join([line for line in text.strip().split("\n") if line])


def _hashes(folder: Path) -> str:
    rows = [
        f"| `{name}` | `{hashlib.sha256((folder / name).read_bytes()).hexdigest()}` |"
        for name in FILES
    ]
    return "\n".join(["", "## Files", "", "| file | sha256 |", "|---|---|", *rows, ""])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.card", description=__doc__)
    folders = [HERE / "storyteller", HERE / "draft"]
    parser.add_argument("--folders", type=Path, nargs=2, default=folders)
    parser.add_argument("--texts", type=int, default=200, help="held-out texts")
    parser.add_argument("--questions", type=int, default=250, help="of each kind and form")
    return parser.parse_args()


if __name__ == "__main__":
    main()
