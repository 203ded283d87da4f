"""Options written as text: types, messages, lists."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from adtoolkit.config import ComponentConfig
from adtoolkit.errors import ConfigError
from adtoolkit.overrides import Text, allowed, fill, parse_setting


class Many(ComponentConfig):
    """One option of every type there is."""

    whole: int = 1
    real: float = 1.0
    yes: bool = False
    word: str = ""
    path: Path = Path()
    choice: Literal["a", "none"] = "a"
    words: tuple[str, ...] = ()
    pair: tuple[float, float] = (0.0, 1.0)
    numbers: list[int] = Field(default_factory=list)
    maybe: float | None = 1.0
    either: int | Literal["auto"] = "auto"
    one_or_more: str | tuple[str, ...] = ""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("whole", "12", 12),
        ("whole", "1e3", 1000),
        ("whole", "1_000", 1000),
        ("real", "3", 3.0),
        ("real", "1e-4", 1e-4),
        ("yes", "true", True),
        ("yes", "False", False),
        ("word", "7", "7"),
        ("word", "true", "true"),
        ("word", "a,b", "a,b"),
        ("word", "2024-01-01", "2024-01-01"),
        ("word", '"quoted"', "quoted"),
        ("path", "/tmp/x.h5", Path("/tmp/x.h5")),
        ("choice", "none", "none"),
        ("words", "a,b", ("a", "b")),
        ("words", "a", ("a",)),
        ("words", "1,2", ("1", "2")),
        ("words", "[a, b]", ("a", "b")),
        ("words", "", ()),
        ("pair", "1,2.5", (1.0, 2.5)),
        ("numbers", "1,2", [1, 2]),
        ("maybe", "none", None),
        ("maybe", "2", 2.0),
        ("either", "5", 5),
        ("either", "auto", "auto"),
        ("one_or_more", "a", "a"),
        ("one_or_more", "a,b", ("a", "b")),
    ],
)
def test_text_is_read_as_the_type_of_its_option(key: str, text: str, value: object) -> None:
    made = getattr(fill(Many, "t", {key: Text(text)}, "option"), key)

    assert value == made
    assert type(value) is type(made)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("whole", "integer"),
        ("yes", "true | false"),
        ("choice", "a | none"),
        ("words", "list of text"),
        ("pair", "2 values: number, number"),
        ("maybe", "number or none"),
        ("either", "integer or auto"),
        ("share", "number > 0 and < 1"),
    ],
)
def test_type_of_an_option_in_words(key: str, words: str) -> None:
    assert words == allowed(Many.model_fields[key])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("estimator.epochs=3", ("estimator", "epochs", "3")),
        ("seed=1", ("", "seed", "1")),
        ("metrics.sic.at=0.1,0.2", ("metrics", "sic.at", "0.1,0.2")),
        ("data.cuts=pt > 1.2, a=b", ("data", "cuts", "pt > 1.2, a=b")),
    ],
)
def test_setting_is_table_key_value(text: str, parts: tuple[str, str, str]) -> None:
    assert parts == parse_setting(text)


@pytest.mark.parametrize("text", ["estimator", "=3", "estimator.=3"])
def test_setting_that_reads_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"Write --set table\.key=value"):
        parse_setting(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b,q=log(c)", ("a", "b", "q=log(c)")),
        ("(a<3) and (b<5)", ("(a<3) and (b<5)",)),
        ("abs(a)<3,(b<5)", ("abs(a)<3", "(b<5)")),
        ('["a","q = log(b)"]', ("a", "q = log(b)")),
        ("[a]", ("a",)),
    ],
)
def test_parentheses_in_a_list_belong_to_its_members(text, expected):
    from adtoolkit.data.config import TableConfig
    from adtoolkit.overrides import Text, build
    from adtoolkit.registry import default_registry

    record = default_registry().get("data", "table").component
    values = {"cuts": Text(text), "path": "x", "mass": "m", "features": ("a",)}
    assert build(TableConfig, record, "default", values).cuts == expected
