/* Which traces are kept: shares, whole traces, the tail decision, bounds, recovery. */
#include <check.h>
#include <math.h>

#include "base/bytes.h"
#include "model/tracestate.h"
#include "otlp/record.h"
#include "pipeline/sampling.h"
#include "store/ring.h"
#include "store_fixture.h"
#include "wire/encode.h"

enum { SIZE = 32 << 20 };

static struct world w;
static struct own own;
static struct sampling_options o;
static struct sampling *s;
static struct event event;
static uint64_t seed;

/* xorshift64* */
static uint64_t rnd(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(2685821657736338717);
}

static void setup(void)
{
    world_init(&w, SIZE);
    ck_assert_int_eq(own_init(&own, &w.st, 1, w.now), 0);
    sampling_defaults(&o);
    s = sampling_new(&w.st, &own, &o, w.now);
    ck_assert_ptr_nonnull(s);
    ck_assert(!sampling_recover(s, 1, w.now));
    seed = 88172645463325252U;
}

static void teardown(void)
{
    sampling_free(s);
    own_fini(&own);
    world_fini(&w);
}

static void configure(void)
{
    ck_assert(sampling_configure(s, &o));
}

static void pass(uint64_t ns)
{
    w.now.mono += ns;
    w.now.wall += ns;
}

/* A span of trace n (spread over all 16 bytes, so that its randomness is random). */
static struct sample_span span_of(uint64_t n)
{
    const uint64_t low = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    event = (struct event){.kind = EVENT_SPAN, .name = STR("work"), .time = w.now.wall};
    event.end = event.time + NS_PER_MS;
    put_u64(event.trace.trace_id, n + 1);
    put_u64(event.trace.trace_id + 8, (low ^ low >> 29) * UINT64_C(0xbf58476d1ce4e5b9));
    put_u64(event.trace.span_id, rnd() | 1);
    return (struct sample_span){.event = &event, .service = STR("svc"), .local_root = true};
}

static enum sample_door note(const struct sample_span *span)
{
    return sampling_note(s, span, 0, w.now);
}

static struct sample_decision decide(const struct sample_span *span, uint64_t received)
{
    struct sample_decision d;
    sampling_decide(s, span, received, false, w.now, &d);
    return d;
}

static bool kept(uint64_t n, uint64_t received)
{
    const struct sample_span span = span_of(n);
    const struct sample_decision d = decide(&span, received);
    ck_assert_int_ne(d.verdict, SAMPLE_WAIT);
    return d.verdict == SAMPLE_KEEP;
}

static uint64_t trace_where(bool keep)
{
    static uint64_t from = 1000000;
    const uint64_t threshold = tracestate_threshold(0.1);
    for (;; from++) {
        const struct sample_span span = span_of(from);
        const struct tracestate_ot none = {0};
        if ((tracestate_random(span.event->trace.trace_id, &none) >= threshold) == keep)
            return from++;
    }
}

/* ---- shares ---- */

START_TEST(share)
{
    static const double rates[] = {0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.9, 1};
    enum { N = 16000 };
    const double p = o.rate[TIER_NORMAL] = rates[_i];
    o.traces = 2 * N; /* a domain has half of them */
    configure();
    unsigned n = 0;
    const uint64_t received = w.now.wall;
    for (uint64_t i = 0; i < N; i++) {
        const struct sample_span span = span_of(i);
        ck_assert_int_eq(note(&span), SAMPLE_ENTER);
        ck_assert_int_eq(decide(&span, received).verdict, SAMPLE_WAIT);
    }
    pass(o.window);
    for (uint64_t i = 0; i < N; i++) {
        const struct sample_span span = span_of(i);
        const struct sample_decision d = decide(&span, received);
        ck_assert_int_ne(d.verdict, SAMPLE_WAIT);
        n += d.verdict == SAMPLE_KEEP;
        if (d.verdict == SAMPLE_KEEP) {
            ck_assert(d.write);
            ck_assert(!d.partial);
            ck_assert_uint_eq(d.threshold, tracestate_threshold(p));
        }
    }
    ck_assert_double_le(fabs(n - N * p), 4.5 * sqrt(N * p * (1 - p)));
    sampling_tick(s, w.now);
    ck_assert_uint_eq(own_get(&own, OWN_SPANS_SAMPLED, TIER_NORMAL), N);
    ck_assert_uint_eq(own_get(&own, OWN_TRACES_SAMPLED, 0), n);
    ck_assert_uint_eq(own_get(&own, OWN_TRACES_SAMPLED, 4), N - n);
}
END_TEST

/* Whoever keeps less keeps of the same traces. */
START_TEST(nested)
{
    struct sampling *wide;
    struct sampling_options more = o;
    more.rate[TIER_NORMAL] = 0.4;
    wide = sampling_new(&w.st, &own, &more, w.now);
    ck_assert_ptr_nonnull(wide);
    unsigned both = 0, more_only = 0;
    for (uint64_t i = 0; i < 4000; i++) {
        const struct sample_span span = span_of(i);
        struct sample_decision a, b;
        sampling_note(s, &span, 0, w.now);
        sampling_note(wide, &span, 0, w.now);
        sampling_decide(s, &span, w.now.wall, true, w.now, &a);
        sampling_decide(wide, &span, w.now.wall, true, w.now, &b);
        ck_assert(a.verdict != SAMPLE_KEEP || b.verdict == SAMPLE_KEEP);
        both += a.verdict == SAMPLE_KEEP;
        more_only += b.verdict == SAMPLE_KEEP && a.verdict != SAMPLE_KEEP;
    }
    ck_assert_uint_gt(both, 300);
    ck_assert_uint_gt(more_only, 1000);
    sampling_free(wide);
}
END_TEST

/* ---- the tail decision ---- */

static void make_slow(void)
{
    event.end = event.time + o.slow;
}

static void make_error(void)
{
    event.status = SPAN_ERROR;
}

static void make_forced(void)
{
    event.nattrs = event.all_attrs = 1;
    event.attrs[0] = (struct attr){.key = STR("sampling.priority"), .type = ATTR_I64, .i = 1};
}

static void make_kept(void)
{
    event.nattrs = event.all_attrs = 1;
    event.attrs[0] = (struct attr){.key = STR("mcptally.keep"), .type = ATTR_BOOL, .i = 1};
}

static void make_unlucky(void)
{
    event.nattrs = event.all_attrs = 1;
    event.attrs[0] = (struct attr){.key = STR("sampling.priority"), .type = ATTR_I64, .i = 0};
    event.span_flags = 1; /* sampled by W3C: no force */
    event.end = event.time + o.slow - 1;
    event.tracestate = STR("ot=th:0");
}

START_TEST(tail)
{
    static const struct {
        void (*make)(void);
        bool keep;
    } cases[] = {{make_error, true},
                 {make_slow, true},
                 {make_forced, true},
                 {make_kept, true},
                 {make_unlucky, false}};
    const uint64_t t = trace_where(false), received = w.now.wall;
    struct sample_span span = span_of(t);
    note(&span);
    pass(o.window / 2);
    span = span_of(t);
    cases[_i].make();
    ck_assert_int_eq(note(&span), SAMPLE_ENTER);
    pass(o.window / 2 - 1);
    ck_assert_int_eq(decide(&span, received).verdict, SAMPLE_WAIT);
    pass(1);
    span = span_of(t); /* the first, which says nothing itself */
    const struct sample_decision d = decide(&span, received);
    ck_assert_int_eq(d.verdict, cases[_i].keep ? SAMPLE_KEEP : SAMPLE_LEAVE_OUT);
    ck_assert_int_eq(d.write, cases[_i].keep);
    ck_assert_uint_eq(d.threshold, cases[_i].keep ? 0 : tracestate_threshold(0.1));
    ck_assert(!d.partial);
}
END_TEST

/* The highest tier that a span matched counts, also for those before it; what no rule
 * matches lifts nothing. */
START_TEST(tiers)
{
    const struct sample_rule rules[] = {
        {.name = STR("pay*"), .domain = -1, .tier = TIER_CRITICAL},
        {.key = STR("env"), .value = STR("dev*"), .domain = -1, .tier = TIER_DEBUG},
        {.name = STR("work"), .service = STR("other"), .domain = -1, .tier = TIER_CRITICAL},
        {.name = STR("work"), .domain = 3, .tier = TIER_CRITICAL},
    };
    o.rules = rules;
    o.nrules = 4;
    o.rate[TIER_DEBUG] = 0;
    o.rate[TIER_NORMAL] = 1;
    configure();
    const uint64_t received = w.now.wall;
    struct sample_span span = span_of(1); /* debug, then unmatched: debug */
    event.nattrs = event.all_attrs = 1;
    event.attrs[0] = (struct attr){.key = STR("env"), .type = ATTR_STRING, .s = STR("dev-1")};
    note(&span);
    span = span_of(1);
    note(&span);
    span = span_of(2); /* unmatched: normal */
    note(&span);
    span = span_of(3); /* debug, then critical: critical */
    event.nattrs = event.all_attrs = 1;
    event.attrs[0] = (struct attr){.key = STR("env"), .type = ATTR_STRING, .s = STR("dev")};
    note(&span);
    span = span_of(3);
    event.name = STR("payment");
    note(&span);
    o.rate[TIER_NORMAL] = 0;
    configure();
    span = span_of(4);
    span.domain = 3;
    note(&span);
    span = span_of(5);
    span.service = STR("other");
    note(&span);
    o.rate[TIER_NORMAL] = 1;
    configure();
    pass(o.window);
    ck_assert(!kept(1, received));
    ck_assert(kept(2, received));
    ck_assert(kept(3, received));
    o.rate[TIER_NORMAL] = 0;
    configure();
    ck_assert(kept(2, received)); /* as it was decided */
    ck_assert(kept(4, received));
    ck_assert(kept(5, received));
}
END_TEST

START_TEST(late)
{
    const uint64_t in = trace_where(true), out = trace_where(false), received = w.now.wall;
    struct sample_span span = span_of(in);
    note(&span);
    span = span_of(out);
    note(&span);
    pass(o.window + o.late / 2);
    const struct sample_span late_in = span_of(in);
    ck_assert_int_eq(note(&late_in), SAMPLE_ENTER);
    struct sample_decision d = decide(&late_in, w.now.wall);
    ck_assert_int_eq(d.verdict, SAMPLE_KEEP);
    ck_assert(d.partial);
    ck_assert_uint_eq(d.threshold, tracestate_threshold(0.1));
    span = span_of(out);
    ck_assert_int_eq(note(&span), SAMPLE_DROP);
    ck_assert(!kept(out, received));
    span = span_of(out); /* a late error, and what follows it */
    event.status = SPAN_ERROR;
    ck_assert_int_eq(note(&span), SAMPLE_ENTER);
    span = span_of(out);
    ck_assert_int_eq(note(&span), SAMPLE_ENTER);
    d = decide(&span, w.now.wall);
    ck_assert_int_eq(d.verdict, SAMPLE_KEEP);
    ck_assert_uint_eq(d.threshold, 0);
    sampling_tick(s, w.now);
    ck_assert_uint_eq(own_get(&own, OWN_SPANS_PARTIAL, 0), 4);
    pass(o.late); /* forgotten: a new trace */
    span = span_of(out);
    ck_assert_int_eq(note(&span), SAMPLE_ENTER);
    ck_assert_int_eq(decide(&span, w.now.wall).verdict, SAMPLE_WAIT);
    ck_assert_uint_eq(sampling_traces(s), 1);
}
END_TEST

/* A rate that was raised holds for what is still to come of a trace that was left out. */
START_TEST(late_and_the_rate_has_changed)
{
    const uint64_t out = trace_where(false);
    struct sample_span span = span_of(out);
    note(&span);
    pass(o.window + o.late / 2);
    span = span_of(out);
    ck_assert_int_eq(note(&span), SAMPLE_DROP);
    ck_assert_int_eq(sampling_set(s, TIER_NORMAL, 1), 0);
    span = span_of(out);
    ck_assert_int_eq(note(&span), SAMPLE_ENTER);
    ck_assert_int_eq(decide(&span, w.now.wall).verdict, SAMPLE_KEEP);
}
END_TEST

/* ---- what others decided ---- */

START_TEST(incoming)
{
    static const struct {
        const char *tracestate;
        bool keep;
        uint64_t threshold;
        bool write;
    } cases[] = {
        /* own: 10%, so e666...; rv says where the trace lies */
        {"ot=rv:ffffffffffffff", true, 0, true},
        {"ot=rv:00000000000000", false, 0, false},
        {"ot=th:8;rv:ffffffffffffff", true, 0, true},
        {"ot=th:fff;rv:ffffffffffffff", true, UINT64_C(0xfff00000000000), false},
        {"ot=th:fff;rv:f0000000000000", true, 0, true}, /* cannot be true */
        {"ot=th:8;rv:c0000000000000", false, 0, false},
        {"ot=th:0;rv:c0000000000000", false, 0, false},
    };
    struct sample_span span = span_of(77);
    event.tracestate = str_of(cases[_i].tracestate);
    note(&span);
    pass(o.window);
    const struct sample_decision d = decide(&span, w.now.wall - o.window);
    ck_assert_int_eq(d.verdict, cases[_i].keep ? SAMPLE_KEEP : SAMPLE_LEAVE_OUT);
    if (!cases[_i].keep)
        return;
    ck_assert_int_eq(d.write, cases[_i].write);
    ck_assert_uint_eq(d.threshold,
                      cases[_i].threshold ? cases[_i].threshold : tracestate_threshold(0.1));
}
END_TEST

/* A span that stands for four others still does when its trace is kept for an error. */
START_TEST(honest)
{
    struct sample_span span = span_of(77);
    event.tracestate = STR("ot=th:c;rv:d0000000000000");
    event.status = SPAN_ERROR;
    note(&span);
    pass(o.window);
    const struct sample_decision d = decide(&span, w.now.wall - o.window);
    ck_assert_int_eq(d.verdict, SAMPLE_KEEP);
    ck_assert_uint_eq(d.threshold, UINT64_C(0xc0000000000000));
    ck_assert(!d.write);
    event.tracestate = STR("");
    const struct sample_decision e = decide(&span, w.now.wall - o.window);
    ck_assert_uint_eq(e.threshold, 0);
    ck_assert(e.write);
}
END_TEST

/* ---- bounds ---- */

START_TEST(table_full)
{
    o.traces = 8;
    configure();
    const uint64_t out = trace_where(false), in = trace_where(true), received = w.now.wall;
    for (uint64_t i = 0; i < 4; i++) {
        const struct sample_span span = span_of(i);
        ck_assert_int_eq(note(&span), SAMPLE_ENTER);
    }
    struct sample_span span = span_of(out);
    ck_assert_int_eq(note(&span), SAMPLE_DROP);
    span = span_of(out);
    event.status = SPAN_ERROR;
    ck_assert_int_eq(note(&span), SAMPLE_ENTER);
    struct sample_decision d = decide(&span, received);
    ck_assert_int_eq(d.verdict, SAMPLE_KEEP);
    ck_assert(d.partial);
    span = span_of(in);
    ck_assert_int_eq(note(&span), SAMPLE_ENTER);
    ck_assert_int_eq(decide(&span, received).verdict, SAMPLE_KEEP);
    ck_assert_uint_eq(sampling_traces(s), 4);
    sampling_tick(s, w.now);
    ck_assert_uint_eq(own_get(&own, OWN_SAMPLING_AT_ONCE, 0), 3);
    pass(o.window); /* the oldest is decided and gives way */
    span = span_of(out);
    ck_assert_int_eq(note(&span), SAMPLE_ENTER);
    ck_assert_int_eq(decide(&span, w.now.wall).verdict, SAMPLE_WAIT);
    ck_assert_uint_eq(sampling_traces(s), 4);
}
END_TEST

/* A flood in two domains leaves the others room to hold their traces. */
START_TEST(table_shared)
{
    o.traces = 300;
    configure();
    for (uint64_t i = 0; i < 2000; i++) {
        struct sample_span span = span_of(i);
        span.domain = 1 + i % 2;
        (void)note(&span);
    }
    ck_assert_uint_eq(sampling_traces(s), 200);
    for (uint64_t i = 0; i < 40; i++) { /* none of these would be kept by its id */
        struct sample_span span = span_of(trace_where(false));
        span.domain = 3;
        ck_assert_int_eq(note(&span), SAMPLE_ENTER);
        ck_assert_int_eq(decide(&span, w.now.wall).verdict, SAMPLE_WAIT);
    }
    ck_assert_uint_eq(sampling_traces(s), 240);
}
END_TEST

/* Any number of traces, any order of asking: the table keeps its bound and its order. */
START_TEST(many)
{
    o.traces = 64;
    configure();
    for (unsigned i = 0; i < 200000; i++) {
        const struct sample_span span = span_of(rnd() % 300);
        event.status = rnd() % 50 == 0 ? SPAN_ERROR : SPAN_UNSET;
        const uint64_t received = w.now.wall - rnd() % (2 * o.window);
        struct sample_decision d;
        if (rnd() % 3)
            (void)sampling_note(s, &span, (double)(rnd() % 100) / 99, w.now);
        else
            sampling_decide(s, &span, received, rnd() % 8 == 0, w.now, &d);
        if (rnd() % 64 == 0)
            sampling_tick(s, w.now);
        ck_assert_uint_le(sampling_traces(s), 64);
        pass(rnd() % (300 * NS_PER_MS));
    }
    pass(o.window + o.late);
    sampling_tick(s, w.now);
    ck_assert_uint_eq(sampling_traces(s), 0);
}
END_TEST

START_TEST(pressed)
{
    const uint64_t out = trace_where(false), in = trace_where(true);
    struct sample_span span = span_of(out);
    ck_assert_int_eq(sampling_note(s, &span, 0.8, w.now), SAMPLE_DROP);
    span = span_of(in);
    ck_assert_int_eq(sampling_note(s, &span, 0.8, w.now), SAMPLE_ENTER);
    ck_assert_int_eq(decide(&span, w.now.wall).verdict, SAMPLE_KEEP);
    const uint64_t other = trace_where(true);
    span = span_of(other);
    note(&span);
    struct sample_decision d;
    sampling_decide(s, &span, w.now.wall, true, w.now, &d);
    ck_assert_int_eq(d.verdict, SAMPLE_KEEP);
}
END_TEST

/* Nothing is held: the first local root says the tier. */
START_TEST(no_window)
{
    const struct sample_rule rules[] = {
        {.name = STR("root"), .domain = -1, .tier = TIER_CRITICAL},
        {.name = STR("child"), .domain = -1, .tier = TIER_DEBUG},
    };
    o.rules = rules;
    o.nrules = 2;
    o.window = 0;
    o.rate[TIER_DEBUG] = 0;
    configure();
    struct sample_span child = span_of(5);
    child.local_root = false;
    event.name = STR("child");
    ck_assert_int_eq(note(&child), SAMPLE_DROP);
    struct sample_span root = span_of(5);
    event.name = STR("root");
    ck_assert_int_eq(note(&root), SAMPLE_ENTER);
    ck_assert_int_eq(decide(&root, w.now.wall).verdict, SAMPLE_KEEP);
    child = span_of(5);
    event.name = STR("child");
    ck_assert_int_eq(note(&child), SAMPLE_ENTER);
}
END_TEST

/* Whoever says which span comes next, rightly or not, changes no decision. */
START_TEST(expected)
{
    static uint8_t doors[2][3000];
    for (unsigned round = 0; round < 2; round++) {
        o.window = 0;
        o.traces = 512 + round; /* another number: an empty table */
        configure();
        seed = 7;
        for (unsigned i = 0; i < 3000; i++) {
            const uint64_t n = rnd() % 400, other = rnd() % 400;
            const bool bad = rnd() % 50 == 0;
            const struct sample_span next = span_of(rnd() % 4 ? other : n);
            uint8_t id[16];
            memcpy(id, next.event->trace.trace_id, sizeof id);
            if (round)
                sampling_expect(s, i % 5 ? id : NULL);
            const struct sample_span span = span_of(n);
            event.status = bad ? SPAN_ERROR : SPAN_OK;
            doors[round][i] = (uint8_t)note(&span);
            if (round && i % 3 == 0)
                sampling_expect(s, event.trace.trace_id);
        }
    }
    ck_assert_mem_eq(doors[0], doors[1], sizeof doors[0]);
    sampling_expect(NULL, NULL);
}
END_TEST

START_TEST(disabled)
{
    o.enabled = false;
    configure();
    const struct sample_span span = span_of(trace_where(false));
    ck_assert_int_eq(sampling_note(s, &span, 1, w.now), SAMPLE_ENTER);
    const struct sample_decision d = decide(&span, w.now.wall);
    ck_assert_int_eq(d.verdict, SAMPLE_KEEP);
    ck_assert(!d.write);
    ck_assert_int_eq(sampling_note(NULL, &span, 1, w.now), SAMPLE_ENTER);
}
END_TEST

/* Spans without a trace are sampled each by itself. */
START_TEST(no_trace)
{
    unsigned n = 0;
    o.window = 0;
    o.traces = 1;
    configure();
    (void)span_of(1);
    for (unsigned i = 0; i < 4000; i++) {
        const struct sample_span span = span_of(1);
        memset(event.trace.trace_id, 0, sizeof event.trace.trace_id);
        n += note(&span) == SAMPLE_ENTER;
    }
    ck_assert_uint_gt(n, 300);
    ck_assert_uint_lt(n, 500);
}
END_TEST

/* A wall clock that jumps back leaves nothing held for ever. */
START_TEST(clock_back)
{
    struct sample_span span = span_of(1);
    note(&span);
    w.now.wall -= 3600 * NS_PER_S;
    w.now.mono += NS_PER_S;
    ck_assert_int_ne(decide(&span, w.now.wall + 3600 * NS_PER_S).verdict, SAMPLE_WAIT);
}
END_TEST

/* ---- slow for its name ---- */

START_TEST(slow_for_its_name)
{
    o.slow_p99 = true;
    o.rate[TIER_NORMAL] = 0;
    configure();
    uint64_t n = 0;
    unsigned slow = 0;
    for (; n < 5000; n++) {
        const struct sample_span span = span_of(n);
        event.end = event.time + NS_PER_MS + rnd() % NS_PER_MS;
        note(&span);
        struct sample_decision d;
        sampling_decide(s, &span, w.now.wall, true, w.now, &d);
        ck_assert(n >= 200 || d.verdict == SAMPLE_LEAVE_OUT); /* not yet */
        slow += d.verdict == SAMPLE_KEEP;
    }
    ck_assert_uint_lt(slow, 150); /* 1% of 4,800 */
    struct sample_span span = span_of(n++);
    event.end = event.time + 20 * NS_PER_MS;
    note(&span);
    pass(o.window);
    ck_assert(kept(n - 1, w.now.wall - o.window));
    span = span_of(n++); /* another name, seen for the first time */
    event.name = STR("rare");
    event.end = event.time + 20 * NS_PER_MS;
    note(&span);
    pass(o.window);
    ck_assert(!kept(n - 1, w.now.wall - o.window));
}
END_TEST

/* ---- flood ---- */

static double rate_now(enum sample_tier t)
{
    struct sampling_state state;
    sampling_state(s, t, &state);
    return state.now;
}

static void second(unsigned spans, double pressure)
{
    for (unsigned i = 0; i < spans; i++) {
        const struct sample_span span = span_of(i);
        (void)sampling_note(s, &span, pressure, w.now);
    }
    pass(NS_PER_S);
    sampling_tick(s, w.now);
}

START_TEST(flood)
{
    o.spans_per_second = 100;
    configure();
    sampling_tick(s, w.now);
    second(100, 0);
    ck_assert_double_eq(rate_now(TIER_NORMAL), 0.1);
    second(150, 0); /* the lowest first */
    ck_assert_double_eq(rate_now(TIER_NORMAL), 0.1);
    ck_assert_double_lt(rate_now(TIER_DEBUG), 0.005);
    second(1600, 0); /* sixteen times the limit */
    ck_assert_uint_eq(sampling_level(s), 4);
    ck_assert_double_eq(rate_now(TIER_NORMAL), 0.1 / 8);
    ck_assert_double_eq(rate_now(TIER_CRITICAL), 1);
    ck_assert_double_eq(bits_f64(own_get(&own, OWN_SAMPLING_RATIO, TIER_NORMAL)), 0.1 / 8);
    second(1500, 0); /* it goes on, and so do the rates */
    second(1500, 0);
    ck_assert_uint_eq(sampling_level(s), 4);
    for (unsigned i = 3; i > 0; i--) {
        second(50, 0);
        ck_assert_uint_eq(sampling_level(s), i);
    }
    second(50, 0);
    ck_assert_double_eq(rate_now(TIER_NORMAL), 0.1);
    ck_assert_double_eq(rate_now(TIER_DEBUG), 0.01);
    for (unsigned i = 1; i <= 20; i++) /* a ring that nobody empties */
        second(1, 0.8);
    ck_assert_uint_eq(sampling_level(s), 16);
    second(1, 0.6);
    ck_assert_uint_eq(sampling_level(s), 16);
    second(1, 0.1);
    ck_assert_uint_eq(sampling_level(s), 15);
}
END_TEST

START_TEST(set)
{
    struct sampling_state state;
    ck_assert_int_eq(sampling_set(s, TIER_NORMAL, 1.5), -ERR_RANGE);
    ck_assert_int_eq(sampling_set(s, TIER_NORMAL, NAN), -ERR_RANGE);
    ck_assert_int_eq(sampling_set(s, TIER_NORMAL, 0.5), 0);
    ck_assert_double_eq(rate_now(TIER_NORMAL), 0.5);
    configure();
    ck_assert_double_eq(rate_now(TIER_NORMAL), 0.5);
    sampling_state(s, TIER_NORMAL, &state);
    ck_assert_double_eq(state.configured, 0.1);
    ck_assert_double_eq(state.set, 0.5);
    sampling_free(s); /* another daemon */
    own_fini(&own);
    world_kill(&w);
    ck_assert_int_eq(own_init(&own, &w.st, 1, w.now), 0);
    s = sampling_new(&w.st, &own, &o, w.now);
    ck_assert_double_eq(rate_now(TIER_NORMAL), 0.5);
    ck_assert_int_eq(sampling_set(s, TIER_NORMAL, -1), 0);
    ck_assert_double_eq(rate_now(TIER_NORMAL), 0.1);
    ck_assert_int_eq(sampling_set(s, TIER_NORMAL, 0), 0);
    ck_assert_double_eq(rate_now(TIER_NORMAL), 0);
}
END_TEST

/* ---- after a crash ---- */

static void append(const struct sample_span *span)
{
    struct buf body;
    buf_init(&body, LIMIT_ITEM);
    encode_body(&body, span->event);
    ring_make_room(&w.st, RING_SPANS);
    const struct ring_item item = {.kind = EVENT_SPAN,
                                   .service = span->service,
                                   .body = buf_str(&body),
                                   .received = w.now.wall};
    ck_assert_int_eq(ring_append(&w.st, RING_SPANS, &item), 0);
    store_commit(&w.st);
    buf_fini(&body);
}

/* The error is known again, and the window goes on from the first span. */
START_TEST(recovery)
{
    const uint64_t bad = trace_where(false), out = trace_where(false), received = w.now.wall;
    struct sample_span span = span_of(bad);
    note(&span);
    append(&span);
    span = span_of(out);
    note(&span);
    append(&span);
    pass(NS_PER_S);
    span = span_of(bad);
    event.status = SPAN_ERROR;
    note(&span);
    append(&span);
    sampling_free(s);
    own_fini(&own);
    world_kill(&w);
    ck_assert_int_eq(own_init(&own, &w.st, 1, w.now), 0);
    s = sampling_new(&w.st, &own, &o, w.now);
    span = span_of(bad);
    ck_assert_int_eq(decide(&span, received).verdict, SAMPLE_WAIT);
    ck_assert(sampling_recover(s, 1, w.now));
    ck_assert(!sampling_recover(s, 100, w.now));
    ck_assert_uint_eq(sampling_traces(s), 2);
    ck_assert_int_eq(decide(&span, received).verdict, SAMPLE_WAIT);
    pass(o.window - NS_PER_S);
    const struct sample_decision d = decide(&span, received);
    ck_assert_int_eq(d.verdict, SAMPLE_KEEP);
    ck_assert_uint_eq(d.threshold, 0);
    ck_assert(!d.partial);
    ck_assert(!kept(out, received));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sampling");
    TCase *t = tcase_create("sampling");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, share, 0, 8);
    tcase_add_test(t, nested);
    tcase_add_loop_test(t, tail, 0, 5);
    tcase_add_test(t, tiers);
    tcase_add_test(t, late);
    tcase_add_test(t, late_and_the_rate_has_changed);
    tcase_add_loop_test(t, incoming, 0, 7);
    tcase_add_test(t, honest);
    tcase_add_test(t, table_full);
    tcase_add_test(t, table_shared);
    tcase_add_test(t, many);
    tcase_add_test(t, pressed);
    tcase_add_test(t, no_window);
    tcase_add_test(t, expected);
    tcase_add_test(t, disabled);
    tcase_add_test(t, no_trace);
    tcase_add_test(t, clock_back);
    tcase_add_test(t, slow_for_its_name);
    tcase_add_test(t, flood);
    tcase_add_test(t, set);
    tcase_add_test(t, recovery);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
