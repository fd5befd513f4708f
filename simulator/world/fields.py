"""Common to all tables of a scenario file: ranges of quantities, and a strict base model."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Celsius = Annotated[float, Field(ge=-200, le=100)]
Hours = Annotated[float, Field(ge=0, le=24 * 365)]
Positive = Annotated[float, Field(gt=0)]


class Table(BaseModel):
    """A table of a scenario file. It is immutable and rejects unknown keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
