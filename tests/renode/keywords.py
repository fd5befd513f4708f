"""The keywords of the cases, in the words of the trade, for whatever target runs the tracker."""

from __future__ import annotations

from robot.api.deco import library

from tests.renode.doing import Doing
from tests.renode.seeing import Seeing


@library(scope="SUITE", version="1")
class Keywords(Doing, Seeing):
    """``Library    tests.renode.keywords.Keywords    TARGET``."""
