#include "pipeline/rules.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

/* ---- rules_check ---- */

static const struct rule good = {
    .event = {"snakepit.request.completed", 26},
    .metric = {"snakepit_request_duration", 25},
    .kind = METRIC_HISTOGRAM,
    .measurement = {"duration_ms", 11},
    .scale = 0.001,
    .nlabels = 1,
    .labels = {{.key = {"pool", 4}}},
    .nbounds = 2,
    .bounds = {1, 2},
    .unit = {"s", 1},
};

static void no_event(struct rule *r)
{
    r->event = STR("");
}

static void star_inside(struct rule *r)
{
    r->event = STR("a.*.b");
}

static void bad_metric(struct rule *r)
{
    r->metric = STR("9lives");
}

static void no_kind(struct rule *r)
{
    r->kind = 0;
}

static void no_measurement(struct rule *r)
{
    r->measurement = STR("");
}

static void bad_measurement(struct rule *r)
{
    r->measurement = STR("two words");
}

static void bad_scale(struct rule *r)
{
    r->scale = 1e308 * 10;
}

static void falling_counter(struct rule *r)
{
    r->kind = METRIC_COUNTER;
    r->nbounds = 0;
    r->scale = -1;
}

static void counter_buckets(struct rule *r)
{
    r->kind = METRIC_COUNTER;
}

static void descending(struct rule *r)
{
    r->bounds[1] = 1;
}

static void many_bounds(struct rule *r)
{
    r->nbounds = LIMIT_BOUNDS + 1;
}

static void joined_histogram(struct rule *r)
{
    r->join = JOIN_SUM;
}

static void many_labels(struct rule *r)
{
    r->nlabels = LIMIT_LABELS;
}

static void bad_label(struct rule *r)
{
    r->labels[0].key = STR("a b");
}

static void same_label(struct rule *r)
{
    r->labels[1] = (struct rule_label){.name = STR("pool"), .key = STR("other")};
    r->nlabels = 2;
}

static void bucket_label(struct rule *r)
{
    r->labels[0].name = STR("le");
}

static void bad_help(struct rule *r)
{
    r->help = STR("\xFF");
}

static const struct {
    void (*spoil)(struct rule *r);
    const char *field; /* that the message names */
} bad[] = {
    {no_event, "event"},
    {star_inside, "event"},
    {bad_metric, "metric"},
    {no_kind, "kind"},
    {no_measurement, "measurement"},
    {bad_measurement, "measurement"},
    {bad_scale, "scale"},
    {falling_counter, "scale"},
    {counter_buckets, "buckets"},
    {descending, "buckets"},
    {many_bounds, "buckets"},
    {joined_histogram, "join"},
    {many_labels, "labels"},
    {bad_label, "labels"},
    {same_label, "labels"},
    {bucket_label, "labels"},
    {bad_help, "help"},
};

START_TEST(refused)
{
    struct rule r = good;
    char why[200] = "";
    ck_assert_msg(rules_check(&r, why, sizeof why) == 0, "%s", why);
    bad[_i].spoil(&r);
    ck_assert_int_eq(rules_check(&r, why, sizeof why), -ERR_SYNTAX);
    ck_assert_msg(strstr(why, bad[_i].field) != NULL, "'%s' says nothing of %s", why,
                  bad[_i].field);
}
END_TEST

/* ---- rules_match ---- */

struct seen {
    unsigned n;
    unsigned index[16];
    uint64_t bits[16];
    int error[16];
    unsigned nlabels;
    struct label labels[LIMIT_LABELS]; /* of the last */
    char keys[LIMIT_LABELS][LIMIT_KEY], values[LIMIT_LABELS][LIMIT_LABEL_VALUE];
    const struct metric_def *def; /* until the rules are freed */
};

static void see(void *arg, const struct rule_update *u)
{
    struct seen *s = arg;
    s->index[s->n] = u->index;
    s->bits[s->n] = u->bits;
    s->error[s->n++] = u->error;
    s->def = u->def;
    s->nlabels = u->nlabels;
    for (unsigned i = 0; i < u->nlabels; i++) {
        const struct str key = u->labels[i].key, value = u->labels[i].value;
        memcpy(s->keys[i], key.p, key.n);
        memcpy(s->values[i], value.p, value.n);
        s->labels[i] = (struct label){{s->keys[i], key.n}, {s->values[i], value.n}};
    }
}

static struct rule counter(struct str event)
{
    return (struct rule){.event = event, .metric = STR("n"), .kind = METRIC_COUNTER};
}

static struct event named(struct str name)
{
    return (struct event){.kind = EVENT_NAMED, .name = name};
}

static unsigned match(const struct rule *rules, size_t n, const struct event *e, struct seen *s)
{
    char why[200];
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(rules_check(&rules[i], why, sizeof why) == 0, "%s", why);
    struct rules *rs = rules_new(rules, n);
    ck_assert_ptr_nonnull(rs);
    memset(s, 0, sizeof *s);
    const unsigned matches = rules_match(rs, e, see, s);
    ck_assert_uint_eq(matches, s->n);
    rules_free(rs);
    s->def = NULL;
    return matches;
}

START_TEST(names)
{
    const struct rule rules[] = {counter(STR("a.*")),   counter(STR("a.b")), counter(STR("*")),
                                 counter(STR("a.b.c")), counter(STR("a.b")), counter(STR("a.b*")),
                                 counter(STR("b.*"))};
    struct seen s;
    struct event e = named(STR("a.b"));
    ck_assert_uint_eq(match(rules, 7, &e, &s), 5);
    const unsigned want[] = {0, 1, 2, 4, 5};
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_uint_eq(s.index[i], want[i]);
        ck_assert_uint_eq(s.bits[i], 1);
    }
    e = named(STR("a"));
    ck_assert_uint_eq(match(rules, 7, &e, &s), 1);
    ck_assert_uint_eq(s.index[0], 2);
    ck_assert_uint_eq(match(rules, 0, &e, &s), 0);
    e.kind = EVENT_LOG;
    ck_assert_uint_eq(match(rules, 7, &e, &s), 0);
    ck_assert_uint_eq(rules_match(NULL, &e, see, &s), 0);
}
END_TEST

/* Thousands of rules, each found by its own name alone. */
START_TEST(many)
{
    enum { N = 3000 };
    static struct rule rules[N];
    static char texts[N][16];
    for (unsigned i = 0; i < N; i++) {
        const int n = snprintf(texts[i], sizeof texts[i], "event.%u", i);
        rules[i] = counter((struct str){texts[i], (size_t)n});
    }
    struct rules *rs = rules_new(rules, N);
    ck_assert_ptr_nonnull(rs);
    for (unsigned i = 0; i < N; i++) {
        struct seen s = {0};
        struct event e = named(rules[i].event);
        ck_assert_uint_eq(rules_match(rs, &e, see, &s), 1);
        ck_assert_uint_eq(s.index[0], i);
    }
    rules_free(rs);
}
END_TEST

static double value_of(struct rule r, struct event e, int *error)
{
    struct seen s;
    ck_assert_uint_eq(match(&r, 1, &e, &s), 1);
    *error = s.error[0];
    return bits_f64(s.bits[0]);
}

START_TEST(measurements)
{
    struct event e = named(STR("snakepit.request.completed"));
    int error;
    (void)value_of(good, e, &error);
    ck_assert_int_eq(error, -ERR_NOTFOUND);
    e.nmeasures = 2;
    e.measures[0] = (struct measure){STR("other"), 1};
    e.measures[1] = (struct measure){STR("duration_ms"), 250};
    ck_assert_double_eq(value_of(good, e, &error), 0.25);
    ck_assert_int_eq(error, 0);
    /* a numeric attribute serves when there is no measurement; a text never does */
    e.nmeasures = 1;
    e.nattrs = e.all_attrs = 1;
    e.attrs[0] = (struct attr){.key = STR("duration_ms"), .type = ATTR_I64, .i = 3000};
    ck_assert_double_eq(value_of(good, e, &error), 3);
    e.attrs[0] = (struct attr){.key = STR("duration_ms"), .type = ATTR_F64, .d = 500};
    ck_assert_double_eq(value_of(good, e, &error), 0.5);
    e.attrs[0] = (struct attr){.key = STR("duration_ms"), .type = ATTR_STRING, .s = STR("500")};
    (void)value_of(good, e, &error);
    ck_assert_int_eq(error, -ERR_NOTFOUND);
}
END_TEST

START_TEST(counters_and_gauges)
{
    struct rule r = counter(STR("e"));
    struct event e = named(STR("e"));
    int error;
    r.measurement = STR("bytes");
    e.nmeasures = 1;
    e.measures[0] = (struct measure){STR("bytes"), 1024};
    ck_assert_double_eq(value_of(r, e, &error), 1024);
    ck_assert_int_eq(error, 0);
    e.measures[0].value = -1;
    (void)value_of(r, e, &error);
    ck_assert_int_eq(error, -ERR_RANGE);
    r.kind = METRIC_GAUGE;
    r.join = JOIN_SUM;
    r.scale = 10;
    ck_assert_double_eq(value_of(r, e, &error), -10);
    ck_assert_int_eq(error, 0);
    e.measures[0].value = 1e308;
    (void)value_of(r, e, &error);
    ck_assert_int_eq(error, -ERR_NOTFINITE);
}
END_TEST

static void expect_label(const struct seen *s, unsigned i, struct str key, struct str value)
{
    ck_assert_uint_lt(i, s->nlabels);
    ck_assert_msg(str_eq(s->labels[i].key, key), "%.*s", STR_ARG(s->labels[i].key));
    ck_assert_msg(str_eq(s->labels[i].value, value), "%.*s", STR_ARG(s->labels[i].value));
}

START_TEST(labels)
{
    struct rule r = counter(STR("tool.*"));
    const struct str keys[] = {STR("text"), STR("yes"),  STR("int"),  STR("least"),
                               STR("real"), STR("gone"), STR("void"), STR("event.name")};
    r.nlabels = 8;
    for (unsigned i = 0; i < 8; i++)
        r.labels[i].key = keys[i];
    r.labels[7].name = STR("kind");
    struct event e = named(STR("tool.call"));
    e.nattrs = e.all_attrs = 6;
    char longest[1000];
    memset(longest, 'x', sizeof longest);
    e.attrs[0] = (struct attr){.key = keys[0], .type = ATTR_STRING, .s = {longest, 1000}};
    e.attrs[1] = (struct attr){.key = keys[1], .type = ATTR_BOOL, .i = 1};
    e.attrs[2] = (struct attr){.key = keys[2], .type = ATTR_I64, .i = -42};
    e.attrs[3] = (struct attr){.key = keys[3], .type = ATTR_I64, .i = INT64_MIN};
    e.attrs[4] = (struct attr){.key = keys[4], .type = ATTR_F64, .d = 0.25};
    e.attrs[5] = (struct attr){.key = keys[6], .type = ATTR_STRING, .s = STR("")};
    struct seen s;
    ck_assert_uint_eq(match(&r, 1, &e, &s), 1);
    ck_assert_uint_eq(s.nlabels, 6);
    expect_label(&s, 0, keys[0], (struct str){longest, LIMIT_LABEL_VALUE});
    expect_label(&s, 1, keys[1], STR("true"));
    expect_label(&s, 2, keys[2], STR("-42"));
    expect_label(&s, 3, keys[3], STR("-9223372036854775808"));
    expect_label(&s, 4, keys[4], STR("0.25"));
    expect_label(&s, 5, STR("kind"), STR("tool.call"));
}
END_TEST

/* What the daemon gets to define: type by kind, the conventional buckets. */
START_TEST(definitions)
{
    const struct rule rules[] = {
        counter(STR("a")),
        {.event = STR("a"), .metric = STR("s"), .kind = METRIC_COUNTER, .measurement = STR("m")},
        {.event = STR("a"), .metric = STR("g"), .kind = METRIC_GAUGE, .measurement = STR("m")},
        {.event = STR("a"), .metric = STR("h"), .kind = METRIC_HISTOGRAM, .measurement = STR("m")},
    };
    static const enum value_type types[] = {VALUE_U64, VALUE_F64, VALUE_F64, VALUE_F64};
    for (unsigned i = 0; i < 4; i++) {
        struct rules *rs = rules_new(&rules[i], 1);
        struct seen s = {0};
        struct event e = named(STR("a"));
        ck_assert_uint_eq(rules_match(rs, &e, see, &s), 1);
        ck_assert_int_eq(metric_def_check(s.def), 0);
        ck_assert_int_eq(s.def->type, types[i]);
        ck_assert_uint_eq(s.def->nbounds, i == 3 ? RULES_NBOUNDS : 0);
        ck_assert(str_eq(s.def->name, rules[i].metric));
        rules_free(rs);
    }
    rules_free(NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rules");
    TCase *t = tcase_create("rules");
    tcase_add_loop_test(t, refused, 0, sizeof bad / sizeof *bad);
    tcase_add_test(t, names);
    tcase_add_test(t, many);
    tcase_add_test(t, measurements);
    tcase_add_test(t, counters_and_gauges);
    tcase_add_test(t, labels);
    tcase_add_test(t, definitions);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
