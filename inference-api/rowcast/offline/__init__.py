"""Models without a server: prompts in, replies out, in this program.

    llm               LLM: lists of prompts, chats, scores
    async_llm         AsyncLLM: one reply at a time, as it is generated
    sampling_params   SamplingParams, by vLLM's names
    outputs           RequestOutput, CompletionOutput, Logprob
    inputs            the forms in which prompts come
    keywords          LLM's keywords ▶ settings
    request           a prompt and its parameters ▶ what the decoder is to compute
    chat_request      messages ▶ the same
    flow              the requests in flight: all rows are busy, nothing is unbounded
    runtime           the decoder, in a process of its own, and the model's text side in this one
    decoder_process   what that process runs
    progress          a bar on standard error
    batch/            `rowcast batch`: a file of requests

The text side and the sessions are the server's own (`rowcast.frontend`), so a reply has the bytes
that the server would send. There is no HTTP between them and the decoder.
"""
