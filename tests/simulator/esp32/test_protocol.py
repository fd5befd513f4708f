"""The protocol between the shims and the simulator."""

import ast

from coldtrail_simulator.esp32.protocol import Op
from coldtrail_simulator.paths import SHIMS


def test_the_shims_use_the_numbers_of_the_protocol():
    found: dict[str, set[int]] = {}
    for path in SHIMS.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            match node:
                case ast.Assign(
                    targets=[ast.Name(id=name)],
                    value=ast.Call(
                        func=ast.Name(id="const"), args=[ast.Constant(value=int() as value)]
                    ),
                ) if name.startswith("_OP_"):
                    found.setdefault(name[4:], set()).add(value)
    assert found == {op.name: {op.value} for op in Op}
