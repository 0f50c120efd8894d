/* OTLP requests: whose items they are, the rings, and requests that are cut. */
#include "otlp_whole.h"
#include "pipeline/otlp_request.h"
/* After those whose arguments have the names of its variables. */
#include "otlp_fixture.h"

#include "pipeline/sampling.h"

/* ---- whose items they are ---- */

START_TEST(an_item_without_a_service_has_an_owner)
{
    struct sample v;
    open_request(NULL);
    open_metric("lost", "", OTLP_SUM, OTLP_DELTA, true);
    number(1, 2, 1, "a");
    close_metric();
    send(OTLP_METRICS);
    ck_assert(sample_of("lost", "k=\"a\",service_name=\"unknown_service\"", &v));
    check_ledger(1);
}
END_TEST

START_TEST(the_options_make_labels)
{
    struct sample v;
    pl.options.scope_labels = true;
    pl.options.nresource_labels = 1;
    pl.options.resource_labels[0] = STR("host.name");
    open_request("svc");
    open_metric("lost", "", OTLP_SUM, OTLP_DELTA, true);
    number(1, 2, 1, "a");
    close_metric();
    send(OTLP_METRICS);
    ck_assert(sample_of("lost",
                        "host_name=\"h1\",k=\"a\",otel_scope_name=\"lib\","
                        "otel_scope_version=\"1.2\",service_name=\"svc\"",
                        &v));
}
END_TEST

START_TEST(the_resource_is_in_target_info)
{
    struct sample v;
    struct metric_view m;
    pl.options.target_info = true;
    for (int i = 0; i < 2; i++) {
        open_request("svc");
        send(OTLP_METRICS); /* without an item nobody has come */
    }
    ck_assert(metric_find(&w.st, STR("target_info"), &m));
    ck_assert_uint_eq(m.nseries, 0);
    for (int i = 0; i < 2; i++) {
        open_request("svc");
        open_metric("lost", "", OTLP_SUM, OTLP_DELTA, true);
        close_metric();
        send(OTLP_METRICS);
    }
    ck_assert(sample_of("target_info", "host_name=\"h1\",service_name=\"svc\"", &v));
    ck_assert_uint_eq(v.u, 1);
    check_ledger(0);
}
END_TEST

START_TEST(secrets_in_labels_are_redacted)
{
    struct sample v;
    open_request("svc");
    open_metric("m", "", OTLP_SUM, OTLP_DELTA, true);
    const size_t at = open_point(1, 2);
    put_fixed64_always(&req, 6, 1);
    put_attr_text(&req, 7, STR("password"), STR("hunter2"));
    put_close(&req, at);
    close_metric();
    send(OTLP_METRICS);
    ck_assert(sample_of("m", "password=\"[REDACTED]\",service_name=\"svc\"", &v));
}
END_TEST

/* ---- rings ---- */

static unsigned read_ring(enum store_ring_id ring, struct ring_view *last)
{
    static char copy[RING_COPY];
    uint64_t position = ring_tail(&w.st, ring);
    unsigned n = 0;
    while (ring_read(&w.st, ring, &position, copy, sizeof copy, last) == 1)
        n++;
    return n;
}

static void put_span(const char *name, unsigned kind, uint64_t ns)
{
    const uint8_t trace[16] = {1}, id[8] = {2};
    const size_t at = put_open(&req, 2);
    put_id(&req, 1, trace, 16);
    put_id(&req, 2, id, 8);
    put_text(&req, 5, str_of(name));
    put_uint(&req, 6, kind);
    put_fixed64(&req, 7, WALL);
    put_fixed64(&req, 8, WALL + ns);
    put_attr_text(&req, 9, STR("mcp.method.name"), STR("tools/call"));
    put_attr_text(&req, 9, STR("gen_ai.tool.name"), STR("add"));
    put_close(&req, at);
}

START_TEST(spans_and_logs_go_into_rings)
{
    struct ring_view rec = {0};
    struct sample v;
    struct event e;
    struct buf scratch;
    open_request("svc");
    put_span("tools/call add", SPAN_SERVER, 30 * NS_PER_MS);
    send(OTLP_TRACES);
    ck_assert_uint_eq(result.accepted, 1);
    ck_assert_uint_eq(read_ring(RING_SPANS, &rec), 1);
    ck_assert_uint_eq(rec.kind, RECORD_OTLP_SPAN);
    ck_assert(str_eq(rec.service, STR("svc")));
    buf_init(&scratch, 4096);
    ck_assert_int_eq(record_event(rec.kind, rec.body, &e, &scratch), 0);
    ck_assert(str_eq(e.name, STR("tools/call add")));
    buf_fini(&scratch);
    ck_assert(sample_of("mcp_server_operation_duration_seconds",
                        "gen_ai_tool_name=\"add\",mcp_method_name=\"tools/call\","
                        "service_name=\"svc\"",
                        &v));
    ck_assert_uint_eq(v.buckets[2], 1);

    open_request("svc");
    const size_t at = put_open(&req, 2);
    put_fixed64(&req, 1, WALL);
    const size_t body = put_open(&req, 5);
    put_text(&req, 1, STR("hello"));
    put_close(&req, body);
    put_close(&req, at);
    send(OTLP_LOGS);
    ck_assert_uint_eq(read_ring(RING_EVENTS, &rec), 1);
    ck_assert_uint_eq(rec.kind, RECORD_OTLP_LOG);
    check_ledger(2);
}
END_TEST

START_TEST(what_sampling_leaves_out_is_accepted)
{
    struct sampling_options o;
    struct ring_view rec;
    sampling_defaults(&o);
    for (int tier = 0; tier < TIER_MAX; tier++)
        o.rate[tier] = 0;
    o.window = 0; /* the decision falls at the door */
    pl.sampling = sampling_new(&w.st, &pl.own, &o, w.now);
    open_request("svc");
    put_span("tools/call add", SPAN_SERVER, 30 * NS_PER_MS);
    send(OTLP_TRACES);
    ck_assert_uint_eq(result.accepted, 1);
    ck_assert_uint_eq(result.rejected, 0);
    ck_assert_str_eq(message, "");
    ck_assert_uint_eq(dropped(DROP_SAMPLED), 1);
    ck_assert_uint_eq(read_ring(RING_SPANS, &rec), 0);
    struct sample v = {0};
    ck_assert(sample_of("mcp_server_operation_duration_seconds",
                        "gen_ai_tool_name=\"add\",mcp_method_name=\"tools/call\","
                        "service_name=\"svc\"",
                        &v));
    ck_assert_uint_eq(v.count, 1);
    check_ledger(1);
    sampling_free(pl.sampling);
    pl.sampling = NULL;
}
END_TEST

START_TEST(no_secret_lies_in_a_ring)
{
    static const struct str secret = {"hunter2", 7};
    struct ring_view rec = {0};
    buf_init(&req, 1 << 16);
    at_resource = put_open(&req, 1);
    const size_t resource = put_open(&req, 1);
    put_attr_text(&req, 1, STR("db.password"), secret);
    put_close(&req, resource);
    at_scope = put_open(&req, 2);
    const size_t at = put_open(&req, 2);
    put_attr_text(&req, 6, STR("api_key"), secret);
    put_close(&req, at);
    send(OTLP_LOGS);
    ck_assert_uint_eq(read_ring(RING_EVENTS, &rec), 1);
    ck_assert_ptr_null(memmem(rec.body.p, rec.body.n, secret.p, secret.n));
    ck_assert_ptr_nonnull(memmem(rec.body.p, rec.body.n, "[REDACTED]", 10));
    ck_assert_ptr_null(memmem(w.mem, w.size, secret.p, secret.n));
    check_ledger(1);
}
END_TEST

START_TEST(a_bad_span_is_dropped_alone)
{
    struct ring_view rec;
    open_request("svc");
    put_span("good", SPAN_CLIENT, 1);
    const size_t at = put_open(&req, 2);
    put_text(&req, 1, STR("short"));
    put_close(&req, at);
    put_span("good", SPAN_CLIENT, 1);
    send(OTLP_TRACES);
    ck_assert_uint_eq(result.accepted, 2);
    ck_assert_uint_eq(result.rejected, 1);
    ck_assert_uint_eq(read_ring(RING_SPANS, &rec), 2);
    check_ledger(3);
}
END_TEST

START_TEST(metrics_are_kept_for_sending_on)
{
    struct ring_view rec = {0};
    struct str resource, scope, item, raw;
    struct otlp_metric m;
    static struct otlp_point p;
    otlp_metric_init(&m);
    pl.options.forward_points = true;
    open_request("svc");
    open_metric("total", "", OTLP_SUM, OTLP_CUMULATIVE, true);
    number(WALL, WALL + 1, 5, "a");
    real(WALL, WALL + 1, NAN, "a"); /* does not go on */
    number(WALL, WALL + 1, 6, "b");
    close_metric();
    send(OTLP_METRICS);
    ck_assert_uint_eq(read_ring(RING_POINTS, &rec), 1);
    ck_assert_int_eq(otlp_part(rec.body, &resource, &scope, &item), 0);
    ck_assert_int_eq(metric_whole(item, &m), 0);
    ck_assert(str_eq(m.name, STR("total")) && m.monotonic && m.temporality == OTLP_CUMULATIVE);
    ck_assert_int_eq(otlp_point(&m, &p, &raw), 1);
    ck_assert_int_eq(p.i, 5);
    ck_assert_int_eq(otlp_point(&m, &p, &raw), 1);
    ck_assert_int_eq(p.i, 6);
    ck_assert_int_eq(otlp_point(&m, &p, &raw), 0);
    otlp_metric_fini(&m);
    check_ledger(3);
}
END_TEST

START_TEST(a_metric_larger_than_a_record_becomes_several)
{
    struct ring_view rec = {0};
    enum { POINTS = 4000 };
    pl.options.forward_points = true;
    open_request("svc");
    open_metric("many", "", OTLP_SUM, OTLP_DELTA, true);
    for (int i = 0; i < POINTS; i++)
        number(WALL, WALL + 1, 1, "a");
    close_metric();
    put_close(&req, at_scope);
    put_close(&req, at_resource);
    step_all(OTLP_METRICS, 1 << 20);
    ck_assert_uint_eq(result.accepted, POINTS);
    ck_assert_uint_gt(read_ring(RING_POINTS, &rec), 1);
    ck_assert_double_eq(value("many"), POINTS);
    ck_assert_uint_eq(own_get(&pl.own, OWN_OTLP_UNFORWARDED, 0), 0);
    check_ledger(POINTS);
}
END_TEST

/* In the smallest steps, and every step ends with a batch that is whole. */
START_TEST(a_request_may_be_cut_anywhere)
{
    for (int i = 0; i < 2; i++) {
        open_request("svc");
        open_metric("total", "", OTLP_SUM, OTLP_CUMULATIVE, true);
        for (int k = 0; k < 20; k++)
            number(WALL, WALL + 1 + (uint64_t)k, k + 1, "a");
        close_metric();
        put_close(&req, at_scope);
        put_close(&req, at_resource);
        struct buf copy;
        buf_init(&copy, 1 << 20);
        buf_addstr(&copy, buf_str(&req));
        struct otlp_request *r = otlp_request_new(&pl, OTLP_METRICS, (uint8_t *)req.p, req.n);
        for (int k = 0; k < 9; k++)
            ck_assert(otlp_request_step(r, 1, w.now));
        otlp_request_free(r); /* the sender never got an answer, and tries again */
        restart();
        req = copy;
        step_all(OTLP_METRICS, 1);
        ck_assert_uint_eq(result.accepted, 20);
        ck_assert_double_eq(value("total"), 20);
    }
}
END_TEST

/* A resource is read with each scope: those that a turn gets to are fewer when it is large. */
START_TEST(a_large_resource_around_many_scopes_takes_many_steps)
{
    enum { SCOPES = 400, LARGE = 30000, STEP = 65536 };
    static char large[LARGE];
    memset(large, 'x', sizeof large);
    buf_init(&req, 1 << 22);
    at_resource = put_open(&req, 1);
    const size_t resource = put_open(&req, 1);
    put_attr_text(&req, 1, STR("service.name"), STR("svc"));
    put_attr_text(&req, 1, STR("large"), (struct str){large, sizeof large});
    put_close(&req, resource);
    for (int i = 0; i < SCOPES; i++) {
        at_scope = put_open(&req, 2);
        put_span("work", SPAN_SERVER, 1);
        put_close(&req, at_scope);
    }
    put_close(&req, at_resource);
    struct otlp_request *r = otlp_request_new(&pl, OTLP_TRACES, (uint8_t *)req.p, req.n);
    unsigned steps = 1;
    req = (struct buf){0};
    while (otlp_request_step(r, STEP, w.now))
        steps++;
    otlp_request_free(r);
    ck_assert_uint_ge(steps, SCOPES / (8 * STEP / LARGE + 1)); /* what is copied counts less */
}
END_TEST

/* What a message of any make may cost a turn: units of work, and items or points. */
struct hostile {
    const char *unit;
    size_t n;
    unsigned items; /* in one unit */
    enum otlp_signal signal;
    unsigned npath, path[4]; /* field numbers of the messages around the units */
    unsigned each;           /* units that an item counts at least */
};

static void build_hostile(const struct hostile *h, unsigned units)
{
    size_t at[4];
    buf_init(&req, 1 << 22);
    for (unsigned i = 0; i < h->npath; i++) {
        at[i] = put_open(&req, h->path[i]);
        if (i == 2)
            put_text(&req, 1, STR("m"));
    }
    for (unsigned i = 0; i < units; i++)
        buf_add(&req, h->unit, h->n);
    for (unsigned i = h->npath; i-- > 0;)
        put_close(&req, at[i]);
    ck_assert(!req.failed);
}

enum { STEP = 65536, UNITS = 150000, MOST = STEP + LIMIT_RECORD + 3 * OTLP_CALL_WORK };

static void apply_hostile(const struct hostile *h)
{
    const uint64_t before = own_all(OWN_RECEIVED);
    uint64_t done = before;
    bool more = true;
    build_hostile(h, UNITS);
    struct otlp_request *r = otlp_request_new(&pl, h->signal, (uint8_t *)req.p, req.n);
    req = (struct buf){0};
    while (more) {
        more = otlp_request_step(r, STEP, w.now);
        ck_assert_uint_le(r->work, MOST);
        const uint64_t now_done = own_all(OWN_RECEIVED);
        if (h->each)
            ck_assert_uint_le((now_done - done) * h->each, STEP + h->each);
        done = now_done;
    }
    ck_assert_uint_eq(done - before, h->items ? UNITS * h->items : h->npath > 2);
    otlp_request_free(r);
    check_ledger(done);
}

START_TEST(a_step_is_bounded_whatever_the_message)
{
    static const struct hostile cases[] = {
        {"\x0a\x00", 2, 0, OTLP_TRACES, 0, {0}, 0},
        {"\x12\x00", 2, 0, OTLP_TRACES, 1, {1}, 0},
        {"\x0a\x04\x12\x02\x12\x00", 6, 1, OTLP_LOGS, 0, {0}, 64},
        {"\x12\x02\x12\x00", 4, 1, OTLP_LOGS, 1, {1}, 64},
        {"\x12\x00", 2, 1, OTLP_TRACES, 2, {1, 2}, 64},
        {"\x12\x00", 2, 1, OTLP_METRICS, 2, {1, 2}, 64},
        {"\x12\x07\x0a\x01"
         "a\x2a\x02\x0a\x00",
         9,
         1,
         OTLP_METRICS,
         2,
         {1, 2},
         128},
        {"\x0a\x00", 2, 1, OTLP_METRICS, 4, {1, 2, 2, 5}, 128},
        {"\x0a\x00", 2, 1, OTLP_METRICS, 4, {1, 2, 2, 10}, 128},
        {"\x62\x00", 2, 0, OTLP_METRICS, 3, {1, 2, 2}, 0},
        {"\x4a\x00", 2, 0, OTLP_TRACES, 3, {1, 2, 2}, 0}, /* one span of attributes */
        {"\x32\x00", 2, 0, OTLP_LOGS, 3, {1, 2, 2}, 0},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        teardown(); /* or the domain's breaker opens for so many bad items */
        setup();
        pl.options.forward_points = true;
        pl.options.target_info = true;
        apply_hostile(&cases[i]);
    }
}
END_TEST

/* What lies in a resource or scope that is too large is counted, however much it is. */
START_TEST(items_of_a_large_resource_are_counted)
{
    enum { MANY = 20000 };
    static char large[LIMIT_ORIGIN + 1];
    memset(large, 'x', sizeof large);
    buf_init(&req, 1 << 22);
    at_resource = put_open(&req, 1);
    put_text(&req, 77, (struct str){large, sizeof large});
    for (unsigned i = 0; i < MANY; i++)
        buf_add(&req, "\x12\x02\x12\x00", 4);
    put_close(&req, at_resource);
    step_all(OTLP_TRACES, 1000);
    ck_assert_uint_eq(result.rejected, MANY);
    ck_assert_uint_eq(dropped(DROP_LIMIT), MANY);
    check_ledger(MANY);
}
END_TEST

int main(void)
{
    const struct fixture_test tests[] = {
        {"owner", an_item_without_a_service_has_an_owner},
        {"option labels", the_options_make_labels},
        {"target_info", the_resource_is_in_target_info},
        {"redaction", secrets_in_labels_are_redacted},
        {"rings", spans_and_logs_go_into_rings},
        {"sampling", what_sampling_leaves_out_is_accepted},
        {"secrets", no_secret_lies_in_a_ring},
        {"bad span", a_bad_span_is_dropped_alone},
        {"forwarding", metrics_are_kept_for_sending_on},
        {"splitting", a_metric_larger_than_a_record_becomes_several},
        {"large resource", a_large_resource_around_many_scopes_takes_many_steps},
        {"large resource counted", items_of_a_large_resource_are_counted},
        {"bounded steps", a_step_is_bounded_whatever_the_message},
        {"cuts", a_request_may_be_cut_anywhere},
    };
    return fixture_run("otlp_request", tests, sizeof tests / sizeof *tests);
}
