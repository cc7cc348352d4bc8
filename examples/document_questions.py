"""Answer questions about a web document, without a server.

python examples/document_questions.py page.html "Who lives near the mill?"
python examples/document_questions.py https://example.org/page "…" --allow example.org

The document is a local file, or a page of a host that --allow names; nothing else is fetched. The
paragraphs that share most words with the question are shown to the model, as many as fit.
"""

import argparse
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import requests

from rowcast import LLM, SamplingParams

MOST_BYTES, SECONDS = 2 << 20, 20
BLOCKS = {"p", "li", "h1", "h2", "h3", "h4", "td", "dd", "blockquote", "pre", "div", "br"}
HIDDEN = {"script", "style", "head", "nav", "template"}
COMMON = {
    "a",
    "an",
    "and",
    "are",
    "at",
    "by",
    "do",
    "in",
    "is",
    "it",
    "of",
    "on",
    "or",
    "the",
    "to",
}


class Paragraphs(HTMLParser):
    """The visible text of a page, by paragraphs."""

    def __init__(self) -> None:
        super().__init__()
        self.found = [""]
        self._hidden = 0

    def handle_starttag(self, tag: str, _: Sequence[tuple[str, str | None]]) -> None:
        self._hidden += tag in HIDDEN
        if tag in BLOCKS:
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in HIDDEN))
        if tag in BLOCKS:
            self.found.append("")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.found[-1] += data


def read(place: str, hosts: Sequence[str]) -> str:
    """Return the document at a path or URL."""
    if "://" not in place:
        return Path(place).read_text(errors="replace")[:MOST_BYTES]
    host = urlsplit(place).hostname
    if host not in hosts:
        raise SystemExit(f"{host} is not allowed; add --allow {host}")
    with requests.get(place, timeout=SECONDS, stream=True, allow_redirects=False) as answer:
        if answer.is_redirect:
            raise SystemExit(f"the page has moved to {answer.headers['Location']}")
        answer.raise_for_status()
        content = next(answer.iter_content(MOST_BYTES), b"")
        return content.decode(answer.encoding or "utf-8", "replace")


def paragraphs(document: str) -> list[str]:
    """Return the paragraphs of a page, or of plain text."""
    parser = Paragraphs()
    parser.feed(document)
    separated = (part for found in parser.found for part in re.split(r"\n\s*\n", found))
    return [text for part in separated if (text := " ".join(part.split()))]


def words(text: str) -> set[str]:
    """Return the words that distinguish a text from others."""
    return set(re.findall(r"\w+", text.lower())) - COMMON


def relevant(parts: Sequence[str], question: str, room: int, llm: LLM) -> list[str]:
    """Return the parts that share most words with the question, in the document's order."""
    wanted, chosen = words(question), []
    for part in sorted(parts, key=lambda part: -len(words(part) & wanted)):
        room -= len(llm.encode(part)) + 1
        if room < 0 or not words(part) & wanted:
            break
        chosen.append(part)
    return [part for part in parts if part in chosen]


def main() -> None:
    """Answer each question."""
    options = argparse.ArgumentParser(description="Answer questions about a document.")
    options.add_argument("document", help="a file, or the URL of a page")
    options.add_argument("questions", nargs="+")
    options.add_argument("--allow", action="append", default=[], metavar="HOST")
    options.add_argument("--model", default="storyteller")
    options.add_argument("--max-tokens", type=int, default=64)
    options.add_argument("--seed", type=int)
    chosen = options.parse_args()
    parts = paragraphs(read(chosen.document, chosen.allow))
    params = SamplingParams(temperature=0.2, max_tokens=chosen.max_tokens, seed=chosen.seed)
    with LLM(model=chosen.model) as llm:
        chats = []
        for question in chosen.questions:
            room = llm.context_length - chosen.max_tokens - len(llm.encode(question)) - 64
            shown = "\n".join(relevant(parts, question, room, llm))
            chats.append([{"role": "user", "content": f"{shown}\n\n{question}"}])
        for question, output in zip(chosen.questions, llm.chat(chats, params), strict=True):
            print(f"Question: {question}\nAnswer: {output.outputs[0].text.strip()}")


if __name__ == "__main__":
    main()
