"""The text side of the model that the settings name: its tokenizer and its chat template."""

from collections.abc import Callable
from dataclasses import dataclass

from jinja2 import TemplateError

from rowcast.errors import UnknownModel
from rowcast.model_files import ModelFiles, files_of
from rowcast.settings import ONE_LAYER, SCRIPTED, Settings
from rowcast.text.chat.template import ChatTemplate
from rowcast.text.ranking import ANSWERS, NO_RANKING, RankForm, rank_form_of
from rowcast.text.tokens.byte_tokenizer import ByteTokenizer
from rowcast.text.tokens.hub_tokenizer import HubTokenizer
from rowcast.text.tokens.tokenizer import ScriptedTokenizer, Tokenizer
from rowcast.text.vector_form import VectorForm, vector_form_of

_WITHOUT_FILES: dict[str, Callable[[], Tokenizer]] = {
    SCRIPTED: ScriptedTokenizer,
    ONE_LAYER: ByteTokenizer,
}

SCRIPTED_RANKING = RankForm(tuple(ord(each[0]) for each in ANSWERS))  # its tokens are bytes


@dataclass(frozen=True, slots=True)
class ModelText:
    """How a model's text is read and written. `files` is None for a model without files."""

    tokenizer: Tokenizer
    chat: ChatTemplate
    vectors: VectorForm
    ranking: RankForm
    files: ModelFiles | None = None


def text_of(settings: Settings) -> ModelText:
    """Load the text side. Raises UnknownModel, OSError and ValueError."""
    try:
        return _text_of(settings)
    except TemplateError as error:
        raise UnknownModel(
            f"the chat template cannot be read: {error}; choose another with CHAT_TEMPLATE"
        ) from error


def _text_of(settings: Settings) -> ModelText:
    if make := _WITHOUT_FILES.get(settings.served_model):
        chat = ChatTemplate.of(None, settings.chat_template)
        ranking = SCRIPTED_RANKING if settings.served_model == SCRIPTED else NO_RANKING
        return ModelText(make(), chat, vector_form_of(settings, None), ranking)
    files = files_of(settings)
    chat = ChatTemplate.of(files, settings.chat_template)
    tokenizer = HubTokenizer.of(files)
    ranking = rank_form_of(files, tokenizer, chat)
    return ModelText(tokenizer, chat, vector_form_of(settings, files), ranking, files)
