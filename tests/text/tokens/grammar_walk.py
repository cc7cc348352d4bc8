"""Checks whether a text may be a complete reply under a grammar."""

from llguidance import LLMatcher, LLTokenizer


def follows(rule: str, text: str) -> bool:
    """True if this may be a complete reply."""
    token_texts = LLTokenizer("byte")
    matcher = LLMatcher(token_texts, rule, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    tokens = token_texts.tokenize_str(text)
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()
