"""Chat templates of each form of calls: small, with the signs of those found in practice."""

_IDS = """\
{%- macro checked(id) %}{% if id is not defined or id|length != 9 %}
{{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}
{%- endif %}{{ id }}{% endmacro %}"""

# Mistral, tokenizers up to version 7.
MISTRAL = f"""{_IDS}
{{%- for message in messages %}}
{{%- if message.role == 'user' %}}
{{%- if loop.last and tools %}}{{{{ '[AVAILABLE_TOOLS] ' + tools | tojson }}}}[/AVAILABLE_TOOLS]
{{%- endif %}}
{{{{- '[INST] ' + message.content + '[/INST]' }}}}
{{%- elif message.tool_calls is defined and message.tool_calls is not none %}}[TOOL_CALLS] [
{{%- for call in message.tool_calls %}}{{{{ (call.function | tojson)[:-1] }}}}
{{{{- ', "id": "' + checked(call.id) + '"}}' }}}}{{{{ ', ' if not loop.last }}}}{{% endfor %}}]
{{%- elif message.role == 'tool' %}}[TOOL_RESULTS] {{"content": {{{{ message.content }}}}
{{{{- ', "call_id": "' + checked(message.tool_call_id) + '"}}' }}}}[/TOOL_RESULTS]
{{%- else %}}{{{{ ' ' + (message.content or '') }}}}</s>{{% endif %}}{{% endfor %}}"""

# Mistral, version 11.
NAMED = f"""{_IDS}
{{%- if tools %}}[AVAILABLE_TOOLS]{{{{ tools | tojson }}}}[/AVAILABLE_TOOLS]{{% endif %}}
{{%- for message in messages %}}
{{%- if message.role == 'user' %}}{{{{ '[INST]' + message.content + '[/INST]' }}}}
{{%- elif message.role == 'tool' %}}
{{{{- '[TOOL_RESULTS]' + checked(message.tool_call_id) + '[TOOL_CONTENT]' + message.content }}}}
{{%- else %}}{{{{ message.content or '' }}}}
{{%- for call in message.tool_calls or [] %}}
{{%- set arguments = call.function.arguments %}}
{{%- if arguments is not string %}}{{% set arguments = arguments | tojson | safe %}}{{% endif %}}
{{{{- '[TOOL_CALLS]' + call.function.name + '[CALL_ID]' + checked(call.id) }}}}
{{{{- '[ARGS]' + arguments }}}}
{{%- endfor %}}</s>{{% endif %}}{{% endfor %}}"""

GRANITE = """\
{%- if tools %}When a tool is required, respond only with <|tool_call|> followed by a JSON list.
{{ tools | tojson }}{% endif %}
{%- for message in messages %}<|start_of_role|>{{ message.role }}<|end_of_role|>
{{- message.content or '' }}<|end_of_text|>
{% endfor %}{% if add_generation_prompt %}<|start_of_role|>assistant<|end_of_role|>{% endif %}"""

PHI = """\
{%- if tools %}<|system|><|tool|>{{ tools | tojson }}<|/tool|><|end|>{% endif %}
{%- for message in messages %}<|{{ message.role }}|>{{ message.content or '' }}
{%- for call in message.tool_calls or [] %}
{{- '<|tool_call|>[' + (call.function | tojson) + ']<|/tool_call|>' }}{% endfor %}<|end|>
{%- endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"""

# gpt-oss: one call to a message, and results named after the last call.
HARMONY = """\
{%- if tools %}<|start|>developer<|message|>{{ tools | tojson }}<|end|>{% endif %}
{%- set last = namespace(name=none) %}
{%- for message in messages %}
{%- if message.role == 'assistant' and message.tool_calls %}
{%- if message.content and message.thinking %}
{{- raise_exception("Cannot pass both content and thinking in a message with tool calls!") }}
{%- endif %}
{%- if message.tool_calls | length > 1 %}{{ raise_exception("one call at a time") }}{% endif %}
{%- if message.thinking or message.content %}<|start|>assistant<|channel|>analysis<|message|>
{{- message.thinking or message.content }}<|end|>{% endif %}
{%- set call = message.tool_calls[0].function %}
{{- '<|start|>assistant to=functions.' + call.name + '<|channel|>commentary json<|message|>' }}
{{- (call.arguments | tojson) + '<|call|>' }}
{%- set last.name = call.name %}
{%- elif message.role == 'assistant' %}
{{- '<|start|>assistant<|channel|>final<|message|>' + message.content + '<|end|>' }}
{%- elif message.role == 'tool' %}
{%- if last.name is none %}{{ raise_exception("a result without a call") }}{% endif %}
{{- '<|start|>functions.' + last.name + ' to=assistant<|channel|>commentary<|message|>' }}
{{- (message.content | tojson) + '<|end|>' }}
{%- else %}{{ '<|start|>' + message.role + '<|message|>' + message.content + '<|end|>' }}
{%- endif %}{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}"""
