"""The storyteller behind the server: a real model's replies, alone and in company."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from models.corpus.documents import ASSISTANT, END, USER
from models.evaluate import HERE
from models.exams import Exam, exams, is_right
from models.training import HELD_OUT_SEED
from processes import SERVER, Running, free_port, running

pytestmark = pytest.mark.slow

ROWS = 32
LOADING = 120.0  # seconds; the kernels are compiled on first use


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder, port = tmp_path_factory.mktemp("storyteller"), free_port()
    env = {"PORT": str(port), "MODEL": "storyteller", "JOURNAL": str(folder / "journal.db")}
    with running(SERVER, port, folder / "log", env=env, patience=LOADING) as one:
        yield one


def ask(server: Running, **body: object) -> str:
    body = {"max_tokens": 60, "seed": 1, "stream": False} | body
    answer = requests.post(f"{server.url}/inference/storyteller", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["answer"])


def bodies() -> list[dict[str, object]]:
    """Request bodies for stories and answers, sampled and greedy."""
    drawn = [{"text": "Once upon a time", "seed": seed} for seed in range(ROWS - 8)]
    asked = [exam.prompt for exam in exams(HELD_OUT_SEED, "stories", "chat", 8)]
    return [*drawn, *({"text": text, "top_k": 1, "max_tokens": 30} for text in asked)]


def test_it_says_the_same_alone_and_in_company(server: Running) -> None:
    wanted = bodies()
    with ThreadPoolExecutor(ROWS) as together:
        among = list(together.map(lambda body: ask(server, **body), wanted))
    assert among == [ask(server, **body) for body in wanted]
    assert len(set(among)) > ROWS / 2


def test_it_answers_what_it_is_asked(server: Running) -> None:
    asked = exams(HELD_OUT_SEED, "stories", "plain", 16)

    def answered(exam: Exam) -> bool:
        return is_right(exam, ask(server, text=exam.prompt, top_k=1, max_tokens=32))

    with ThreadPoolExecutor(ROWS) as together:
        assert sum(together.map(answered, asked)) >= len(asked) / 2


def test_its_chat_template_is_the_one_that_it_was_trained_with(server: Running) -> None:
    question = "Who are you?"
    body = {
        "model": "storyteller",
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": 40,
    }
    url = f"{server.url}/v1/chat/completions"
    [choice] = requests.post(url, json=body, timeout=60).json()["choices"]
    spelled = f"{USER}{question}{END}{ASSISTANT}"
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == ask(server, text=spelled, top_k=1, max_tokens=40)


def test_the_files_are_found_by_name_from_any_folder(tmp_path: Path) -> None:
    port = free_port()
    config = HERE.parent / "gunicorn.conf.py"
    command = (*SERVER[:-1], str(config), "--chdir", str(HERE.parent))
    env = {"PORT": str(port), "MODEL": "draft", "JOURNAL": "off"}
    with running(command, port, tmp_path / "log", env=env, cwd=tmp_path, patience=LOADING) as one:
        [model, *_] = requests.get(f"{one.url}/v1/models", timeout=10).json()["data"]
        assert model["id"] == "draft"
