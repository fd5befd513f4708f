"""The examples of RFC 8949 (CBOR), grouped by their treatment in the uplink contract."""

from __future__ import annotations

from typing import Final

# Appendix A: items that the contract supports.
DECODED: Final = [
    ("00", 0),
    ("01", 1),
    ("0a", 10),
    ("17", 23),
    ("1818", 24),
    ("1819", 25),
    ("1864", 100),
    ("1903e8", 1000),
    ("1a000f4240", 1000000),
    ("1b000000e8d4a51000", 1000000000000),
    ("1bffffffffffffffff", 18446744073709551615),
    ("3bffffffffffffffff", -18446744073709551616),
    ("20", -1),
    ("29", -10),
    ("3863", -100),
    ("3903e7", -1000),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("40", b""),
    ("4401020304", b"\x01\x02\x03\x04"),
    ("60", ""),
    ("6161", "a"),
    ("6449455446", "IETF"),
    ("62225c", '"\\'),
    ("62c3bc", "\u00fc"),
    ("63e6b0b4", "\u6c34"),
    ("64f0908591", "\U00010151"),
    ("80", []),
    ("83010203", [1, 2, 3]),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("98190102030405060708090a0b0c0d0e0f101112131415161718181819", list(range(1, 26))),
    ("a0", {}),
    ("a201020304", {1: 2, 3: 4}),
]
# Appendix A: unsupported tags, floats, other simple values, text keys, indefinite lengths.
REFUSED: Final = """
    c249010000000000000000 c349010000000000000000
    f90000 f98000 f93c00 fb3ff199999999999a f93e00 f97bff fa47c35000 fa7f7fffff
    fb7e37e43c8800759c f90001 f90400 f9c400 fbc010666666666666 f97c00 f97e00 f9fc00
    fa7f800000 fa7fc00000 faff800000 fb7ff0000000000000 fb7ff8000000000000 fbfff0000000000000
    f7 f0 f8ff
    c074323031332d30332d32315432303a30343a30305a c11a514b67b0 c1fb41d452d9ec200000
    d74401020304 d818456449455446 d82076687474703a2f2f7777772e6578616d706c652e636f6d
    a26161016162820203 826161a161626163 a56161614161626142616361436164614461656145
    5f42010243030405ff 7f657374726561646d696e67ff 9fff 9f018202039f0405ffff 9f01820203820405ff
    83018202039f0405ff 83019f0203ff820405
    9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff
    bf61610161629f0203ffff 826161bf61626163ff bf6346756ef563416d7421ff
""".split()
# Appendix F.1: not well-formed.
MALFORMED: Final = """
    18 19 1a 1b 1901 1a0102 1b01020304050607 38 58 78 98 9a01ff00 b8 d8 f8 f900 fa0000 fb000000
    41 61 5affffffff00 5bffffffffffffffff010203 7affffffff00 7b7fffffffffffffff010203
    81 818181818181818181 8200 a1 a20102 a100 a2000000
    c0
    5f4100 7f6100
    9f 9f0102 bf bf01020102 819f 9f8000 9f9f9f9f9fffffffff 9f819f819f9fffffff
    1c 1d 1e 3c 3d 3e 5c 5d 5e 7c 7d 7e 9c 9d 9e bc bd be dc dd de fc fd fe
    f800 f801 f818 f81f
    5f00ff 5f21ff 5f6100ff 5f80ff 5fa0ff 5fc000ff 5fe0ff 7f4100ff
    5f5f4100ffff 7f7f6100ffff
    ff
    81ff 8200ff a1ff a1ff00 a100ff a20000ff 9f81ff 9f829f819f9fffffffff
    bf00ff bf000000ff
    1f 3f df
""".split()
# Not from the RFC: well-formed, but not deterministically encoded (4.2.1) or not valid (5.3).
NOT_DETERMINISTIC: Final = """
    1800 1817 190000 1900ff 1a00000000 1a0000ffff 1b0000000000000000 1b00000000ffffffff
    3800 3817 3900ff 3a0000ffff 3b00000000ffffffff
    5800 5900ff 7800 790000 9800 980100 990001 b800 b8010000
    a200000000 a201000000 a2181800170a a1f400 a12000 a14000 a16000 a18000 a1f600
    61ff 62c080 62c1bf 63e08080 63eda080 63edbfbf 64f0808080 64f4908080 64f8888080 62e282
    190017 390010 5801ff 7801 780161 590001ff 990000 b8010101 a201020102 a202010102 a2181801021801
    0000 f6f6 8000
""".split()
