"""Computes a batch: some lines at once, each written as soon as it is computed.

No more lines are read than are in flight, so memory is bounded, and a killed run has to repeat no
more than those.
"""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass

from rowcast.offline.batch.answers import line_of, line_of_fault, tokens_in
from rowcast.offline.batch.api import Batch, Dialects
from rowcast.offline.batch.lines import Fault, Line, count_lines, lines_of, task_of
from rowcast.offline.batch.options import Options
from rowcast.offline.batch.results import OpenResults, Results, digest_of
from rowcast.offline.progress_bar import Bar, Progress, Silent, shows
from rowcast.offline.runtime import Runtime

LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Computed:
    """A line of the output, and how many tokens were generated for it."""

    number: int
    line: bytes
    tokens: int = 0


def run(options: Options) -> str:
    """Compute a batch, or the rest of it; return what to print. Raises RowcastError."""
    results, total = Results(options.target), count_lines(options.source, options.longest)
    if results.finished(total):
        return f"{options.target} is complete: {total} lines"
    runtime = Runtime(options.model, options.settings)
    dialects = Dialects(runtime)
    try:
        runtime.begin(dialects.frontend.models.start)
        runtime.wait()
        bar: Progress = Silent() if options.quiet or not shows() else Bar(total, "lines")
        with closing(_opened(options, results, runtime, total)) as output:
            _Run(options, runtime, dialects, output.created).into(output, bar)
    finally:
        dialects.stop()
        runtime.close()
    return f"{options.target}: {total} lines"


def _opened(options: Options, results: Results, runtime: Runtime, lines: int) -> OpenResults:
    """Begin the output, or continue it."""
    status = runtime.served.status()
    about = {
        "input": digest_of(options.source),
        "model": runtime.settings.served_name,
        "build": status.fingerprint,
        "context_length": status.context_length,
        "seed": options.seed,
    }
    return results.open(about, lines, int(options.source.stat().st_mtime))


class _Run:
    """One run of a batch."""

    def __init__(
        self, options: Options, runtime: Runtime, dialects: Dialects, created: int
    ) -> None:
        self._options = options
        self._runtime = runtime
        self._dialects = dialects
        self._batch = Batch(created=created, seed=options.seed)

    def into(self, results: OpenResults, bar: Progress) -> None:
        """Compute what is missing in the results."""
        bar.update(results.done)
        pool = ThreadPoolExecutor(self._options.at_once, "rowcast-batch")
        try:
            for computed in self._all(pool, results):
                results.add(computed.number, computed.line)
                bar.update(1)
                bar.count(computed.tokens)
            results.finish()
        finally:
            self._dialects.stop()
            pool.shutdown(cancel_futures=True)
            bar.close()

    def _all(self, pool: ThreadPoolExecutor, results: OpenResults) -> Iterator[Computed]:
        """Yield the lines that are missing, as they are computed."""
        flying: set[Future[Computed]] = set()
        for line in lines_of(self._options.source, self._options.longest):
            if results.missing(line.number):
                flying.add(pool.submit(self._computed, line))
            while len(flying) >= self._options.at_once:
                yield from self._ended(flying)
        while flying:
            yield from self._ended(flying)

    def _ended(self, flying: set[Future[Computed]]) -> Iterator[Computed]:
        """Wait for the next lines. Raises RowcastError if the decoder has given up."""
        ended, _ = wait(flying, LOOK_SECONDS, FIRST_COMPLETED)
        if not ended:
            self._runtime.check()
        flying -= ended
        for each in ended:
            yield each.result()

    def _computed(self, line: Line) -> Computed:
        task = task_of(line, self._runtime.settings.served_name)
        if isinstance(task, Fault):
            return Computed(line.number, line_of_fault(task))
        answered = self._dialects.answer(self._batch, task)
        return Computed(line.number, line_of(task, answered), tokens_in(answered))
