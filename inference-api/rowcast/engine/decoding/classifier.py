"""A sequence classifier as a network of the causal form, which decoders run.

    the classifier's layers + its embedding as language head + its own head as a lone weight

Its prompts have states like any other's; the engine multiplies one of them by that weight. Replies
would be meaningless, and are refused by the backend.
"""

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

WEIGHT = "classifier_weight"  # the attribute of a network that has one


def as_causal(classifier: PreTrainedModel) -> PreTrainedModel:
    """Return the causal network over a classifier's layers, which both share."""
    with torch.device("meta"):
        network: PreTrainedModel = AutoModelForCausalLM.from_config(
            classifier.config, dtype=classifier.dtype, trust_remote_code=False
        )
    setattr(network, network.base_model_prefix, classifier.base_model)
    head = network.get_output_embeddings()
    head.weight = classifier.get_input_embeddings().weight
    if getattr(head, "bias", None) is not None:
        head.bias = nn.Parameter(torch.zeros(len(head.weight), dtype=classifier.dtype))
    network.register_parameter(WEIGHT, nn.Parameter(classifier.get_submodule("score").weight))
    return network
