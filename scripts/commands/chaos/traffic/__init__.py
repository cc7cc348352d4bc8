"""Requests during a disturbance, and the judgement of their answers.

request       one request, and the form of its answer
kinds         requests of every kind and dialect, drawn from a seed
crowd         many at once in one thread, read as they arrive, ended in every way
content       the content of an answer, whatever its pieces; the position to resume at
flow          keeps a crowd in flight, compares each answer with the undisturbed one
keep_alive    clients that reuse their connections
resumption    answers that were cut, resumed to their end
"""
