"""T-65: the two documents exist, and cover their subjects."""

from processes import ROOT


def _words(name: str) -> str:
    text = (ROOT / "docs" / name).read_text()
    assert len(text.splitlines()) > 20
    return text.lower()


def test_t65_docs_frontend_describes_the_flask_api_server() -> None:
    text = _words("frontend.md")
    assert text.startswith("# the frontend")
    assert all(word in text for word in ("flask", "gunicorn", "session", "chunk"))


def test_t65_docs_backend_describes_the_backend() -> None:
    text = _words("backend.md")
    assert text.startswith("# the backend")
    assert all(word in text for word in ("decodebackend", "rows", "step", "engine"))
