"""Runs other people's clients against the mock server through the proxy; see README.md.

python tests/clients/run.py [--only NAME …] [--cache FOLDER]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent / "inference-api")]

from processes import running_proxy, running_server  # noqa: E402

SECRETS = {
    "JWT_SECRET": "a-secret-for-the-clients-tests-only-0",
    "PROXY_SECRET": "shared-by-both-processes-of-the-tests",
}
SECONDS = 900
TEMPLATE = HERE / "template.jinja"


@dataclass(frozen=True)
class Client:
    """A program, and what it needs."""

    name: str
    program: str
    packages: tuple[str, ...] = ()


CLIENTS = (
    Client("curl", "curl.sh"),
    Client("old", "old_openai.py", ("openai==0.28.1",)),
    Client("llm", "llm_tool.sh", ("llm",)),
    Client("litellm", "litellm_calls.py", ("litellm", "mcp")),
    Client("langchain", "langchain_chat.py", ("langchain-openai",)),
    Client("lmeval", "lm_eval_task.py", ("lm-eval[api]", "tokenizers", "transformers")),
)


def environment(client: Client, cache: Path) -> Path:
    """The client's environment, made when it is not there."""
    folder = cache / client.name
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", *client.packages]
        subprocess.run(pip, check=True, timeout=3600)
        (folder / "ready").touch()
    return folder


@contextmanager
def stack(folder: Path) -> Iterator[dict[str, str]]:
    """A server with its proxy, as the variables by which programs find it."""
    jwt = [sys.executable, "scripts/jwt_util.py", "--secret", SECRETS["JWT_SECRET"]]
    made = subprocess.run(
        [*jwt, "encode", '{"team_id": "clients", "token_id": "tests"}'],
        cwd=HERE.parent.parent,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    env = SECRETS | {"CHAT_TEMPLATE": str(TEMPLATE)}
    with running_server(folder, env=env) as server, running_proxy(folder, server, env=env) as proxy:
        yield {"ROWCAST_URL": proxy.url, "ROWCAST_TOKEN": made.stdout.strip()}


def run(client: Client, cache: Path, variables: dict[str, str]) -> bool:
    """Whether the client's program went well."""
    print(f"=== {client.name}", flush=True)
    env = os.environ | variables
    python = sys.executable
    if client.packages:
        folder = environment(client, cache)
        env["PATH"] = f"{folder / 'bin'}:{env['PATH']}"
        python = str(folder / "bin" / "python")
    program = HERE / "programs" / client.program
    shell = program.suffix == ".sh"
    command = ["bash", "-euo", "pipefail", str(program)] if shell else [python, str(program)]
    with tempfile.TemporaryDirectory() as home:
        # Nothing of the caller's own settings and keys reaches the clients.
        env |= {"HOME": home, "LLM_USER_PATH": home, "LITELLM_LOCAL_MODEL_COST_MAP": "true"}
        try:
            done = subprocess.run(command, cwd=home, env=env, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            print(f"... {client.name} took longer than {SECONDS} s")
            return False
    print(f"... {client.name}: {'ok' if done.returncode == 0 else 'FAILED'}", flush=True)
    return done.returncode == 0


def main() -> int:
    """Run them all."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rowcast" / "clients"
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", nargs="+", choices=[client.name for client in CLIENTS])
    options.add_argument("--cache", type=Path, default=cache)
    chosen = options.parse_args()
    wanted = [client for client in CLIENTS if not chosen.only or client.name in chosen.only]
    with tempfile.TemporaryDirectory() as folder, stack(Path(folder)) as variables:
        results = {client.name: run(client, chosen.cache, variables) for client in wanted}
    print("; ".join(f"{name} {'ok' if good else 'FAILED'}" for name, good in results.items()))
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
