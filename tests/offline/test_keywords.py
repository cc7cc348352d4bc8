"""The keywords of an LLM: settings, vLLM's names, and sentences for what is neither."""

from typing import Any

import pytest

from rowcast.errors import InvalidField
from rowcast.offline.keywords import settings_of


def test_a_keyword_is_a_setting_by_its_name_or_by_vllms() -> None:
    settings = settings_of("scripted", {"max_model_len": 64, "dtype": "half", "waiting_line": None})
    assert (settings.model, settings.context_length, settings.dtype) == ("scripted", 64, "float16")
    assert settings_of("scripted", {"kv_cache_memory_bytes": 1 << 30}).kv_memory == 1 << 30
    assert settings.journal_path is None
    assert settings.log_level == "warning"


def test_keywords_without_effect_are_accepted() -> None:
    same = {"enforce_eager": True, "tensor_parallel_size": 1, "gpu_memory_utilization": 0.9}
    assert settings_of("scripted", same) == settings_of("scripted", {})


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"dtyp": "int8"}, "dtyp is not a keyword of an LLM; did you mean dtype?"),
        ({"zebra": 1}, "zebra is not a keyword of an LLM; docs/offline.md lists them"),
        ({"port": 1}, "port is a setting of the server; an LLM listens nowhere"),
        ({"background_rows": 1}, "background_rows is a setting of the server"),
        ({"tensor_parallel_size": 2}, "tensor_parallel_size is 2, which is not supported: this"),
        ({"trust_remote_code": True}, "no code of a model is run"),
        ({"quantization": "awq"}, "quantization is 'awq', which is not supported: set dtype"),
        ({"context_length": "long"}, "context_length is invalid: "),
        ({"dtype": "int3"}, "dtype is invalid: "),
    ],
)
def test_another_keyword_is_an_error(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidField) as raised:
        settings_of("scripted", given)
    assert problem in str(raised.value)


def test_variables_set_what_no_keyword_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTEXT_LENGTH", "77")
    monkeypatch.setenv("MODEL", "draft")
    monkeypatch.setenv("PORT", "none of ours")
    assert settings_of("scripted", {}).context_length == 77
    assert settings_of("scripted", {"context_length": 78}).context_length == 78
    assert settings_of("scripted", {}).model == "scripted"
