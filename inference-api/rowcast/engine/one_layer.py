"""The model that needs no file: one layer of a small Falcon, random weights, bytes as tokens.

Its configuration is made here; `text.tokens.byte_tokenizer` is its tokenizer. It draws only
printable bytes, which are safe for a terminal.
"""

from transformers import FalconConfig, GenerationConfig

END = 256
CONTEXT = 2048
PRINTED = frozenset({*b"\n", *range(32, 127)})


def one_layer_configuration() -> FalconConfig:
    """Return the configuration that a hub would hold."""
    return FalconConfig(
        vocab_size=END + 1,
        hidden_size=128,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_kv_heads=2,
        new_decoder_architecture=True,
        alibi=False,
        max_position_embeddings=CONTEXT,
        bos_token_id=END,
        eos_token_id=END,
        dtype="float32",
    )


def one_layer_generation() -> GenerationConfig:
    """Return its generation configuration, which suppresses unprintable bytes."""
    silent = [byte for byte in range(END) if byte not in PRINTED]
    return GenerationConfig(eos_token_id=END, suppress_tokens=silent)
