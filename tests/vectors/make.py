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


def frame(number, payload, flags=0, stream=0, size=None):
    return struct.pack("<IBBH", len(payload) if size is None else size, number, flags,
                       stream) + payload


def batch(number, first, *items, count=None, sized=True, zero=0):
    body = b"".join(u32(len(i)) + i if sized else i for i in items)
    return frame(number, u64(first) + u32(len(items) if count is None else count, zero) + body)


def item(time, *rest, trace=bytes(16), span=bytes(8), correlation=""):
    return u64(time) + trace + span + text(correlation) + b"".join(rest)


def hello(session=SESSION, first=3, following=7, service="demo", domain="", agent="a/1"):
    return frame(1, u32(1, 1) + session + u64(0xfeed, first, following) + text(service)
                 + text("i1") + text(domain) + text(agent))


def metric(name="req.time", kind=3, bounds=(0.5, 2.0), value=2, join=0, flags=0, zero=0,
           unit="s", about="Time."):
    return frame(3, u32(4) + u8(kind, value, join, flags) + u16(len(bounds), zero) + f64(*bounds)
                 + text(name) + text(unit) + text(about))


def counter(**more):
    return metric(**{"kind": 1, "value": 1, "bounds": (), **more})


def series(*labels):
    return frame(4, u32(9, 4) + u16(len(labels)) + b"".join(text(k) + text(v) for k, v in labels))


def lost(*totals):
    return frame(12, u16(len(totals)) + b"".join(u16(r) + u64(n) for r, n in totals))


def update(*updates):
    return b"".join(u32(i) + u64(v) for i, v in updates)


def event(name="e", measures=(), metadata=(), **more):
    return item(5, text(name), u16(len(measures)), *(text(k) + f64(v) for k, v in measures),
                attrs(*metadata), **more)


def log(severity=9, body="x"):
    return item(5, u8(severity), text(body), attrs())


def health(state=1, component="c", message=""):
    return item(5, u8(state), text(component), text(message), attrs())


def span(end=3000, kind=2, status=2, zero=0, tracestate="ot=th:8",
         metadata=(("mcp.method.name", "tools/call"),), events=((2000, "retry", (("n", 1),)),),
         links=((TRACE, SPAN),), trace=TRACE, own=SPAN):
    return item(1000, u64(end), bytes(8), u8(kind, status), u16(zero), u32(1),
                text("tools/call echo"), text("boom"), text(tracestate), attrs(*metadata),
                u16(len(events)), *(u64(t) + text(n) + attrs(*a) for t, n, a in events),
                u16(len(links)), *(t + i + text("") + attrs() for t, i in links),
                trace=trace, span=own)


def many(n, *rest):
    """n keys, each with the rest."""
    return tuple((f"k{i}", *rest) for i in range(n))


GOOD = [
    ("hello", hello(), "hello version=1 capabilities=1 session=000102030405060708090a0b0c0d0e0f "
     "store=65261 first=3 next=7 service=demo instance=i1 domain= agent=a/1"),
    ("welcome", frame(2, u32(1, 1) + u64(0xfeed, 5) + u32(65536, 4096)),
     "welcome version=1 known=1 store=65261 applied=5 max_frame=65536 max_ids=4096"),
    ("welcome with rings", frame(2, u32(1, 0) + u64(0xfeed, 5) + u32(65536, 4096, 64)),
     "welcome version=1 known=0 store=65261 applied=5 max_frame=65536 max_ids=4096 max_rings=64"),
    ("ring", frame(14, u32(3, 65536) + u64(2**40)),
     "ring stream=3 words=65536 position=1099511627776"),
    ("ring that has ended", frame(14, u32(65535, 0) + u64(0)),
     "ring stream=65535 words=0 position=0"),
    ("ring_ready", frame(15, u32(3, 0) + u64(2**40, 7) + u32(4224)),
     "ring_ready stream=3 reason=0 position=1099511627776 items=7 slot=4224"),
    ("ring_ready that is none", frame(15, u32(3, 264) + u64(9, 0) + u32(0)),
     "ring_ready stream=3 reason=264 position=9 items=0 slot=0"),
    ("bell", frame(16, u64(12)), "bell token=12"),
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
    ("span", batch(6, 1, span()),
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

    ("hello of the first time", frame(1, u32(1, 0) + SESSION + u64(0, 1, 1) + text("é")
                                      + text("") + text("tools") + text("")),
     "hello version=1 capabilities=0 session=000102030405060708090a0b0c0d0e0f store=0 first=1 "
     "next=1 service=é instance= domain=tools agent="),
    ("welcome of an expired session", frame(2, u32(1, 2) + u64(2**64 - 1, 149)
                                            + u32(65536, 4096)),
     "welcome version=1 known=2 store=18446744073709551615 applied=149 max_frame=65536 "
     "max_ids=4096"),
    ("counter", counter(unit="", about=""), "define_metric id=4 kind=1 type=1 join=0 flags=0 "
     "bounds= name=req.time unit= help="),
    ("gauge that takes the largest", counter(kind=2, value=2, join=3, name="a/b:c-d_e.f"),
     "define_metric id=4 kind=2 type=2 join=3 flags=0 bounds= name=a/b:c-d_e.f unit=s "
     "help=Time."),
    ("histogram with quantiles", metric(flags=1), "define_metric id=4 kind=3 type=2 join=0 "
     "flags=1 bounds=0.5,2 name=req.time unit=s help=Time."),
    ("summary", counter(kind=4, value=2), "define_metric id=4 kind=4 type=2 join=0 flags=0 "
     "bounds= name=req.time unit=s help=Time."),
    ("update of the largest numbers", batch(5, 2**64 - 2, update((2**32 - 1, 2**64 - 1)),
                                            sized=False),
     "update first=18446744073709551614 4294967295:18446744073709551615"),
    ("event of a name alone", batch(7, 1, event()), "event first=1 [time=5 name=e]"),
    ("event in a trace", batch(7, 1, event(trace=TRACE, span=SPAN)), "event first=1 [time=5 "
     "trace=0af7651916cd43dd8448eb211c80319c span=b7ad6b7169203331 name=e]"),
    ("span alone", batch(6, 9, span(end=1000, kind=0, status=0, tracestate="", metadata=(),
                                    events=(), links=())),
     "span first=9 [time=1000 trace=0af7651916cd43dd8448eb211c80319c span=b7ad6b7169203331 "
     "name=tools/call echo end=1000 parent=0000000000000000 kind=0 status=0 flags=1 text=boom "
     "tracestate=]"),
    ("reject of a domain", frame(11, u64(10000) + u32(0, 0) + u16(266) + u8(1, 0) + text("")),
     "reject first=10000 count=0 id=0 reason=domain_refused type=hello detail="),
    ("reject of a definition", frame(11, u64(0) + u32(0, 3) + u16(7) + u8(3, 0)
                                     + text("calls")),
     "reject first=0 count=0 id=3 reason=conflict type=define_metric detail=calls"),
]

# What is wrong, as the daemon counts or rejects it. A fault in a control frame or in the
# beginning of a sequenced one ends the connection with malformed_control, whatever its kind.
NAN, INFINITE = float("nan"), float("inf")
BAD = [
    ("flags", frame(10, u64(1), flags=1), "bad_header"),
    ("stream", frame(10, u64(1), stream=1), "bad_header"),
    ("flags and size", frame(10, b"", flags=0x80, size=70000), "bad_header"),
    ("size", frame(5, b"", size=65537), "frame_too_large"),

    ("hello of no session", hello(session=bytes(16)), "malformed"),
    ("hello from number 0", hello(first=0), "malformed"),
    ("hello with next below first", hello(first=8), "malformed"),
    ("hello of no service", hello(service=""), "invalid_name"),
    ("hello of a long service", hello(service="s" * 128), "over_limit"),
    ("hello of a service on two lines", hello(service="a\nb"), "invalid_name"),
    ("hello of a service not UTF-8", hello(service=b"a\xf5"), "invalid_utf8"),
    ("hello to a long domain", hello(domain="d" * 128), "over_limit"),
    ("hello of nothing", frame(1, b""), "malformed"),
    ("hello cut short", frame(1, u32(1, 1)), "malformed"),
    ("hello that ends in its text", frame(1, hello()[8:-1]), "malformed"),
    ("hello with a byte too many", frame(1, hello()[8:] + b"\0"), "malformed"),
    ("welcome cut short", frame(2, u32(1, 1) + u64(0xfeed, 5) + u32(65536)), "malformed"),
    ("welcome of no known kind", frame(2, u32(1, 3) + u64(0xfeed, 5) + u32(65536, 4096)),
     "malformed"),
    ("ring of no stream", frame(14, u32(0, 1024) + u64(0)), "over_limit"),
    ("ring of too high a stream", frame(14, u32(65536, 1024) + u64(0)), "over_limit"),
    ("ring of no power of two", frame(14, u32(1, 1025) + u64(0)), "over_limit"),
    ("ring too small", frame(14, u32(1, 512) + u64(0)), "over_limit"),
    ("ring too large", frame(14, u32(1, 2**23) + u64(0)), "over_limit"),
    ("ring cut short", frame(14, u32(1, 1024, 0)), "malformed"),
    ("ring_ready with a slot between two", frame(15, u32(1, 0) + u64(0, 0) + u32(8)), "malformed"),
    ("bell cut short", frame(16, u32(1)), "malformed"),
    ("lost cut short", frame(12, u16(1, 0) + u32(7)), "malformed"),
    ("lost for no known reason", lost((4, 1)), "over_limit"),
    ("lost with too many reasons", lost(*((0, 1),) * 5), "over_limit"),
    ("bye with a byte", frame(13, b"\0"), "malformed"),
    ("ack cut short", frame(10, u32(1)), "malformed"),
    ("ack with a byte too many", frame(10, u64(1) + b"\0"), "malformed"),
    ("reject with a byte that is not 0", frame(11, u64(1) + u32(1, 0) + u16(4) + u8(5, 1)
                                               + text("")), "malformed"),
    ("reject not UTF-8", frame(11, u64(1) + u32(1, 0) + u16(4) + u8(5, 0) + text(b"\x80")),
     "invalid_utf8"),

    ("metric with a bad name", metric(name="9x"), "invalid_name"),
    ("metric with a blank in its name", metric(name="a b"), "invalid_name"),
    ("metric of no name", metric(name=""), "invalid_name"),
    ("metric of a long name", metric(name="n" * 256), "invalid_name"),
    ("metric of a long unit", metric(unit="u" * 64), "malformed"),
    ("metric with long help", metric(about="h" * 513), "malformed"),
    ("metric with help not UTF-8", metric(about=b"\xed\xa0\x80"), "invalid_utf8"),
    ("metric of no kind", metric(kind=9), "malformed"),
    ("metric of kind 0", counter(kind=0), "malformed"),
    ("metric of no type", counter(value=3), "malformed"),
    ("metric of type 0", counter(value=0), "malformed"),
    ("counter that joins", counter(join=1), "malformed"),
    ("counter with quantiles", counter(flags=1), "malformed"),
    ("counter with bounds", counter(bounds=(1.0,)), "malformed"),
    ("gauge that joins in no known way", counter(kind=2, join=4), "malformed"),
    ("summary of u64", counter(kind=4), "malformed"),
    ("histogram of u64", metric(value=1), "malformed"),
    ("histogram with no bounds", metric(bounds=()), "malformed"),
    ("histogram with no known flag", metric(flags=2), "malformed"),
    ("metric with bytes that are not 0", metric(zero=1), "malformed"),
    ("bounds that fall", metric(bounds=(2.0, 1.0)), "malformed"),
    ("bounds that repeat", metric(bounds=(1.0, 1.0)), "malformed"),
    ("a bound that is infinite", metric(bounds=(1.0, INFINITE)), "not_finite"),
    ("a bound that is NaN", metric(bounds=(NAN,)), "not_finite"),
    ("too many bounds", metric(bounds=range(65)), "over_limit"),
    ("metric cut short", frame(3, metric()[8:-1]), "malformed"),
    ("metric with a byte too many", frame(3, metric()[8:] + b"\0"), "malformed"),

    ("label key twice", series(("a", "1"), ("a", "2")), "malformed"),
    ("label key reserved", series(("__a", "1")), "invalid_name"),
    ("label key with a dash", series(("a-b", "1")), "invalid_name"),
    ("label key that begins with a digit", series(("1a", "1")), "invalid_name"),
    ("label key that is empty", series(("", "1")), "invalid_name"),
    ("label key that is long", series(("k" * 129, "1")), "invalid_name"),
    ("label value not UTF-8", series(("a", b"\xc0\x80")), "invalid_utf8"),
    ("label value with a NUL", series(("a", "x\0y")), "invalid_utf8"),
    ("too many labels", series(*many(33, "v")), "over_limit"),
    ("series cut short", frame(4, series(("a", "1"))[8:-1]), "malformed"),
    ("series with a byte too many", frame(4, series()[8:] + b"\0"), "malformed"),

    ("update of no items", batch(5, 1), "malformed"),
    ("update from number 0", batch(5, 0, update((9, 3)), sized=False), "malformed"),
    ("update past the last number", batch(5, 2**64 - 1, update((9, 3)), sized=False),
     "malformed"),
    ("update that counts more than can be", batch(5, 1, count=5461), "malformed"),
    ("update with bytes that are not 0", batch(5, 1, update((9, 3)), sized=False, zero=1),
     "malformed"),
    ("update with half an item", batch(5, 1, u32(9), sized=False), "malformed"),
    ("update that counts too many", batch(5, 1, update((9, 3)), sized=False, count=2),
     "malformed"),
    ("update that counts too few", batch(5, 1, update((9, 3), (9, 3)), sized=False, count=1),
     "malformed"),
    ("a beginning cut short", frame(5, u64(1) + u32(1)), "malformed"),

    ("an item longer than its frame", batch(8, 1, u32(999) + b"x", sized=False), "malformed"),
    ("an item with half a size", batch(8, 1, b"\1\0\0", sized=False), "malformed"),
    ("an item of nothing", batch(8, 1, b""), "malformed"),
    ("an item cut short", batch(7, 1, event()[:-1]), "malformed"),
    ("an item with a byte too many", batch(7, 1, event() + b"\0"), "malformed"),
    ("a long correlation", batch(7, 1, event(correlation="c" * 129)), "over_limit"),
    ("a correlation with a tab", batch(7, 1, event(correlation="a\tb")), "invalid_name"),
    ("a span id without a trace", batch(7, 1, event(span=SPAN)), "malformed"),

    ("event without a name", batch(7, 1, event("")), "invalid_name"),
    ("event with a long name", batch(7, 1, event("n" * 256)), "invalid_name"),
    ("event with a name on two lines", batch(7, 1, event("a\nb")), "invalid_name"),
    ("event with a name not UTF-8", batch(7, 1, event(b"\xe2\x82")), "invalid_utf8"),
    ("event with NaN", batch(7, 1, event(measures=(("m", NAN),))), "not_finite"),
    ("event with a measurement of no key", batch(7, 1, event(measures=(("", 1.0),))),
     "invalid_name"),
    ("event with too many measurements", batch(7, 1, event(measures=many(33, 1.0))),
     "over_limit"),
    ("event with a bad type", batch(7, 1, item(5, text("e"), u16(0), u16(1) + text("k")
                                               + u8(9))), "malformed"),
    ("event with a bool of 2", batch(7, 1, item(5, text("e"), u16(0), u16(1) + text("k")
                                                + u8(2, 2))), "malformed"),
    ("event with a key in quotes", batch(7, 1, event(metadata=(('"k"', 1),))), "invalid_name"),
    ("event with an infinite attribute", batch(7, 1, event(metadata=(("k", -INFINITE),))),
     "not_finite"),
    ("event with a long attribute", batch(7, 1, event(metadata=(("k", "v" * 4097),))),
     "over_limit"),
    ("event with text not UTF-8", batch(7, 1, event(metadata=(("k", b"\xff"),))),
     "invalid_utf8"),
    ("event with too many attributes", batch(7, 1, event(metadata=many(65, 1))), "over_limit"),
    ("log of no severity", batch(8, 1, log(severity=0)), "malformed"),
    ("log of a severity too high", batch(8, 1, log(severity=25)), "malformed"),
    ("log not UTF-8", batch(8, 1, log(body=b"\xff")), "invalid_utf8"),
    ("health of no state", batch(9, 1, health(state=4)), "malformed"),
    ("health of no component", batch(9, 1, health(component="")), "invalid_name"),
    ("health with a long message", batch(9, 1, health(message="m" * 4097)), "over_limit"),

    ("span without a trace", batch(6, 1, span(trace=bytes(16))), "malformed"),
    ("span without an id", batch(6, 1, span(own=bytes(8))), "malformed"),
    ("span that ends before it starts", batch(6, 1, span(end=1)), "malformed"),
    ("span of no kind", batch(6, 1, span(kind=6)), "malformed"),
    ("span of no status", batch(6, 1, span(status=3)), "malformed"),
    ("span with bytes that are not 0", batch(6, 1, span(zero=1)), "malformed"),
    ("span with a long tracestate", batch(6, 1, span(tracestate="t" * 513)), "over_limit"),
    ("span with too many events", batch(6, 1, span(events=((2000, "e", ()),) * 33)),
     "over_limit"),
    ("span with an event of no name", batch(6, 1, span(events=((2000, "", ()),))),
     "invalid_name"),
    ("span with too many links", batch(6, 1, span(links=((TRACE, SPAN),) * 33)), "over_limit"),
    ("span with a link to nothing", batch(6, 1, span(links=((bytes(16), SPAN),))), "malformed"),
    ("span with too many attributes in all", batch(6, 1, span(metadata=many(60, 1), events=(
        (2000, "e", many(5, 1)),))), "over_limit"),
]


def main():
    print("# Made by make.py; see there.")
    for name, raw, means in GOOD:
        print(f"\nframe {name}\nhex {raw.hex()}\nmeans {means}")
    for name, raw, error in BAD:
        print(f"\nframe {name}\nhex {raw.hex()}\nerror {error}")


if __name__ == "__main__":
    main()
