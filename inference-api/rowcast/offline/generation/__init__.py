"""From prompts to outputs: what one call of an LLM does.

inputs          the forms in which prompts come
prepared        a prompt and its parameters ▶ what the decoder is to compute
chat_request    messages ▶ the same
flow            the requests in flight: all rows are busy, nothing is unbounded
returned        what was read of a reply ▶ what the LLM returns
"""
