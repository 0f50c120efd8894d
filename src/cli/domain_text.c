#include "cli/domain_text.h"

#include "cli/plain.h"

enum { NAME = 14 };

static const char *word(const json_t *of, const char *key)
{
    const char *s = json_string_value(json_object_get(of, key));
    return s ? s : "";
}

static long long count(const json_t *of, const char *key)
{
    return (long long)json_integer_value(json_object_get(of, key));
}

static double number(const json_t *of, const char *key)
{
    return json_number_value(json_object_get(of, key));
}

static bool is_true(const json_t *of, const char *key)
{
    return json_is_true(json_object_get(of, key));
}

/* "open: crashes", "closed, drained". */
static void add_state(struct buf *to, const json_t *d)
{
    const json_t *breaker = json_object_get(d, "breaker");
    const bool cause =
        *word(breaker, "cause") && !str_eq(str_of(word(breaker, "cause")), STR("none"));
    plain_add(to, str_of(word(breaker, "state")));
    if (cause) {
        buf_adds(to, ": ");
        plain_add(to, str_of(word(breaker, "cause")));
    }
    if (is_true(d, "drained"))
        buf_adds(to, ", drained");
    if (json_is_number(json_object_get(breaker, "left_seconds")))
        buf_addf(to, ", %.0f s left", number(breaker, "left_seconds"));
}

static long long dropped(const json_t *d)
{
    const char *reason;
    json_t *n;
    long long sum = 0;
    json_object_foreach(json_object_get(json_object_get(d, "accounting"), "dropped"), reason, n)
        sum += (long long)json_integer_value(n);
    return sum;
}

static void add_row(struct buf *to, const json_t *d)
{
    const json_t *account = json_object_get(d, "accounting");
    const json_t *share = json_object_get(d, "availability");
    struct buf state;
    buf_init(&state, 256);
    add_state(&state, d);
    buf_addf(to, "%6lld  ", count(d, "domain"));
    plain_add_fixed(to, buf_str(&state), 24);
    buf_fini(&state);
    buf_addf(to, " %11lld %12lld %12lld %8lld %8lld %7.3f%%\n", count(d, "connections"),
             count(account, "applied"), dropped(d), count(d, "refused"), count(d, "restarts"),
             number(share, "24h") * 100);
}

void domain_text_list(struct buf *to, const json_t *list)
{
    size_t i;
    json_t *d;
    if (!is_true(list, "running"))
        buf_adds(to, "no daemon runs; this is what its store has\n");
    buf_adds(to, "domain  state                    connections      applied      dropped  refused "
                 "restarts      24h\n");
    json_array_foreach(json_object_get(list, "domains"), i, d) add_row(to, d);
}

static void add_line(struct buf *to, const char *name)
{
    plain_add_fixed(to, str_of(name), NAME);
}

static void add_dropped(struct buf *to, const json_t *account)
{
    const char *reason;
    json_t *n;
    json_object_foreach(json_object_get(account, "dropped"), reason, n)
    {
        if (json_integer_value(n) == 0)
            continue;
        add_line(to, "dropped");
        buf_addf(to, "%lld ", (long long)json_integer_value(n));
        plain_add(to, str_of(reason));
        buf_addc(to, '\n');
    }
}

static void add_counts(struct buf *to, const json_t *d)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)d, key, v)
    {
        if (!json_is_integer(v) || str_eq(str_of(key), STR("domain")))
            continue;
        plain_add_fixed(to, str_of(key), NAME);
        buf_addf(to, "%lld\n", (long long)json_integer_value(v));
    }
}

void domain_text(struct buf *to, const json_t *d)
{
    const json_t *breaker = json_object_get(d, "breaker");
    const json_t *account = json_object_get(d, "accounting");
    const json_t *share = json_object_get(d, "availability");
    buf_addf(to, "domain %lld\n", count(d, "domain"));
    add_line(to, "breaker");
    add_state(to, d);
    buf_addf(to, "\n");
    add_line(to, "opened");
    buf_addf(to, "%lld times; the last took %.3g s to close again\n", count(breaker, "opened"),
             number(breaker, "recovery_seconds"));
    add_line(to, "received");
    buf_addf(to, "%lld, applied %lld, dropped %lld, duplicates %lld\n", count(account, "received"),
             count(account, "applied"), dropped(d), count(account, "duplicates"));
    add_dropped(to, account);
    add_counts(to, d);
    add_line(to, "available");
    buf_addf(to, "%.3f%% of 1 h, %.3f%% of 24 h, %.3f%% of 30 d\n", number(share, "1h") * 100,
             number(share, "24h") * 100, number(share, "30d") * 100);
}
