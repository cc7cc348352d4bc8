"""The storyteller's output, unedited: ten stories and ten dialogues from fixed beginnings.

The guests' turns were written before any reply was seen; some ask for things that it cannot know.
"""

from collections.abc import Sequence

import torch

from models.corpus.documents import ASSISTANT, END, USER
from models.evaluate import Pair

SAMPLING = {"do_sample": True, "temperature": 0.8, "top_p": 0.95, "top_k": 50}
BEGINNINGS = (
    "Once upon a time",
    "Long ago, there lived",
    "The Lost Blue Kite\n\n",
    "Mira and Bram were friends.",
    "It was a dark night, and the fox",
)
WISHES = (
    "Tell me a story.",
    "Tell me a story about a hedgehog named Olive.",
    "Write a short story about a sailor.",
    "Please tell me a story about a dragon called Priyanka.",
    "Make up a story about an old owl named Walter.",
)
DIALOGUES: tuple[tuple[str, ...], ...] = (
    ("Hello!", "Who are you?", "What can you do?", "Thank you!"),
    ("My name is Priya.", "I like plums.", "What is my name?", "What do I like to eat?"),
    (
        (
            "Tom has a red ball. Nina has a green hat. Tom gives the red ball to Nina.\n\n"
            "Who has the red ball now?"
        ),
        "What color is the hat?",
        "What does Tom have?",
    ),
    (
        "Tell me a story about a rabbit named Juno.",
        "Where does Juno live?",
        ("Give the story a title."),
    ),
    (
        "What is 7 + 5?",
        "What is 6 * 7?",
        ("Ben has 9 pears and gives away 4. How many pears are left?"),
    ),
    ("List four fruits.", "Name three colors in one line.", "Count from 3 to 9."),
    (
        (
            'Write a JSON object with the keys "name" (string), "age" (number) and "likes" (list '
            "of strings): Zoe is 8 years old and likes figs and beans."
        ),
        'Make up a character as a JSON object with the keys "name" (string) and "job" (string).',
    ),
    ("I am sad today.", "Tell me a joke.", "Ask me a riddle.", "I give up."),
    ("What is the opposite of hot?", "How many legs does a spider have?", "Where do bees live?"),
    ("Who wrote Hamlet?", "Explain how rain is made.", "Why is the sky blue?"),
)


FIXED = (
    "Once upon a time",
    "This is the story of Mira,",
    f"{USER}Who are you?{END}{ASSISTANT}",
    f"{USER}Tell me a story about an owl named Otto.{END}{ASSISTANT}",
    f"{USER}What is 2 + 3?{END}{ASSISTANT}",
    f"{USER}Tom has a red ball. Nina has a green hat.\n\nWho has the red ball?{END}{ASSISTANT}",
)
FIXED_TOKENS = 40


def greedy(pair: Pair) -> dict[str, str]:
    """Return the replies with which a test compares the files."""
    return dict(zip(FIXED, pair.texts(FIXED, FIXED_TOKENS), strict=True))


def stories(pair: Pair) -> list[tuple[str, str]]:
    """Return pairs of (request, reply)."""
    prompts = [*BEGINNINGS, *[f"{USER}{wish}{END}{ASSISTANT}" for wish in WISHES]]
    replies = [_reply(pair, prompt, seed) for seed, prompt in enumerate(prompts)]
    return list(zip((*BEGINNINGS, *WISHES), replies, strict=True))


def dialogues(pair: Pair) -> list[list[tuple[str, str]]]:
    """Return dialogues, each a list of (guest's turn, reply)."""
    return [_dialogue(pair, turns, seed) for seed, turns in enumerate(DIALOGUES)]


def _dialogue(pair: Pair, turns: Sequence[str], seed: int) -> list[tuple[str, str]]:
    dialogue: list[tuple[str, str]] = []
    text = ""
    for turn in turns:
        text += f"{USER}{turn}{END}{ASSISTANT}"
        reply = _reply(pair, text, seed)
        dialogue.append((turn, reply))
        text += f"{reply}{END}"
    return dialogue


def _reply(pair: Pair, prompt: str, seed: int) -> str:
    torch.manual_seed(seed)
    [reply] = pair.texts([prompt], 400, **SAMPLING)
    return reply
