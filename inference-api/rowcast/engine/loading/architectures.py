"""Which architectures of transformers are served; all others are refused, never served wrongly.

Knows no weights and no files: `sizes` checks those. What transformers' modules do with our
attention is in `decoding.module_attention`.
"""

from typing import TYPE_CHECKING

from rowcast.errors import UnknownModel

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

SUPPORTED = (
    "falcon",
    "gemma2",
    "gemma3_text",
    "gpt2",
    "gpt_neox",
    "gpt_oss",
    "llama",
    "mistral",
    "mixtral",
    "opt",
    "phi",
    "phi3",
    "qwen2",
    "qwen3",
    "smollm3",
)
"""The `model_type`s of transformers that are served; the tests compare each with `generate`."""
COMPANY_ROPES = frozenset({"dynamic", "longrope"})


def check(config: "PreTrainedConfig") -> None:
    """Refuse a model that is not known to be served correctly."""
    if config.model_type not in SUPPORTED:
        raise UnknownModel(
            f"models of type {config.model_type!r} are not supported; "
            f"supported types are {', '.join(SUPPORTED)}"
        )
    if impure := _rope_types(config) & COMPANY_ROPES:
        raise UnknownModel(
            f"rotary embeddings of type {', '.join(sorted(impure))} are not supported: they "
            "depend on the longest prompt in a step, so other requests would change a reply"
        )


def _rope_types(config: "PreTrainedConfig") -> set[str]:
    """Return the types of rotary positions of a model; some have one per type of layer."""
    parameters = getattr(config, "rope_parameters", None) or {}
    sets = [parameters, *(each for each in parameters.values() if isinstance(each, dict))]
    return {str(each["rope_type"]) for each in sets if "rope_type" in each}
