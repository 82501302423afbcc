"""The frozen base of every settings model, and how a rule over several fields reports all it finds."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError


class Problem(NamedTuple):
    """One thing wrong: the key's path below the model that reports it, the value, and a sentence with the remedy."""

    path: tuple[str, ...]
    value: object
    remedy: str


class Model(BaseModel):
    """Frozen, strict, unknown keys forbidden. A model with rules over several fields overrides `problems`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    retired_keys: ClassVar[dict[str, str]] = {}
    """Keys that people bring from elsewhere, each with the remedy; they are refused as unknown keys all the same."""

    def problems(self) -> Iterator[Problem]:
        """Yield every broken rule over this model's own fields."""
        yield from ()

    @model_validator(mode="after")
    def _raise_problems(self) -> Self:
        found = tuple(self.problems())
        if found:
            kind = "problems"
            raise PydanticCustomError(kind, "rules over several keys are broken", {"problems": found})
        return self
