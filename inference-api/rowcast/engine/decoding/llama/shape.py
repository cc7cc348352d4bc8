"""The Llama form: which models have it, and their parts by the names that the Llama decoder uses.

    norm, q/k/v, (norms of heads), rotation or none, attention with or without a window, o, sum,
    norm, gate/up, SwiGLU, down, sum; a last norm, a head

A model has the form if its type is listed and its modules are exactly these; `read_form` returns
None for everything else. The angles of a rotation are left to the model's own module, as long as
they follow from a token's position alone. Nothing is computed here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from rowcast.engine.decoding.classifier import WEIGHT
from rowcast.engine.decoding.llama.model import MODEL_TYPES, Norm

ROTATIONS = ("default", "linear", "llama3", "yarn")  # others depend on the step's other positions
LAYER_PARTS = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
ATTENTION_PARTS = {"q_proj", "k_proj", "v_proj", "o_proj"}
HEAD_NORMS = {"q_norm", "k_norm"}
MLP_PARTS = {"gate_proj", "up_proj", "down_proj", "act_fn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerForm:
    """One layer."""

    index: int  # in the cache
    norms: Mapping[str, Norm]  # before_attention, before_mlp; of_query and of_key, if any
    qkv: Sequence[nn.Linear]
    rotates: bool
    window: int  # 0: none
    scale: float
    o: nn.Linear
    gate_up: Sequence[nn.Linear]
    down: nn.Linear


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A whole model."""

    embedding: Tensor
    layers: Sequence[LayerForm]
    norm: Norm
    head: nn.Linear
    heads: int
    kv_heads: int
    head_size: int
    rotary: nn.Module  # (states, positions) to (cos, sin)
    classifier: Tensor | None  # the weight of a head of labels, if the model has one


def read_form(network: PreTrainedModel) -> Form | None:
    """Return the model's parts if it has the form, else None."""
    config, inner = network.config, getattr(network, "model", None)
    if config.model_type not in MODEL_TYPES or inner is None:
        return None
    layers = list(inner.layers)[: config.num_hidden_layers]
    if inner.rotary_emb.rope_type not in ROTATIONS or not all(map(_has_form, layers)):
        return None
    attention = layers[0].self_attn
    return Form(
        embedding=inner.embed_tokens.weight.detach(),
        layers=[_layer(layer, config) for layer in layers],
        norm=_norm(inner.norm),
        head=network.lm_head,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_size=attention.head_dim,
        rotary=inner.rotary_emb,
        classifier=getattr(network, WEIGHT, None),
    )


def _has_form(layer: nn.Module) -> bool:
    """True if a layer's modules are exactly those of the form."""
    if _names(layer) != LAYER_PARTS:
        return False
    attention, mlp = layer.get_submodule("self_attn"), layer.get_submodule("mlp")
    if _names(attention) - HEAD_NORMS != ATTENTION_PARTS or _names(mlp) != MLP_PARTS:
        return False
    products = [*attention.children(), *mlp.children()]
    plain = sum(type(each) is nn.Linear for each in products)
    return plain == 7 and type(mlp.get_submodule("act_fn")).__name__.startswith("SiLU")


def _names(module: nn.Module) -> set[str]:
    return {name for name, _ in module.named_children()}


def _layer(layer: Any, config: Any) -> LayerForm:
    attention, mlp = layer.self_attn, layer.mlp
    norms = {
        "before_attention": layer.input_layernorm,
        "before_mlp": layer.post_attention_layernorm,
    }
    if hasattr(attention, "q_norm"):
        norms |= {"of_query": attention.q_norm, "of_key": attention.k_norm}
    # Only Mistral has one window for all layers, in its configuration.
    window = config.sliding_window if config.model_type == "mistral" else None
    return LayerForm(
        index=attention.layer_idx,
        norms={name: _norm(norm) for name, norm in norms.items()},
        qkv=(attention.q_proj, attention.k_proj, attention.v_proj),
        rotates=bool(getattr(attention, "use_rope", True)),
        window=window or getattr(attention, "sliding_window", None) or 0,
        scale=attention.scaling,
        o=attention.o_proj,
        gate_up=(mlp.gate_proj, mlp.up_proj),
        down=mlp.down_proj,
    )


def _norm(module: Any) -> Norm:
    return Norm(module.weight.detach(), module.variance_epsilon)
