"""Settings that must not load do not load, and say why in one sentence per key."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.settings import CONFIG_KEY, Settings, SettingsError, json_schema, load, load_file
from tests.support.settings_mistakes import MISTAKES, SERVICE

ROOT = Path(__file__).parents[2]
STACKS = ("dev", "prod")


def stack_settings(stack: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"][CONFIG_KEY]


def planted(edits: dict[str, Any], stack: str = "prod") -> dict[str, Any]:
    """The stack's settings with values set (or, with `...`, removed) at dotted paths."""
    data = copy.deepcopy(stack_settings(stack))
    for path, value in edits.items():
        *parents, last = path.split("/")
        here = data
        for part in parents:
            here = here.setdefault(part, {})
        if value is ...:
            here.pop(last)
        else:
            here[last] = value
    return data


def refusals(data: object) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(data)
    return caught.value.sentences


@pytest.mark.parametrize("stack", STACKS)
def test_a_shipped_stack_loads(stack):
    assert load_file(ROOT / f"Pulumi.{stack}.yaml").environment == stack


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_gives_one_sentence_with_key_value_and_remedy(mistake):
    edits, key, remedy = MISTAKES[mistake]
    sentences = refusals(planted(edits))
    assert len(sentences) == 1, sentences
    assert sentences[0].startswith(f"{key} = ")
    assert remedy in sentences[0]
    assert sentences[0].count("\n") == 0
    assert sentences[0].endswith(".")


def test_everything_wrong_is_said_at_once_even_across_kinds_of_mistake():
    edits = {"netwrk": {}, "identity/trust_domain_base": "bank.example", f"{SERVICE}/replicas": "3", "home_region": "us-east-1"}
    found = refusals(planted(edits))
    assert {sentence.split(" = ")[0] for sentence in found} == {
        "netwrk",
        "identity.trust_domain_base",
        "tenants.bank-a.services.api-ms.replicas",
        "home_region",
    }


def test_a_key_given_twice_is_refused_with_its_line(tmp_path):
    text = (
        (ROOT / "Pulumi.dev.yaml").read_text().replace("    environment: dev\n", "    environment: dev\n    environment: prod\n")
    )
    (tmp_path / "Pulumi.dev.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"environment = line \d+: this key stands here twice"):
        load_file(tmp_path / "Pulumi.dev.yaml")


@pytest.mark.parametrize("text", ["", "config: [", "config: {}", "- 1", "config:\n  zerotrust:settings: 3"])
def test_a_file_that_is_no_stack_is_refused(tmp_path, text):
    (tmp_path / "Pulumi.x.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"^Pulumi\.x\.yaml: 1 setting refused, nothing was done\."):
        load_file(tmp_path / "Pulumi.x.yaml")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"copy Pulumi\.dev\.yaml"):
        load_file(tmp_path / "Pulumi.none.yaml")


def leaves(node: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(node, dict):
        return [leaf for key, value in node.items() for leaf in leaves(value, (*path, key))]
    if isinstance(node, list):
        return [leaf for index, value in enumerate(node) for leaf in leaves(value, (*path, index))]
    return [path]


LEAVES = {stack: leaves(stack_settings(stack)) for stack in STACKS}
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=80),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)  # fmt: skip


@given(data=st.data(), stack=st.sampled_from(STACKS))
def test_junk_in_any_leaf_loads_or_is_refused_in_clear_sentences(data, stack):
    path = data.draw(st.sampled_from(LEAVES[stack]))
    settings = copy.deepcopy(stack_settings(stack))
    here: Any = settings
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = data.draw(JUNK)
    try:
        load(settings)
    except SettingsError as error:
        assert error.sentences
        for sentence in error.sentences:
            key, _, rest = sentence.partition(" = ")
            assert key
            assert ": " in rest
            assert "pydantic" not in sentence
            assert "validation error" not in sentence.lower()


@given(path=st.sampled_from(LEAVES["prod"]), key=st.from_regex(r"[a-z_]{3,12}", fullmatch=True))
def test_an_unknown_key_anywhere_is_refused_by_its_full_path(path, key):
    settings = copy.deepcopy(stack_settings("prod"))
    here: Any = settings
    walked = []
    for part in path[:-1]:
        here = here[part]
        walked.append(str(part))
    if not isinstance(here, dict) or key in here:
        return
    here[key] = {"not": "known"}
    try:
        load(settings)
    except SettingsError as error:
        assert any(sentence.startswith(".".join([*walked, key])) for sentence in error.sentences), error.sentences
    else:
        pytest.fail(f"{walked} accepted {key}")


@pytest.mark.parametrize("stack", STACKS)
def test_the_schema_accepts_the_shipped_stacks_and_refuses_an_unknown_key(stack):
    document = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())
    jsonschema.validate(document, json_schema())
    document["config"][CONFIG_KEY]["netwrk"] = {}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, json_schema())


def test_the_committed_schema_is_the_generated_one():
    committed = json.loads((ROOT / "docs/reference/settings.schema.json").read_text())
    assert committed == json.loads(json.dumps(json_schema()))


def test_every_setting_says_what_it_is():
    undocumented = [
        f"{name}.{key}"
        for name, definition in {"Settings": Settings.model_json_schema(), **Settings.model_json_schema()["$defs"]}.items()
        for key, value in definition.get("properties", {}).items()
        if not value.get("description")
    ]
    assert not undocumented
