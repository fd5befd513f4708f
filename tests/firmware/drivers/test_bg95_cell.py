"""The serving cell: what a module says of it that no cell can be is not recorded."""

import pytest

from drivers.bg95 import cell
from tests.firmware.support import on_cpython
from tests.firmware.support.bg95_module import information, limited, started

LTE_M = (262, 2, 0x1F40, 0x01A2D005, 1, -95)
GSM = (310, 410, 2, 3, 3, -77)


def serving(
    registered: bytes, network: bytes, strength: bytes
) -> tuple[int, int, int, int, int, int] | None:
    async def ask() -> tuple[int, int, int, int, int, int] | None:
        module = await started()
        name = b"+CGREG" if registered.endswith(b",0") else b"+CEREG"
        for command in (b"AT+CEREG", b"AT+CGREG"):
            module.answers[command + b"=2"] = module.answers[command + b"=0"] = b"\r\nOK\r\n"
            module.answers[command + b"?"] = information(command[2:] + b": 2,0")
        module.answers[b"AT" + name + b"?"] = information(name + b": 2,1," + registered)
        module.answers[b"AT+QNWINFO"] = information(b"+QNWINFO: " + network)
        module.answers[b"AT+QCSQ"] = information(b"+QCSQ: " + strength)
        found: tuple[int, int, int, int, int, int] | None
        found = await limited(cell.serving(module.modem.at), 10_000)
        return found

    found: tuple[int, int, int, int, int, int] | None = on_cpython.run(ask())
    return found


REGISTERED, NETWORK = b'"1F40","01A2D005",8', b'"CAT-M1","26202","LTE BAND 20",6300'
STRENGTH = b'"CAT-M1",-67,-95,110,-10'
REGISTERED_2G, NETWORK_2G, STRENGTH_2G = (
    b'"0002","0003",0',
    b'"GSM","310410","GSM 850",1',
    b'"GSM",-77',
)


def test_a_cell() -> None:
    assert serving(REGISTERED, NETWORK, STRENGTH) == LTE_M
    assert serving(REGISTERED_2G, NETWORK_2G, STRENGTH_2G) == GSM


@pytest.mark.parametrize(
    "registered",
    [
        b'"0000","01A2D005",8',  # no area that a cell has
        b'"FFFE","01A2D005",8',
        b'"FFFF","01A2D005",8',
        b'"1F40","0FFFFFFF",8',  # not known
        b'"1F40","FFFFFFFF",8',
        b'"1F40","01A2D005",7',
    ],
)
def test_no_cell(registered: bytes) -> None:
    assert serving(registered, NETWORK, STRENGTH) is None


def test_no_cell_of_gsm() -> None:
    assert serving(b'"0002","00010003",0', NETWORK_2G, STRENGTH_2G) is None


@pytest.mark.parametrize("operator", [b"", b"00000", b"000000", b"2620", b"2620200", b"26x02"])
def test_no_network(operator: bytes) -> None:
    assert serving(REGISTERED, b'"CAT-M1","%s","LTE BAND 20",6300' % operator, STRENGTH) is None


@pytest.mark.parametrize("dbm", [b"0", b"-1", b"-19", b"-157", b"99", b"255", b""])
def test_no_signal(dbm: bytes) -> None:
    assert serving(REGISTERED, NETWORK, b'"CAT-M1",-67,%s,110,-10' % dbm) is None
