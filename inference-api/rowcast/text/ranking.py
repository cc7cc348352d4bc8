"""Rerankers: which models rank, how query and document become a prompt, and what scores it.

    a template    one that shows messages of the roles `query` and `document`, and the instruction
                  of a message `system`; a classifier without one gets its tokenizer's pair
    tokens        one or two: the score is the logit of the first, less that of the second; those
                  that a LogitScore step of `modules.json` names, else `yes` and `no`
    a label       the only one of a classifier: its number is the score

The relevance is the score's logistic function: of two tokens, the probability of the first among
both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rowcast.model_files import CONFIGURATION, ModelFiles, labels_in
from rowcast.text.chat.template import ChatTemplate
from rowcast.text.tokens.tokenizer import Tokenizer, decoded
from rowcast.text.vector_form import STEP_CONFIG, steps_of

STEP = "LogitScore"
ANSWERS = ("yes", "no")
QUERY, DOCUMENT = ROLES = ("query", "document")
NO_RERANKER = (
    "is no reranker: that is a model whose chat template shows messages of the roles query and "
    "document (as Qwen3-Reranker's; set CHAT_TEMPLATE to such a file), or a classifier of one "
    "label (…ForSequenceClassification)"
)


@dataclass(frozen=True, slots=True)
class RankForm:
    """How a model scores a document. `problem`: why it does not; or empty."""

    tokens: tuple[int, ...] = ()  # empty: a label scores it
    problem: str = ""


NO_RANKING = RankForm(problem=NO_RERANKER)


def rank_form_of(files: ModelFiles, tokenizer: Tokenizer, chat: ChatTemplate) -> RankForm:
    """Return how a model ranks. Raises UnknownModel if its files cannot be read."""
    if labels_in(files.words(CONFIGURATION)):
        return RankForm()
    if not chat.shows(*ROLES):
        return NO_RANKING
    tokens = _named(files) or [tokenizer.encode(each, special=False) for each in ANSWERS]
    if any(len(each) != 1 for each in tokens):
        return RankForm(problem="cannot rank: its tokenizer has no single tokens for yes and no")
    return RankForm(tuple(token for (token,) in tokens))


def _named(files: ModelFiles) -> list[tuple[int, ...]]:
    """Return the tokens that a step of the folder names; none if it has no such step."""
    for step in steps_of(files):
        if str(step.get("type")).endswith(f".{STEP}"):
            config = files.words(f"{step.get('path')}/{STEP_CONFIG}")
            named = (config.get("true_token_id"), config.get("false_token_id"))
            return [(each,) for each in named if isinstance(each, int)]
    return []


@dataclass(frozen=True, slots=True)
class Ranked:
    """What documents are ranked by: a query, and how prompts are made of it."""

    query: str
    instruction: str | None = None
    most: int | None = None  # tokens of a document; what exceeds them is cut off

    def prompt(self, tokenizer: Tokenizer, chat: ChatTemplate, document: str) -> Sequence[int]:
        """Return the tokens of the prompt with this document."""
        document = self._cut(tokenizer, document)
        if not chat.shows(*ROLES):
            return tokenizer.encode_pair(self.query, document)
        messages: list[dict[str, Any]] = [
            {"role": QUERY, "content": self.query},
            {"role": DOCUMENT, "content": document},
        ]
        if self.instruction is not None:
            messages.insert(0, {"role": "system", "content": self.instruction})
        return tokenizer.encode(chat.render(messages), special=False)

    def _cut(self, tokenizer: Tokenizer, document: str) -> str:
        if self.most is None or self.most >= len(document.encode()):
            return document  # no token is shorter than a byte
        tokens = tokenizer.encode(document, special=False)
        return document if len(tokens) <= self.most else decoded(tokenizer, tokens[: self.most])
