/* Monthly: the figures since the report before, as text and as JSON. Totals of the store
 * are in each report, so that the next one can subtract. */
#include <errno.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/duration.h"
#include "cli/source.h"
#include "cli/upkeep.h"
#include "format/status.h"

enum { ANSWER_MAX = 16 << 20, REPORTS_KEPT = 24, DATE = sizeof "2026-11-21" };

struct monthly {
    const struct upkeep *u;
    char date[DATE]; /* of today, in UTC: a second report on a day takes the place of the first */
    json_t *totals;  /* of the store: a name and a number each */
    json_t *before;  /* the newest report of an earlier day, or NULL */
    json_t *period;  /* totals less those of before */
    char store_id[32];
};

/* ---- what there is ---- */

static void add(json_t *to, const char *name, double value)
{
    const json_t *had = json_object_get(to, name);
    json_object_set_new(to, name, json_real(value + (had ? json_number_value(had) : 0)));
}

/* The numbers of an object of the status, under a name. */
static void add_numbers(json_t *to, const char *prefix, json_t *from)
{
    char name[256];
    const char *key;
    json_t *value;
    json_object_foreach(from, key, value)
    {
        snprintf(name, sizeof name, "%s%s", prefix, key);
        if (json_is_number(value))
            add(to, name, json_number_value(value));
    }
}

static void add_status(struct monthly *m, json_t *status)
{
    json_t *ledger = json_object_get(status, "accounting"), *destination;
    json_t *store = json_object_get(status, "store");
    const char *id = json_string_value(json_object_get(store, "id"));
    char prefix[256];
    size_t i;
    add_numbers(m->totals, "items ", ledger);
    add_numbers(m->totals, "items dropped: ", json_object_get(ledger, "dropped"));
    add_numbers(m->totals, "lost by producers: ", json_object_get(status, "producer_lost"));
    add(m->totals, "starts", json_number_value(json_object_get(store, "starts")));
    add(m->totals, "rollbacks", json_number_value(json_object_get(store, "rollbacks")));
    json_array_foreach(json_object_get(status, "consumers"), i, destination)
    {
        const char *name = json_string_value(json_object_get(destination, "consumer"));
        snprintf(prefix, sizeof prefix, "%s ", name ? name : "");
        for (const char *const *k = (const char *const[]){"delivered", "failed", "overrun", NULL};
             *k; k++) {
            char key[300];
            snprintf(key, sizeof key, "%s%s", prefix, *k);
            add(m->totals, key, json_number_value(json_object_get(destination, *k)));
        }
    }
    snprintf(m->store_id, sizeof m->store_id, "%s", id ? id : "");
}

static int read_status(struct monthly *m)
{
    struct buf answer;
    struct view v;
    buf_init(&answer, ANSWER_MAX);
    int status = source_ask(&m->u->place, "{\"cmd\":\"status\"}", m->u->timeout, &answer, &v);
    if (status == CLI_OK && v.mem) {
        const struct status_info info = {.store_path = m->u->place.store};
        status_document(&answer, &v.store, &info, clock_now());
    }
    if (status == CLI_OK) {
        json_t *document = json_loadb(answer.p, answer.n, 0, NULL);
        add_status(m, document);
        if (!document) {
            cli_error("the daemon's answer cannot be read");
            status = CLI_FAILURE;
        }
        json_decref(document);
    }
    view_close(&v);
    buf_fini(&answer);
    return status;
}

/* Calls, errors and seconds by service, of every server that was observed. */
static void add_series(struct monthly *m, const struct store *st, const struct metric_view *metric,
                       const struct series_view *series)
{
    struct sample s;
    char name[256];
    const struct str service = labels_get(series->labels, STR("service_name"));
    const struct str error = labels_get(series->labels, STR("error_type"));
    series_sample(st, metric, series, &s);
    const char *const format = "server %.*s: %s";
    snprintf(name, sizeof name, format, STR_ARG(service), "requests");
    add(m->totals, name, (double)s.count);
    snprintf(name, sizeof name, format, STR_ARG(service), "seconds");
    add(m->totals, name, s.sum);
    snprintf(name, sizeof name, format, STR_ARG(service), "errors");
    add(m->totals, name, error.n ? (double)s.count : 0);
}

static void read_servers(struct monthly *m)
{
    struct view v;
    struct metric_view metric;
    struct series_view s;
    if (view_open(&v, m->u->place.store) < 0)
        return;
    if (metric_find(&v.store, STR("mcp_server_operation_duration_seconds"), &metric) &&
        metric.kind == METRIC_HISTOGRAM) {
        uint32_t left = metric.nseries; /* a list that changes under us may not end */
        for (uint32_t i = metric.first; i && left; i = s.next, left--) {
            if (!series_read(&v.store, i, &s))
                break;
            if (s.flags & SERIES_LIVE)
                add_series(m, &v.store, &metric, &s);
        }
    }
    view_close(&v);
}

/* ---- reports ---- */

static int report_path(const struct monthly *m, const char *kind, char *to, size_t size)
{
    const int n = snprintf(to, size, "%s/reports/%s.%s", m->u->state, m->date, kind);
    return n >= 0 && (size_t)n < size ? 0 : -ERR_RANGE;
}

/* Removes the oldest, by the dates in their names. */
static void prune(const glob_t *found)
{
    char text[PLACE_MAX + 32];
    for (size_t i = 0; i + REPORTS_KEPT < found->gl_pathc; i++) {
        const int n = (int)strlen(found->gl_pathv[i]) - (int)strlen("json");
        snprintf(text, sizeof text, "%.*stxt", n, found->gl_pathv[i]);
        (void)unlink(found->gl_pathv[i]);
        (void)unlink(text);
    }
}

/* The newest of an earlier day. */
static void find_before(struct monthly *m)
{
    char pattern[PLACE_MAX + 48], today[PLACE_MAX + 48];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/reports/[0-9]*-[0-9]*-[0-9]*.json", m->u->state);
    if (report_path(m, "json", today, sizeof today) < 0 || glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = found.gl_pathc; i-- > 0 && !m->before;)
        if (strcmp(found.gl_pathv[i], today) < 0)
            m->before = json_load_file(found.gl_pathv[i], 0, NULL);
    prune(&found);
    globfree(&found);
}

/* Another store has counted from zero. */
static void subtract(struct monthly *m)
{
    const char *key, *id = json_string_value(json_object_get(m->before, "store"));
    const bool same = id && strcmp(id, m->store_id) == 0;
    const json_t *old = same ? json_object_get(m->before, "totals") : NULL;
    json_t *value;
    json_object_foreach(m->totals, key, value)
    {
        const double less = json_number_value(json_object_get(old, key));
        json_object_set_new(m->period, key, json_real(json_number_value(value) - less));
    }
    if (!same) {
        json_decref(m->before);
        m->before = NULL;
    }
}

static void write_text(const struct monthly *m, FILE *to)
{
    const char *since = json_string_value(json_object_get(m->before, "date"));
    const char *key;
    json_t *value;
    fprintf(to, "mcptally: figures up to %s, since %s\n", m->date,
            since ? since : "the store began");
    json_object_foreach(m->period, key, value)
    {
        const double v = json_number_value(value);
        if (v != 0)
            fprintf(to, "%-48s %.15g\n", key, v);
    }
}

static bool write_json(const struct monthly *m, FILE *to)
{
    const json_t *since = json_object_get(m->before, "date");
    json_t *all = json_pack("{s:s, s:O?, s:s, s:O, s:O}", "date", m->date, "since", since, "store",
                            m->store_id, "period", m->period, "totals", m->totals);
    const bool good = all && json_dumpf(all, to, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) == 0;
    json_decref(all);
    return good;
}

/* A file is whole or not there. */
static int write_file(const struct monthly *m, const char *kind)
{
    char path[PLACE_MAX + 48], fresh[PLACE_MAX + 64];
    if (report_path(m, kind, path, sizeof path) < 0)
        return CLI_USAGE;
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *f = fopen(fresh, "w");
    bool good = f != NULL;
    if (good && strcmp(kind, "json") == 0)
        good = write_json(m, f);
    else if (good)
        write_text(m, f);
    good = f && fflush(f) == 0 && fsync(fileno(f)) == 0 && good;
    if (f && fclose(f) != 0)
        good = false;
    if (good && rename(fresh, path) == 0)
        return CLI_OK;
    const int why = errno;
    cli_error("%s: %s", path, strerror(why));
    (void)unlink(fresh);
    return cli_exit_of(why);
}

static int write_reports(struct monthly *m)
{
    char dir[PLACE_MAX + 16];
    snprintf(dir, sizeof dir, "%s/reports", m->u->state);
    if (mkdir(dir, 0750) < 0 && errno != EEXIST) {
        cli_error("%s: %s", dir, strerror(errno));
        return cli_exit_of(errno);
    }
    find_before(m);
    subtract(m);
    int status = write_file(m, "json");
    if (status == CLI_OK)
        status = write_file(m, "txt");
    if (status == CLI_OK)
        write_text(m, stdout);
    return status;
}

int upkeep_monthly(const struct upkeep *u)
{
    struct monthly m = {.u = u, .totals = json_object(), .period = json_object()};
    const time_t now = (time_t)(clock_now().wall / NS_PER_S);
    struct tm day;
    int status = CLI_FAILURE;
    if (m.totals && m.period && gmtime_r(&now, &day) &&
        strftime(m.date, sizeof m.date, "%Y-%m-%d", &day) > 0) {
        status = read_status(&m);
        if (status == CLI_OK) {
            read_servers(&m);
            status = write_reports(&m);
        }
    }
    json_decref(m.totals);
    json_decref(m.period);
    json_decref(m.before);
    return status;
}
