"""A table of settings: its fields, values that cannot be changed, and all faults together."""

import copy
import pickle
from pathlib import Path

import pytest

from rowcast_settings.fields import (
    BaseSettings,
    InvalidSettings,
    from_variables,
    optional,
    required,
    setting,
)
from rowcast_settings.kinds import Place, Switch, Whole
from rowcast_settings.secret import SecretText


class Example(BaseSettings):
    key = required(SecretText(), "The key.", "Choose one")
    port = setting(Whole(1, 9), 7, "The port.")
    root = optional(Place(), "The folder.", "OLD_ROOT", "OLDEST_ROOT")
    loud = setting(Switch(), False, "More output.")


def test_the_table_has_its_fields_in_order() -> None:
    assert list(Example.fields) == ["key", "port", "root", "loud"]
    assert Example.fields["port"] is Example.port
    assert Example.port.description == "The port."
    assert Example.root.variables == ("ROOT", "OLD_ROOT", "OLDEST_ROOT")
    assert Example.root.flags == ("--root", "--old-root", "--oldest-root")


def test_what_is_not_given_has_its_default() -> None:
    settings = Example(key="k", port="3")
    assert (settings.port, settings.root, settings.loud) == (3, None, False)
    assert settings.chosen == {"key", "port"}


def test_none_can_be_chosen_only_where_it_is_the_default() -> None:
    assert Example(key="k", root=None).chosen == {"key", "root"}
    with pytest.raises(InvalidSettings):
        Example(key=None)
    with pytest.raises(InvalidSettings):
        Example(key="k", port=None)


def test_all_faults_are_reported_together() -> None:
    with pytest.raises(InvalidSettings) as raised:
        Example(port="0", loud="x", root="/r")
    assert raised.value.faults == [
        "KEY is not set. Choose one",
        "PORT: has to be a whole number from 1 to 9",
        "LOUD: has to be true or false",
    ]


def test_an_unknown_setting_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="no such setting: prot"):
        Example(key="k", prot=1)


def test_values_cannot_be_changed() -> None:
    settings = Example(key="k")
    with pytest.raises(AttributeError):
        settings.port = 3  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        del settings.port
    assert settings.port == 7


def test_a_copy_has_other_values() -> None:
    settings = Example(key="k", port=3)
    other = settings.replaced(root=Path("/r"), port=4)
    assert (other.port, other.root) == (4, Path("/r"))
    assert (settings.port, settings.root) == (3, None)
    assert other.chosen == {"key", "port", "root"}
    assert settings.chosen == {"key", "port"}


def test_equal_values_are_equal_settings() -> None:
    assert Example(key="k") == Example(key="k", port=7)
    assert hash(Example(key="k")) == hash(Example(key="k", port=7))
    assert Example(key="k") != Example(key="x")
    assert Example(key="k") != 1


def test_copies_of_other_kinds_are_equal() -> None:
    settings = Example(key="k", port=3)
    for other in (copy.deepcopy(settings), pickle.loads(pickle.dumps(settings))):
        assert other == settings
        assert other.chosen == settings.chosen


def test_all_values_are_shown_but_secrets() -> None:
    shown = repr(Example(key="open sesame"))
    assert shown == "Example(key=Secret('**********'), port=7, root=None, loud=False)"


def test_variables_have_names_in_any_case_and_aliases_and_a_text() -> None:
    def found(**variables: str) -> dict[str, str]:
        return from_variables(Example.fields, variables)

    assert found(PORT="1", loud="x", OTHER="y") == {"port": "1", "loud": "x"}
    assert found(OLDEST_ROOT="c", OLD_ROOT="b") == {"root": "b"}
    assert found(ROOT="", OLD_ROOT="b", PORT="") == {"root": "b"}
