"""Compiled grammars: compiled in turn by team, dropped when unused, and bounded."""

import threading
import time

from llguidance import LLMatcher, LLTokenizer

from rowcast import grammar_limits
from rowcast.sampling.grammars.compiler import Compiled, Compiler
from rowcast.sampling.grammars.grammars import token_texts_of

TEXTS = [*(bytes([byte]) for byte in range(256)), b""]


class Gate:
    """Loads a tokenizer when the test opens it; compiling waits for that."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.calls: list[str] = []

    def __call__(self) -> LLTokenizer:
        self.calls.append(threading.current_thread().name)
        assert self.opened.wait(60)
        return token_texts_of(TEXTS, 256, 257)


def rule(number: int) -> str:
    return LLMatcher.grammar_from_regex(f"a{{{number}}}b")


def done(*all_compiled: Compiled) -> None:
    limit = time.monotonic() + 60
    while not all(each.done for each in all_compiled):
        assert time.monotonic() < limit, "it is never compiled"
        time.sleep(0.001)


def begun(compiled: Compiled) -> None:
    limit = time.monotonic() + 60
    while not compiled.begun:
        assert time.monotonic() < limit, "it is never begun"
        time.sleep(0.001)


def test_a_queue_of_one_team_does_not_keep_another_team_waiting() -> None:
    gate = Gate()
    compiler = Compiler(gate)
    queue = [compiler.acquire(rule(number), "many") for number in range(20)]
    begun(queue[0])
    one = compiler.acquire(rule(99), "one")
    begun(one)
    assert [each.begun for each in queue] == [True] + [False] * 19
    gate.opened.set()
    done(one, *queue)


def test_a_grammar_in_a_long_queue_is_compiled_in_the_turn_of_another_team_that_wants_it() -> None:
    gate = Gate()
    compiler = Compiler(gate)
    queue = [compiler.acquire(rule(number), "many") for number in range(20)]
    begun(queue[0])
    assert compiler.acquire(rule(19), "one") is queue[19]
    begun(queue[19])
    gate.opened.set()
    done(*queue)
    assert len(gate.calls) == 20


def test_what_nobody_wants_any_more_is_not_begun() -> None:
    gate = Gate()
    compiler = Compiler(gate)
    running, dropped, shared = (compiler.acquire(rule(number), "a") for number in range(3))
    begun(running)
    compiler.acquire(rule(2), "b")
    begun(shared)
    compiler.release(dropped)
    compiler.release(shared)
    assert len(compiler) == 2
    gate.opened.set()
    done(running, shared)
    assert not dropped.begun
    assert compiler.acquire(rule(1), "a") is not dropped


def test_what_is_kept_is_bounded_in_bytes() -> None:
    gate = Gate()
    gate.opened.set()
    compiler = Compiler(gate)
    for number in range(8):
        compiled = compiler.acquire(f'start: "{str(number) * 120_000}"', "a")
        done(compiled)
        compiler.release(compiled)
    assert compiler.bytes <= grammar_limits.COMPILED_BYTES
    assert 0 < len(compiler) < 8


def test_a_grammar_of_the_greatest_depth_that_is_allowed_compiles() -> None:
    gate = Gate()
    gate.opened.set()
    links = grammar_limits.LEVELS
    chain = "\n".join(f'r{at}: ((r{at + 1} | "b")+ | "c"?)*' for at in range(links))
    compiled = Compiler(gate).acquire(f'start: r0\n{chain}\nr{links}: "a"', "a")
    done(compiled)
    assert compiled.problem == ""
    assert compiled.matcher() is not None
