#include "cli/status_text.h"

#include <stdint.h>

#include "base/clock.h"
#include "cli/duration.h"
#include "cli/plain.h"
#include "cli/sampling_text.h"
#include "cli/style.h"

enum { LABEL = 11, NUMBER = 13 };

/* ---- reading ---- */

static uint64_t number(const json_t *o, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(o, key));
}

static struct str text(const json_t *o, const char *key)
{
    return str_of(json_string_value(json_object_get(o, key)));
}

static uint64_t total(const json_t *counts)
{
    uint64_t sum = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)counts, key, value) sum +=
        (uint64_t)json_integer_value(value);
    return sum;
}

/* Received, applied and dropped. */
static bool account_balances(const json_t *account)
{
    return number(account, "received") ==
           number(account, "applied") + total(json_object_get(account, "dropped"));
}

/* Appended, read, overrun, waiting and what became of what was read. */
static bool consumer_balances(const json_t *c)
{
    return number(c, "appended") ==
               number(c, "read") + number(c, "overrun") + number(c, "waiting") &&
           number(c, "read") == number(c, "delivered") + number(c, "filtered") +
                                    number(c, "failed") + number(c, "in_flight");
}

/* ---- writing ---- */

static void add_label(struct buf *to, const char *label)
{
    plain_add_fixed(to, str_of(label), LABEL);
}

static void add_number(struct buf *to, uint64_t v)
{
    buf_addf(to, "%*llu", NUMBER, (unsigned long long)v);
}

static void add_styled(struct buf *to, bool colour, enum style style, const char *word)
{
    style_add(to, colour, style);
    buf_adds(to, word);
    style_add(to, colour, STYLE_NONE);
}

static void add_verdict(struct buf *to, bool colour, bool balances)
{
    buf_adds(to, "  ");
    if (balances)
        add_styled(to, colour, STYLE_GOOD, "balanced");
    else
        add_styled(to, colour, STYLE_BAD, "DOES NOT BALANCE");
    buf_addc(to, '\n');
}

static void add_health(struct buf *to, const json_t *s, bool colour)
{
    const char *health = json_string_value(json_object_get(s, "health"));
    if (!health)
        return;
    const struct str h = str_of(health);
    buf_adds(to, ", health ");
    add_styled(to, colour,
               str_eq(h, STR("pass"))   ? STYLE_GOOD
               : str_eq(h, STR("warn")) ? STYLE_WARN
                                        : STYLE_BAD,
               health);
}

static void add_process(struct buf *to, const json_t *s, bool colour)
{
    add_label(to, "daemon");
    if (json_is_true(json_object_get(s, "running"))) {
        const double up = json_number_value(json_object_get(s, "uptime_seconds"));
        buf_adds(to, "mcptallyd ");
        plain_add(to, text(s, "version"));
        buf_addf(to, ", pid %llu, up ", (unsigned long long)number(s, "pid"));
        duration_add(to, up > 0 ? (uint64_t)(up * (double)NS_PER_S) : 0);
        add_health(to, s, colour);
    } else {
        add_styled(to, colour, STYLE_WARN, "not running");
        buf_adds(to, "; what follows is in its store");
    }
    buf_addc(to, '\n');
}

static void add_listen(struct buf *to, const json_t *s)
{
    const char *name, *before = "";
    json_t *address, *listen = json_object_get(s, "listen");
    if (json_object_size(listen) == 0)
        return;
    add_label(to, "listen");
    json_object_foreach(listen, name, address)
    {
        buf_adds(to, before);
        plain_add(to, str_of(name));
        buf_addc(to, ' ');
        plain_add(to, str_of(json_is_string(address) ? json_string_value(address) : "off"));
        before = ", ";
    }
    buf_addc(to, '\n');
}

static void add_store(struct buf *to, const json_t *s)
{
    const json_t *store = json_object_get(s, "store");
    const double mib = 1 << 20;
    if (!store)
        return;
    add_label(to, "store");
    plain_add(to, text(store, "path"));
    if (json_is_true(json_object_get(s, "running")))
        buf_addf(to, ", %.1f of %.0f MiB", (double)number(store, "reserved") / mib,
                 (double)number(store, "size") / mib);
    buf_addf(to, ", %llu starts, %llu rollbacks\n", (unsigned long long)number(store, "starts"),
             (unsigned long long)number(store, "rollbacks"));
}

static void add_sessions(struct buf *to, const json_t *s)
{
    const json_t *sessions = json_object_get(s, "sessions");
    const json_t *row;
    size_t i;
    add_label(to, "sessions");
    buf_addf(to, "%llu connected, %llu kept; %llu series of %llu metrics\n",
             (unsigned long long)number(sessions, "connected"),
             (unsigned long long)number(sessions, "kept"), (unsigned long long)number(s, "series"),
             (unsigned long long)number(s, "metrics"));
    json_array_foreach(json_object_get(sessions, "services"), i, row)
    {
        add_label(to, i == 0 ? "services" : "");
        plain_add(to, text(row, "service"));
        buf_addf(to, ", %llu connected, %llu kept\n", (unsigned long long)number(row, "connected"),
                 (unsigned long long)number(row, "kept"));
    }
}

static void add_sampling(struct buf *to, const json_t *s)
{
    const json_t *sampling = json_object_get(s, "sampling");
    if (!sampling)
        return;
    add_label(to, "sampling");
    sampling_line(to, sampling);
    buf_addc(to, '\n');
}

static void add_head(struct buf *to, bool colour, const char *first, const char *const *rest)
{
    buf_addc(to, '\n');
    style_add(to, colour, STYLE_STRONG);
    add_label(to, first);
    for (; *rest; rest++)
        buf_addf(to, "%*s", NUMBER, *rest);
    style_add(to, colour, STYLE_NONE);
    buf_addc(to, '\n');
}

static void add_account(struct buf *to, const char *name, const json_t *account, bool colour)
{
    add_label(to, name);
    add_number(to, number(account, "received"));
    add_number(to, number(account, "applied"));
    add_number(to, total(json_object_get(account, "dropped")));
    add_number(to, number(account, "duplicates"));
    add_verdict(to, colour, account_balances(account));
}

/* The counts that are not zero: "dropped: rate_limited 3, sampled 7". */
static void add_reasons(struct buf *to, const char *name, const json_t *counts)
{
    const char *key;
    json_t *value;
    const char *before = "";
    if (total(counts) == 0)
        return;
    add_label(to, name);
    json_object_foreach((json_t *)(uintptr_t)counts, key, value)
    {
        if (json_integer_value(value) == 0)
            continue;
        buf_adds(to, before);
        plain_add(to, str_of(key));
        buf_addf(to, " %llu", (unsigned long long)json_integer_value(value));
        before = ", ";
    }
    buf_addc(to, '\n');
}

/* A domain that is not served, and why. */
static void add_unserved(struct buf *to, const json_t *row)
{
    const bool closed = str_eq(text(row, "breaker"), STR("closed"));
    const bool drained = json_is_true(json_object_get(row, "drained"));
    if (text(row, "breaker").n == 0 || (closed && !drained))
        return;
    add_label(to, "");
    buf_addf(to, "domain %llu is ", (unsigned long long)number(row, "domain"));
    if (json_is_true(json_object_get(row, "set_aside")))
        buf_adds(to, "set aside, daemons died of it: ");
    if (!closed) {
        buf_adds(to, "refused, its breaker is ");
        plain_add(to, text(row, "breaker"));
    }
    buf_adds(to, drained ? closed ? "drained\n" : ", and it is drained\n" : "\n");
}

static void add_items(struct buf *to, const json_t *s, bool colour)
{
    static const char *const head[] = {"received", "applied", "dropped", "duplicates", NULL};
    const json_t *accounting = json_object_get(s, "accounting"), *row;
    size_t i;
    char name[32];
    add_head(to, colour, "items", head);
    add_account(to, "all", accounting, colour);
    json_array_foreach(json_object_get(s, "domains"), i, row)
    {
        snprintf(name, sizeof name, "domain %llu", (unsigned long long)number(row, "domain"));
        add_account(to, name, row, colour);
    }
    json_array_foreach(json_object_get(s, "domains"), i, row) add_unserved(to, row);
    add_reasons(to, "dropped", json_object_get(accounting, "dropped"));
    add_reasons(to, "producers'", json_object_get(s, "producer_lost"));
}

static void add_consumers(struct buf *to, const json_t *s, bool colour)
{
    static const char *const head[] = {"ring", "appended", "read", "overrun", "waiting", NULL};
    static const char *const keys[] = {"appended", "read", "overrun", "waiting"};
    const json_t *row;
    size_t i;
    add_head(to, colour, "consumers", head);
    json_array_foreach(json_object_get(s, "consumers"), i, row)
    {
        plain_add_fixed(to, text(row, "consumer"), LABEL);
        buf_addf(to, "%*.*s", NUMBER, (int)text(row, "ring").n, text(row, "ring").p);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            add_number(to, number(row, keys[k]));
        add_verdict(to, colour, consumer_balances(row));
    }
}

/* What became of items; zeros are left out. */
static void add_outcomes(struct buf *to, const json_t *items)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)items, key, value) if (json_integer_value(value))
    {
        buf_adds(to, ", ");
        plain_add(to, str_of(key));
        buf_addf(to, " %llu", (unsigned long long)json_integer_value(value));
    }
}

static void add_spool(struct buf *to, const json_t *spool)
{
    if (number(spool, "records") == 0)
        return;
    const double age = json_number_value(json_object_get(spool, "age_seconds"));
    buf_addf(to, ", spool %llu items %llu bytes ", (unsigned long long)number(spool, "items"),
             (unsigned long long)number(spool, "bytes"));
    duration_add(to, age > 0 ? (uint64_t)(age * (double)NS_PER_S) : 0);
    buf_adds(to, " old");
}

/* One line for each signal of each destination. */
static void add_export(struct buf *to, const json_t *s, bool colour)
{
    const json_t *row, *all = json_object_get(s, "export");
    size_t i;
    if (json_array_size(all) == 0)
        return;
    static const char *const none[] = {NULL};
    add_head(to, colour, "export", none);
    json_array_foreach(all, i, row)
    {
        plain_add(to, text(row, "destination"));
        buf_addc(to, ' ');
        plain_add(to, text(row, "signal"));
        buf_adds(to, ": ");
        plain_add(to, text(row, "breaker"));
        buf_addf(to, ", waiting %llu, queued %llu", (unsigned long long)number(row, "waiting"),
                 (unsigned long long)number(row, "queued"));
        add_outcomes(to, json_object_get(row, "items"));
        add_spool(to, json_object_get(row, "spool"));
        if (json_is_string(json_object_get(row, "error"))) {
            buf_adds(to, "; ");
            plain_add(to, text(row, "error"));
        }
        buf_addc(to, '\n');
    }
}

static enum style style_of(struct str state)
{
    return str_eq(state, STR("healthy"))     ? STYLE_GOOD
           : str_eq(state, STR("unhealthy")) ? STYLE_BAD
                                             : STYLE_WARN;
}

/* One line for each active check: "db tcp: unhealthy, unreachable 3s ago: refused". */
static void add_checks(struct buf *to, const json_t *s, bool colour)
{
    static const char *const none[] = {NULL};
    const json_t *row, *all = json_object_get(s, "active_checks");
    size_t i;
    if (json_array_size(all) == 0)
        return;
    add_head(to, colour, "checks", none);
    json_array_foreach(all, i, row)
    {
        const double age = json_number_value(json_object_get(row, "age_seconds"));
        plain_add(to, text(row, "name"));
        buf_addc(to, ' ');
        plain_add(to, text(row, "kind"));
        buf_adds(to, ": ");
        add_styled(to, colour, style_of(text(row, "state")), text(row, "state").p);
        if (json_is_string(json_object_get(row, "result"))) {
            buf_adds(to, ", ");
            plain_add(to, text(row, "result"));
            buf_addc(to, ' ');
            duration_add(to, age > 0 ? (uint64_t)(age * (double)NS_PER_S) : 0);
            buf_adds(to, " ago");
        }
        if (text(row, "message").n) {
            buf_adds(to, ": ");
            plain_add(to, text(row, "message"));
        }
        buf_addc(to, '\n');
    }
}

/* One line for each recovery action: its runs, and what came of the last. */
static void add_recovery(struct buf *to, const json_t *s, bool colour)
{
    static const char *const none[] = {NULL};
    const json_t *recovery = json_object_get(s, "recovery"), *row;
    const json_t *all = json_object_get(recovery, "actions");
    size_t i;
    if (json_array_size(all) == 0)
        return;
    add_head(to, colour,
             json_is_true(json_object_get(recovery, "enabled")) ? "actions" : "off:", none);
    json_array_foreach(all, i, row)
    {
        plain_add(to, text(row, "name"));
        buf_addf(to, ": %llu runs", (unsigned long long)number(row, "runs"));
        if (json_is_string(json_object_get(row, "component"))) {
            const double age = json_number_value(json_object_get(row, "age_seconds"));
            buf_adds(to, ", the last ");
            duration_add(to, age > 0 ? (uint64_t)(age * (double)NS_PER_S) : 0);
            buf_adds(to, " ago for ");
            plain_add(to, text(row, "component"));
        }
        if (json_is_string(json_object_get(row, "outcome"))) {
            buf_adds(to, ", ");
            plain_add(to, text(row, "outcome"));
        }
        if (json_is_true(json_object_get(row, "given_up"))) {
            buf_adds(to, ", ");
            add_styled(to, colour, STYLE_BAD, "HAS GIVEN UP");
        }
        buf_addc(to, '\n');
    }
}

/* Processes of producers, and why some are not there. */
static void add_processes(struct buf *to, const json_t *s)
{
    const size_t n = json_array_size(json_object_get(s, "processes"));
    const uint64_t hidden = number(s, "processes_hidden");
    if (!n && !hidden)
        return;
    add_label(to, "processes");
    buf_addf(to, "%zu observed", n);
    if (hidden)
        buf_addf(to, ", %llu hidden: see ProtectProc= in systemd.exec(5)",
                 (unsigned long long)hidden);
    buf_addc(to, '\n');
}

void status_text(struct buf *to, const json_t *status, bool colour)
{
    add_process(to, status, colour);
    add_listen(to, status);
    add_store(to, status);
    add_sessions(to, status);
    add_sampling(to, status);
    add_processes(to, status);
    add_items(to, status, colour);
    add_consumers(to, status, colour);
    add_export(to, status, colour);
    add_checks(to, status, colour);
    add_recovery(to, status, colour);
}
