"""Loads the data that tasks need: the text side of the model that the settings name."""

from llguidance import LLTokenizer

from rowcast.offload.tasks import Tools, check_grammar
from rowcast.sampling.grammars.grammars import TokenTexts, token_texts_of
from rowcast.settings import Settings
from rowcast.text.chat.template import ChatTemplate
from rowcast.text.model_text import text_of
from rowcast.text.rules.grammar import of_json_schema
from rowcast.text.tokens.hub_tokenizer import HubTokenizer
from rowcast.text.tokens.tokenizer import Tokenizer


def load_tools(settings: Settings) -> Tools:
    """Load the same as the frontend does, and do now what would make the first task slow."""
    text = text_of(settings)
    tools = tools_of(text.tokenizer, text.chat)
    text.tokenizer.least_tokens("")
    check_grammar(tools, of_json_schema({"type": "object"}))
    return tools


def tools_of(tokenizer: Tokenizer, chat: ChatTemplate) -> Tools:
    """Return the tools for a tokenizer and a template that are already loaded."""
    return Tools(tokenizer, chat, _token_texts_of(tokenizer))


def _token_texts_of(tokenizer: Tokenizer) -> TokenTexts:
    """Return a tokenizer in the form that llguidance takes."""
    if isinstance(tokenizer, HubTokenizer):
        try:
            return LLTokenizer(tokenizer.json())
        except ValueError:  # llguidance lacks some decoders; rules then cannot name tokens
            return LLTokenizer("byte")
    texts = [tokenizer.token_bytes(token) for token in range(tokenizer.vocabulary)]
    return token_texts_of(texts, tokenizer.vocabulary - 1, tokenizer.vocabulary)
