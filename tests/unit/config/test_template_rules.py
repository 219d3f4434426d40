"""`{match:…}` is looked for wherever variables can stand."""

from typing import get_args

import pytest
from pydantic import AfterValidator

from lbg.config import template_fields
from lbg.config.routes import RouteConfig
from lbg.config.template_rules import broken_groups, texts_of_filter, texts_of_route
from tests.unit.config.test_validate import MODELS

# What `texts_of_route` and `texts_of_filter` look into.
LOOKED_INTO = {
    ("ForwardAuthConfig", "path"),
    ("QueryConfig", "add"),
    ("QueryConfig", "set"),
    ("RedirectConfig", "to"),
    ("RequestFieldsConfig", "add"),
    ("RequestFieldsConfig", "set"),
    ("RespondConfig", "body"),
    ("RespondConfig", "headers"),
    ("ResponseFieldsConfig", "add"),
    ("ResponseFieldsConfig", "set"),
}


def validators(annotation):
    for argument in (*get_args(annotation), *getattr(annotation, "__metadata__", ())):
        yield argument
        yield from validators(argument)


def holds_variables(field):
    found = [*field.metadata, *validators(field.annotation)]
    functions = [one.func for one in found if isinstance(one, AfterValidator)]
    return any(function.__module__ == template_fields.__name__ for function in functions)


def test_every_key_that_can_hold_variables_is_known():
    assert {
        (model.__name__, name)
        for model in MODELS
        for name, field in model.model_fields.items()
        if holds_variables(field)
    } == LOOKED_INTO


def test_each_text_is_looked_into():
    config = RouteConfig.model_validate(
        {
            "path_regex": "/(?P<known>.*)",
            "redirect": "/{match:a}",
            "respond": {"body": "{match:b}", "headers": {"X": "{match:c}"}},
            "filters": [
                {
                    "use": "headers",
                    "request": {"set": {"X": "{match:d}"}, "add": {"X": "{match:e}"}},
                    "response": {"set": {"X": "{match:f}"}, "add": {"X": "{match:g}"}},
                },
                {"use": "query", "set": {"X": "{match:h}"}, "add": {"X": "{match:i}"}},
                {"use": "forward_auth", "pool": "p", "path": "/{match:j}"},
            ],
        }
    )
    texts = [*texts_of_route(config), *(text for one in config.filters for text in texts_of_filter(one))]
    sentences = [sentence for _, sentence in broken_groups(iter(texts), config.path_regex)]
    assert [sentence.partition("}")[0] for sentence in sentences] == [
        f"{{match:{name}" for name in "abcdefghij"
    ]


@pytest.mark.parametrize(
    "text", ["{match:known}", "{match:0}", "{match:1}", "{match:2}", "{header:nope}", "x"]
)
def test_groups_that_are_there_can_be_named(text):
    assert list(broken_groups(iter([((), text)]), "/(?P<known>a)(b)")) == []


@pytest.mark.parametrize("text", ["{match:unknown}", "{match:3}", "{match:known} {match:Known}"])
def test_groups_that_are_not_there_cannot_be_named(text):
    assert len(list(broken_groups(iter([((), text)]), "/(?P<known>a)(b)"))) == 1
