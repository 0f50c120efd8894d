#!/usr/bin/python3
"""Writes tests/vectors/frames.txt: the frames of mcptally-protocol(7), byte by byte.

    tests/vectors/make.py >tests/vectors/frames.txt

This is an encoder of its own, written from the page, not from the C code; what
it writes is committed, and tests/unit/test_vectors.c holds the C code against
it. A block is:

    frame NAME
    hex BYTES              the whole frame
    means TEXT             what it says, as the test renders it
    error WORD             instead of `means`: why it is not taken
"""

import struct

SESSION = bytes(range(16))
TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
SPAN = bytes.fromhex("b7ad6b7169203331")


def u8(*v): return struct.pack(f"<{len(v)}B", *v)
def u16(*v): return struct.pack(f"<{len(v)}H", *v)
def u32(*v): return struct.pack(f"<{len(v)}I", *v)
def u64(*v): return struct.pack(f"<{len(v)}Q", *v)
def f64(*v): return struct.pack(f"<{len(v)}d", *v)


def text(s):
    raw = s if isinstance(s, bytes) else s.encode()
    return u16(len(raw)) + raw


def attrs(*pairs):
    out = u16(len(pairs))
    for key, value in pairs:
        out += text(key)
        if isinstance(value, bool):
            out += u8(2, value)
        elif isinstance(value, int):
            out += u8(3) + struct.pack("<q", value)
        elif isinstance(value, float):
            out += u8(4) + f64(value)
        else:
            out += u8(1) + text(value)
    return out


def frame(number, payload, flags=0, stream=0):
    return struct.pack("<IBBH", len(payload), number, flags, stream) + payload


def batch(number, first, *items, count=None, sized=True):
    body = b"".join(u32(len(i)) + i if sized else i for i in items)
    return frame(number, u64(first) + u32(len(items) if count is None else count, 0) + body)


def item(time, *rest, trace=bytes(16), span=bytes(8), correlation=""):
    return u64(time) + trace + span + text(correlation) + b"".join(rest)


def hello(session=SESSION, first=3, following=7, service="demo"):
    return frame(1, u32(1, 1) + session + u64(0xfeed, first, following) + text(service)
                 + text("i1") + text("") + text("a/1"))


def metric(name="req.time", kind=3, bounds=(0.5, 2.0), value=2):
    return frame(3, u32(4) + u8(kind, value, 0, 0) + u16(len(bounds), 0) + f64(*bounds)
                 + text(name) + text("s") + text("Time."))


def series(*labels):
    return frame(4, u32(9, 4) + u16(len(labels)) + b"".join(text(k) + text(v) for k, v in labels))


SPAN_ITEM = item(1000, u64(3000), bytes(8), u8(2, 2), u16(0), u32(1), text("tools/call echo"),
                 text("boom"), text("ot=th:8"), attrs(("mcp.method.name", "tools/call")),
                 u16(1), u64(2000), text("retry"), attrs(("n", 1)),
                 u16(1), TRACE, SPAN, text(""), attrs(), trace=TRACE, span=SPAN)

GOOD = [
    ("hello", hello(), "hello version=1 capabilities=1 session=000102030405060708090a0b0c0d0e0f "
     "store=65261 first=3 next=7 service=demo instance=i1 domain= agent=a/1"),
    ("welcome", frame(2, u32(1, 1) + u64(0xfeed, 5) + u32(65536, 4096)),
     "welcome version=1 known=1 store=65261 applied=5 max_frame=65536 max_ids=4096"),
    ("metric", metric(), "define_metric id=4 kind=3 type=2 join=0 flags=0 bounds=0.5,2 "
     "name=req.time unit=s help=Time."),
    ("series", series(("tool", "echo"), ("k", "é")),
     "define_series id=9 metric=4 tool=echo k=é"),
    ("series without labels", series(), "define_series id=9 metric=4"),
    ("update", batch(5, 11, u32(9) + u64(3), u32(8) + f64(1.5), sized=False),
     "update first=11 9:3 8:4609434218613702656"),
    ("event", batch(7, 1, item(5, text("call.done"), u16(2), text("ms"), f64(1.5), text("n"),
                               f64(-2.0), attrs(("tool", "echo"), ("ok", True), ("i", -7),
                                                ("d", 0.25)), correlation="c-1")),
     "event first=1 [time=5 correlation=c-1 name=call.done ms:1.5 n:-2 tool=echo ok=true i=-7 "
     "d=0.25]"),
    ("two logs", batch(8, 2, item(6, u8(9), text("hello"), attrs()),
                       item(7, u8(17), text(""), attrs(), trace=TRACE, span=SPAN)),
     "log first=2 [time=6 severity=9 text=hello] [time=7 "
     "trace=0af7651916cd43dd8448eb211c80319c span=b7ad6b7169203331 severity=17 text=]"),
    ("health", batch(9, 4, item(8, u8(2), text("database"), text("slow"), attrs())),
     "health first=4 [time=8 name=database state=2 text=slow]"),
    ("span", batch(6, 1, SPAN_ITEM),
     "span first=1 [time=1000 trace=0af7651916cd43dd8448eb211c80319c span=b7ad6b7169203331 "
     "name=tools/call echo end=3000 parent=0000000000000000 kind=2 status=2 flags=1 text=boom "
     "tracestate=ot=th:8 mcp.method.name=tools/call event:2000:retry n=1 "
     "link:0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331]"),
    ("ack", frame(10, u64(12)), "ack 12"),
    ("reject", frame(11, u64(12) + u32(3, 0) + u16(4) + u8(5, 0) + text("")),
     "reject first=12 count=3 id=0 reason=not_finite type=update detail="),
    ("reject of a connection", frame(11, u64(0) + u32(0, 0) + u16(262) + u8(5, 0) + text("")),
     "reject first=0 count=0 id=0 reason=sequence_gap type=update detail="),
    ("lost", frame(12, u16(4, 0) + u64(5) + u16(1) + u64(6) + u16(2) + u64(7) + u16(3) + u64(8)),
     "lost buffer_full=5 queue_full=6 expired=7 invalid=8"),
    ("bye", frame(13, b""), "bye"),
]

BAD = [
    ("flags", frame(10, u64(1), flags=1), "bad_header"),
    ("stream", frame(10, u64(1), stream=1), "bad_header"),
    ("size", u32(65537) + u8(5, 0) + u16(0), "frame_too_large"),
    ("hello of no session", hello(session=bytes(16)), "malformed"),
    ("hello from number 0", hello(first=0), "malformed"),
    ("hello with next below first", hello(first=8), "malformed"),
    ("hello of no service", hello(service=""), "invalid_name"),
    ("hello cut short", frame(1, u32(1, 1)), "malformed"),
    ("hello with a byte too many", frame(1, hello()[8:] + b"\0"), "malformed"),
    ("metric with a bad name", metric(name="9x"), "invalid_name"),
    ("metric of no kind", metric(kind=9), "malformed"),
    ("histogram of u64", metric(value=1), "malformed"),
    ("bounds that fall", metric(bounds=(2.0, 1.0)), "malformed"),
    ("label key twice", series(("a", "1"), ("a", "2")), "malformed"),
    ("label key reserved", series(("__a", "1")), "invalid_name"),
    ("label key with a dash", series(("a-b", "1")), "invalid_name"),
    ("label value not UTF-8", series(("a", b"\xc0\x80")), "invalid_utf8"),
    ("too many labels", series(*((f"k{i}", "v") for i in range(33))), "over_limit"),
    ("update of no items", batch(5, 1), "malformed"),
    ("update from number 0", batch(5, 0, u32(9) + u64(3), sized=False), "malformed"),
    ("update with half an item", batch(5, 1, u32(9), sized=False), "malformed"),
    ("update that counts wrong", batch(5, 1, u32(9) + u64(3), sized=False, count=2), "malformed"),
    ("event without a name", batch(7, 1, item(5, text(""), u16(0), attrs())), "invalid_name"),
    ("event with NaN", batch(7, 1, item(5, text("e"), u16(1), text("m"), f64(float("nan")),
                                        attrs())), "not_finite"),
    ("event with a bad type", batch(7, 1, item(5, text("e"), u16(0), u16(1) + text("k")
                                               + u8(9))), "malformed"),
    ("log of no severity", batch(8, 1, item(5, u8(0), text("x"), attrs())), "malformed"),
    ("log not UTF-8", batch(8, 1, item(5, u8(9), text(b"\xff"), attrs())), "invalid_utf8"),
    ("health of no state", batch(9, 1, item(5, u8(4), text("c"), text(""), attrs())),
     "malformed"),
    ("span without a trace", batch(6, 1, SPAN_ITEM.replace(TRACE, bytes(16), 1)), "malformed"),
    ("span that ends before it starts", batch(6, 1, SPAN_ITEM.replace(u64(3000), u64(1), 1)),
     "malformed"),
    ("an item longer than its frame", batch(8, 1, u32(999) + b"x", sized=False), "malformed"),
    ("ack cut short", frame(10, u32(1)), "malformed"),
]


def main():
    print("# Made by make.py; see there.")
    for name, raw, means in GOOD:
        print(f"\nframe {name}\nhex {raw.hex()}\nmeans {means}")
    for name, raw, error in BAD:
        print(f"\nframe {name}\nhex {raw.hex()}\nerror {error}")


if __name__ == "__main__":
    main()
