"""From prompts to outputs: what one call of an LLM does.

inputs          the forms of prompts
prepared        a prompt and its parameters ▶ a request that is ready to be computed
chat_request    messages ▶ the same
in_flight       the requests in flight: all rows are busy, nothing is unbounded
returned        what was read of a reply ▶ what the LLM returns
"""
