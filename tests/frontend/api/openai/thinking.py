"""Chat templates of models that think, in the forms found in practice."""

_MESSAGES = """\
{%- for tool in tools or [] %}{{ tool | tojson }} <tool_call>
{% endfor %}
{%- for message in messages %}<|{{ message.role }}|>
{%- if message.reasoning_content %}<think>
{{ message.reasoning_content }}
</think>

{% endif %}{{ message.content or '' }}
{% endfor %}"""
_NOTHING = """\
{%- if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}"""

# The model opens the block itself.
ITSELF = f"{_MESSAGES}{{% if add_generation_prompt %}}<|assistant|>{_NOTHING}{{% endif %}}"
# The prompt has opened it.
OPENED = (
    f"{_MESSAGES}{{% if add_generation_prompt %}}<|assistant|>{_NOTHING}"
    "{% if enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}{% endif %}"
)
# Channels, as in gpt-oss.
CHANNELS = (
    "{% for message in messages %}<|start|>{{ message.role }}<|channel|>final<|message|>"
    "{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
