"""Try the service with tasks from the command line.

python examples/simple_tester.py --url http://localhost:7000 generate --prompt "Hello, how are you?"

send-text begins a task and prints its id; get-task-status shows it, and tasks lists them all.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass

import requests

PROMPT = "Hello, how are you?"


@dataclass(frozen=True)
class Service:
    """The service at a URL."""

    url: str
    headers: dict[str, str]

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, headers=self.headers, timeout=60)

    def post(self, path: str, body: dict[str, object]) -> requests.Response:
        return requests.post(self.url + path, json=body, headers=self.headers, timeout=600)


def _body(options: argparse.Namespace) -> dict[str, object]:
    body = {"text": options.prompt, "model_name": options.model_name, "seed": options.seed}
    return {name: value for name, value in body.items() if value is not None}


COMMANDS: dict[str, Callable[[Service, argparse.Namespace], requests.Response]] = {
    "send-text": lambda service, options: service.post("/send_text", _body(options)),
    "generate": lambda service, options: service.post("/generate", _body(options)),
    "health-check": lambda service, _: service.get("/health_check"),
    "tasks": lambda service, _: service.get("/tasks/"),
    "get-task-status": lambda service, options: service.get(f"/get_task_status/{options.task_id}"),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Try the service with tasks.")
    parser.add_argument("--url", default="http://localhost:7000")
    parser.add_argument("--token", default="", help="for the proxy")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        command = commands.add_parser(name)
        if name in {"send-text", "generate"}:
            command.add_argument("--prompt", default=PROMPT)
            command.add_argument("--model-name", help="the server's default model, if omitted")
            command.add_argument("--seed", type=int)
        if name == "get-task-status":
            command.add_argument("--task-id", required=True)
    return parser


def main() -> None:
    """Run one command; print the answer. Exit with status 1 if the service refuses it."""
    options = _parser().parse_args()
    headers = {"Authorization": f"Bearer {options.token}"} if options.token else {}
    service = Service(options.url.rstrip("/"), headers)
    try:
        answer = COMMANDS[options.command](service, options)
    except requests.ConnectionError:
        raise SystemExit(f"nothing listens at {service.url}") from None
    try:
        print(json.dumps(answer.json(), indent=2, ensure_ascii=False))
    except requests.JSONDecodeError:
        print(answer.text)
    if not answer.ok:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
