"""What `name[k=v1,v2]` means: the product of its values, round trips, and brackets that stay a glob's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganbench.errors import BadConfig
from ganbench.registry.variants import expand, single, split_config, split_names, with_config

LEAF = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1e3, 1e3) | st.text(max_size=6)
VALUE = LEAF | st.lists(LEAF, max_size=3) | st.dictionaries(st.text(max_size=4), LEAF, max_size=2)
KEYS = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(KEYS, st.lists(VALUE, min_size=1, max_size=3), min_size=1, max_size=3))
def test_variants_are_the_product_of_their_values(values: dict[str, list[Any]]) -> None:
    inner = ",".join(f"{k}={','.join(json.dumps(v) for v in chosen)}" for k, chosen in values.items())
    found = [single(ref) for ref in expand(f"m[{inner}]")]
    count = 1
    for chosen in values.values():
        count *= len(chosen)
    assert len(found) == count
    assert {name for name, _ in found} == {"m"}
    for key, chosen in values.items():  # each value stands in as many variants as the others have combinations
        texts = [json.dumps(config[key]) for _, config in found]
        for value in chosen:
            same = sum(json.dumps(v) == json.dumps(value) for v in chosen)
            assert texts.count(json.dumps(value)) == count // len(chosen) * same


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(KEYS, VALUE, min_size=1, max_size=3))
def test_a_variant_survives_being_written_and_split(config: dict[str, Any]) -> None:
    ref = with_config("path.py:A" if "p" in config else "m", config)
    assert single(ref)[1] == config
    if ".py:" not in ref:
        assert split_names([f"a,{ref},b"]) == ["a", ref, "b"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("gmm[n_components=4]", [{"n_components": 4}]),
        ("gan_ns[lr=1e-3,0.1]", [{"lr": 1e-3}, {"lr": 0.1}]),
        ("m[hidden=[128,128],[64]]", [{"hidden": [128, 128]}, {"hidden": [64]}]),
        ("m[a=1,2,b=x,y]", [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]),
        ('m[a="x,y]=",z]', [{"a": "x,y]="}, {"a": "z"}]),
        ("m[ a = 1 , true ]", [{"a": 1}, {"a": True}]),
    ],
)
def test_what_is_written_is_what_is_read(text: str, wanted: list[dict[str, Any]]) -> None:
    assert [single(ref)[1] for ref in expand(text)] == wanted


@pytest.mark.parametrize("text", ["gan*", "gan_[nm]s", "[gw]an", "family:adversarial", "a/b=c.py:A", "/x[a=b]/m.py:A"])
def test_without_a_config_a_reference_is_left_alone(text: str) -> None:
    assert expand(text) == [text]
    assert split_config(text) == (text, None)


def test_a_glob_may_carry_a_config() -> None:
    assert expand("gan_[nm]s[lr=1,2]") == ["gan_[nm]s[lr=1]", "gan_[nm]s[lr=2]"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gmm[k=4", "a config closes at the end of the reference"),
        ("gmm[k=4]x", "a config closes at the end of the reference"),
        ("gmm[k=]", "written name"),
        ("gmm[k=1,]", "written name"),
        ("gmm[=4]", "a key is missing"),
        ("gmm[3,k=4]", "written name"),
        ("gmm[k=1,k=2]", "k is said twice"),
        ("gmm[k=[1,2]", "] is missing"),
        ('gmm[k="a]', "a quote is missing"),
        ("gmm[k=[a,b]]", "double quotes"),
        ("gmm[k=a=b]", "double quotes"),
        ("gmm[k=" + ",".join(map(str, range(200))) + ",m=" + ",".join(map(str, range(200))) + "]", "40000 configs"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadConfig) as caught:
        expand(text)
    assert said in str(caught.value)


def test_one_is_not_several() -> None:
    with pytest.raises(BadConfig, match="k must have one value here; got 2"):
        single("gmm[k=1,2]")
