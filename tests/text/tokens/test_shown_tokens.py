"""Special tokens that a text shows as their names."""

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from rowcast.text.tokens.hub_tokenizer import HubTokenizer
from rowcast.text.tokens.shown_tokens import decoder_for


def tokenizer() -> HubTokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: at for at, letter in enumerate(letters)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken("<think>"), AddedToken("<end>")])
    return HubTokenizer(made)


def text_of(tokens: list[int], shown: list[tuple[int, str]]) -> str:
    decoder = decoder_for(tokenizer(), shown)
    return "".join(decoder.feed([token]) for token in tokens) + decoder.finish()


def test_only_those_that_are_shown_are_seen() -> None:
    tokens = [*tokenizer().encode("größer <think>ö 😀<end>x<think>")]
    think, end = tokenizer().encode("<think><end>")
    assert text_of(tokens, []) == "größer ö 😀x"
    assert text_of(tokens, [(think, "<think>")]) == "größer <think>ö 😀x<think>"
    assert text_of(tokens, [(think, "T"), (end, "E")]) == "größer Tö 😀ExT"


def test_a_character_that_a_shown_token_breaks_off_is_a_replacement() -> None:
    (think,) = tokenizer().encode("<think>")
    half = list(tokenizer().encode("ö"))[:1]
    assert text_of([*half, think, *tokenizer().encode("ö")], [(think, "T")]) == "�Tö"
