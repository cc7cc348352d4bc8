"""The storyteller's initial weights: random, except for two heads that copy together.

Looking something up in the text read so far takes two heads in two layers that are useless apart,
so a small model finds them late or never. This one starts with both. A head of the first layer
looks at the previous token and stores it in the dimensions that embeddings leave empty; a head of
the second layer looks where the present token is stored in this way, and outputs the token there:
the one that followed last time. Training continues from there and may change all of it.
"""

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

CONSTANT = 4.0  # the first dimension of every token's embedding
BACK, UP, OUTPUT, HEAD = 10.0, 2.0, 4.0, 0.02  # how sharply the two look; how strong the output is
FAST = 8  # pairs of a head's dimensions that turn fast enough to distinguish neighbours


@torch.no_grad()
def initialise(model: LlamaForCausalLM) -> None:
    """Initialize large embeddings, layers that add nothing yet, then the two heads."""
    for name, weight in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weight.zero_()
    config = model.config
    embedding = model.model.embed_tokens.weight
    seen = config.hidden_size - config.head_dim  # the dimensions that identify the token
    embedding.normal_()
    embedding[:, 0] = 0
    embedding[:, seen:] = 0
    embedding *= seen**0.5 / embedding.norm(dim=1, keepdim=True)
    model.lm_head.weight.copy_(HEAD * embedding)
    embedding[:, 0] = CONSTANT
    noted = _mixed(config)
    _look_back(model, noted)
    _look_up(model, noted)


def _look_back(model: LlamaForCausalLM, noted: Tensor) -> None:
    """Set layer 0, head 0: all keys are alike; turned by one place they match the query best."""
    size, half = model.config.head_dim, model.config.head_dim // 2
    own = model.model.layers[0].self_attn
    embedding = model.model.embed_tokens.weight
    sharp = BACK * float(embedding[0].square().mean().sqrt()) / CONSTANT
    angles = model.config.rope_parameters["rope_theta"] ** -(torch.arange(FAST) / half)
    own.q_proj.weight[:size] = 0
    own.k_proj.weight[:size] = 0
    own.k_proj.weight[:FAST, 0] = sharp
    own.q_proj.weight[:FAST, 0] = sharp * angles.cos()
    own.q_proj.weight[half : half + FAST, 0] = -sharp * angles.sin()
    own.v_proj.weight[:size] = noted
    own.o_proj.weight[-size:, :size] = torch.eye(size)


def _look_up(model: LlamaForCausalLM, noted: Tensor) -> None:
    """Set layer 1, its second key head: the query is the token, the key is the stored previous one.

    Uses only the slowly turning half of the dimensions, on which distance has little effect.
    """
    config, size = model.config, model.config.head_dim
    own = model.model.layers[1].self_attn
    first = config.num_attention_heads // config.num_key_value_heads * size
    slow = (torch.arange(size) % (size // 2)) >= size // 4
    match = torch.zeros(size, size)
    match[slow] = UP * torch.linalg.qr(torch.randn(size, size))[0][: int(slow.sum())]
    output = _mixed(config)
    own.k_proj.weight[size : 2 * size] = 0
    own.k_proj.weight[size : 2 * size, -size:] = match
    own.q_proj.weight[first : first + size] = match @ noted
    own.v_proj.weight[size : 2 * size] = output
    own.o_proj.weight[:, first : first + size] = OUTPUT * output.T


def _mixed(config: LlamaConfig) -> Tensor:
    """Return a head's projection of an embedding: as many random sums of it as the head is wide."""
    seen = config.hidden_size - config.head_dim
    weights = torch.zeros(config.head_dim, config.hidden_size)
    weights[:, 1:seen] = torch.randn(config.head_dim, seen - 1) / seen**0.5
    return weights
