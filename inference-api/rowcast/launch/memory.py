"""The memory that all models together may take: MODELS_MEMORY, or a share of what is free."""

from rowcast.engine.loading.free_memory import free_here
from rowcast.settings import Settings

SHARE = 0.8


def memory_for_models(settings: Settings) -> int:
    """Return the bytes that all loaded models may take together."""
    return settings.models_memory or int(SHARE * free_here())
