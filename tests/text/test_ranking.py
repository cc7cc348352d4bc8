"""Which models rank, by which tokens, and what their prompts are."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from engine.tiny_rerankers import NO, TEMPLATE, YES, word_tokenizer
from rowcast.errors import UnknownModel
from rowcast.model_files import ModelFiles, labels_in
from rowcast.text.chat.template import ChatTemplate
from rowcast.text.ranking import NO_RANKING, Ranked, RankForm, rank_form_of
from rowcast.text.tokens.hub_tokenizer import HubTokenizer
from rowcast.text.tokens.tokenizer import ScriptedTokenizer

CHAT, PLAIN = ChatTemplate(TEMPLATE), ChatTemplate.plain()
WORDS = HubTokenizer(word_tokenizer())


def files(path: Path, **config: object) -> ModelFiles:
    (path / "config.json").write_text(json.dumps(config))
    return ModelFiles("tiny", path, None)


def with_step(path: Path, **config: object) -> ModelFiles:
    """Write the files of a sentence-transformers reranker."""
    kinds = ("base.models.Transformer", ""), ("cross_encoder.modules.LogitScore", "1_LogitScore")
    steps = [{"type": f"sentence_transformers.{kind}", "path": place} for kind, place in kinds]
    (path / "modules.json").write_text(json.dumps(steps))
    (path / "1_LogitScore").mkdir()
    (path / "1_LogitScore" / "config.json").write_text(json.dumps(config))
    return files(path)


def test_a_template_for_both_roles_makes_a_reranker(tmp_path: Path) -> None:
    assert rank_form_of(files(tmp_path), WORDS, CHAT) == RankForm((YES, NO))
    assert rank_form_of(files(tmp_path), WORDS, PLAIN) == NO_RANKING
    assert rank_form_of(files(tmp_path), WORDS, ChatTemplate("{{ 'query' }}")) == NO_RANKING


def test_the_answers_must_be_single_tokens(tmp_path: Path) -> None:
    assert "no single tokens" in rank_form_of(files(tmp_path), ScriptedTokenizer(), CHAT).problem


@pytest.mark.parametrize(
    ("named", "tokens"),
    [
        ({"true_token_id": 5, "false_token_id": 6}, (5, 6)),
        ({"true_token_id": 5, "false_token_id": None}, (5,)),
        ({"true_token_id": 5}, (5,)),
        ({}, (YES, NO)),
    ],
)
def test_a_step_of_the_folder_names_the_tokens(
    tmp_path: Path, named: dict[str, object], tokens: tuple[int, ...]
) -> None:
    assert rank_form_of(with_step(tmp_path, **named), WORDS, CHAT) == RankForm(tokens)


def test_a_classifier_needs_no_template(tmp_path: Path) -> None:
    one = files(tmp_path, architectures=["Qwen3ForSequenceClassification"], id2label={"0": "L"})
    assert rank_form_of(one, WORDS, PLAIN) == RankForm()


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        ({}, 0),
        ({"architectures": None}, 0),
        ({"architectures": ["LlamaForCausalLM"], "id2label": {"0": "a"}}, 0),
        ({"architectures": ["LlamaForSequenceClassification"]}, 2),
        ({"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "a"}}, 1),
    ],
)
def test_labels_are_those_of_a_classifier(words: dict[str, object], labels: int) -> None:
    assert labels_in(words) == labels


def test_a_broken_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[")
    with pytest.raises(UnknownModel, match=r"config\.json of MODEL 'tiny'"):
        rank_form_of(ModelFiles("tiny", tmp_path, None), WORDS, CHAT)


def test_prompts() -> None:
    plain: Tokenizer = word_tokenizer()
    query = Ranked("w30 w31")
    text = "w3 w4 w5 w6 w30 w31 w7 w40 w41 w8"
    assert list(query.prompt(WORDS, CHAT, "w40 w41")) == [int(each[1:]) for each in text.split()]
    instructed = Ranked("w30", instruction="w50")
    assert list(instructed.prompt(WORDS, CHAT, "w40")) == [3, 50, 6, 30, 7, 40, 8]
    assert list(query.prompt(WORDS, PLAIN, "w40")) == plain.encode("w30 w31", "w40").ids
    assert list(query.prompt(WORDS, PLAIN, "w40")) == [1, 30, 31, 2, 40, 2]


@pytest.mark.parametrize(("most", "left"), [(1, b"H"), (3, b"Hel"), (5, b"Hello"), (9, b"Hello")])
def test_a_document_is_cut_by_tokens(most: int, left: bytes) -> None:
    cut = Ranked("?", most=most)
    assert bytes(cut.prompt(ScriptedTokenizer(), PLAIN, "Hello")) == b"?" + left
