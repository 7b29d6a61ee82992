"""What is hidden of requests and answers: the same by a glance at the text as member by member."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from dryport.gateway.models import Models
from dryport.gateway.redaction import HIDDEN, Redaction, hide

ECS = Models(["ecs"]).service("ecs")
REGISTER = Redaction.of(ECS, "RegisterTaskDefinitionRequest")
TEXTS = st.text(st.sampled_from('ab"\\[]{}:, environment\u00e9'), max_size=12) | st.sampled_from(
    ['"environment":[{"value":"x"}]', "environment", '\\"environment\\":[', "]", '"value":"y"']
)
PAIRS = st.fixed_dictionaries({"name": TEXTS}, optional={"value": st.just("secret")})
CONTAINERS = st.fixed_dictionaries(
    {"name": TEXTS},
    optional={"environment": st.lists(PAIRS, max_size=3), "command": st.lists(TEXTS, max_size=3), "image": TEXTS},
)


@given(st.lists(CONTAINERS, max_size=3), TEXTS)
def test_a_glance_hides_what_a_look_at_each_member_does(containers: list[dict[str, Any]], family: str) -> None:
    value = {"family": family, "containerDefinitions": containers}
    by_text = msgspec.json.decode(msgspec.json.encode(REGISTER.hide(value, msgspec.json.encode(value))))
    by_member = msgspec.json.decode(msgspec.json.encode(REGISTER.hide(value, None)))
    assert by_text == by_member
    for before, after in zip(containers, by_member["containerDefinitions"], strict=True):
        assert after.get("environment") == (HIDDEN if "environment" in before else None)
        assert {name: each for name, each in after.items() if name != "environment"} == {
            name: each for name, each in before.items() if name != "environment"
        }


def test_a_name_that_is_spelled_with_escapes_is_hidden_too() -> None:
    text = b'{"containerDefinitions":[{"\\u0065nvironment":[{"name":"A","value":"secret"}]}]}'
    shown = msgspec.json.encode(REGISTER.hide(msgspec.json.decode(text), text))
    assert b"secret" not in shown and HIDDEN.encode() in shown


def test_fragments_of_an_answer_are_looked_into() -> None:
    fragment = msgspec.Raw(b'{"environment":[{"name":"A","value":"secret"}]}')
    shown = hide({"taskDefinition": fragment}, {"taskDefinition": {"environment": None}})
    assert shown == {"taskDefinition": {"environment": HIDDEN}}
