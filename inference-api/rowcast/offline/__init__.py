"""Models without a server: prompts in, replies out, in this program.

    llm               LLM: lists of prompts, chats, scores
    async_llm         AsyncLLM: one reply at a time, as it is generated
    params            SamplingParams, by vLLM's names
    outputs           RequestOutput, CompletionOutput, Logprob
    keywords          LLM's keywords ▶ settings
    generation/       prompts ▶ requests in flight ▶ outputs
    runtime           the decoder, in a process of its own, and the model's text side in this one
    decoder_process   what that process runs
    progress_bar      a bar on standard error
    struct_types      what must be done before several threads read bodies
    batch/            `rowcast batch`: a file of requests

The text side and the sessions are the server's own (`rowcast.frontend`), so a reply has the bytes
that the server would send. There is no HTTP between them and the decoder.
"""
