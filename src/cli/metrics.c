/* metrics: the page that the daemon serves at /metrics, whether it runs or not. */
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/metrics_json.h"
#include "cli/options.h"
#include "cli/source.h"
#include "format/prom.h"

struct metrics_options {
    const char *runtime_dir;
    uint64_t timeout; /* ns */
    bool openmetrics, json;
};

#define AT(member) offsetof(struct metrics_options, member)

static const struct option_row rows[] = {
    {"openmetrics", 0, OPTION_FLAG, AT(openmetrics), NULL, "print OpenMetrics 1.0.0", 0, 0},
    {"json", 0, OPTION_FLAG, AT(json), NULL, "print one JSON object, read from the store itself", 0,
     0},
    {"timeout", 0, OPTION_DURATION, AT(timeout), "TIME",
     "how long to wait for the daemon's answer (10s)", 1, UINT64_MAX},
    {"runtime-dir", 0, OPTION_TEXT, AT(runtime_dir), "DIR",
     "where the daemon's sockets and store are", 0, 0},
};

static const struct options options = {
    .command = "metrics",
    .usage = "[--openmetrics | --json]",
    .about = "Prints every metric, in Prometheus' text format unless another is asked for.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

static const struct prom_share slice = {.lines = 4096, .bytes = 256 << 10};

#define PAGE_MAX ((size_t)4 << 30)

static int check(const struct buf *page)
{
    if (!page->failed)
        return CLI_OK;
    cli_error("metrics: %s", err_help(ERR_NOMEM));
    return CLI_FAILURE;
}

/* The daemon's answer is a line with "length" and as many bytes. */
static int print_answer(const struct buf *answer)
{
    const char *end = memchr(answer->p, '\n', answer->n);
    json_t *head = end ? json_loadb(answer->p, (size_t)(end - answer->p), 0, NULL) : NULL;
    const json_int_t length = json_integer_value(json_object_get(head, "length"));
    json_decref(head);
    if (!end || length < 0 || (size_t)length != answer->n - (size_t)(end + 1 - answer->p)) {
        cli_error("metrics: the daemon's answer is not whole");
        return CLI_FAILURE;
    }
    cli_write((struct str){end + 1, (size_t)length});
    return CLI_OK;
}

/* The page of a store whose daemon is gone. */
static int print_page(const struct view *v, enum prom_format format, struct buf *page)
{
    struct prom_page p;
    bool more = true;
    prom_begin(&p, &v->store, format, clock_now().mono);
    while (more && !page->failed) {
        more = prom_step(&p, page, &slice);
        if (!page->failed) {
            cli_write(buf_str(page));
            buf_reset(page);
        }
    }
    return check(page);
}

static int print_json(const struct place *place, struct buf *page)
{
    struct view v;
    const int r = view_open(&v, place->store);
    if (r < 0)
        return view_report(place->store, r);
    metrics_json(page, &v.store, clock_now().mono);
    view_close(&v);
    if (!page->failed)
        cli_write(buf_str(page));
    return check(page);
}

static int print_text(const struct metrics_options *o, const struct place *place, struct buf *page)
{
    static const char *const requests[] = {
        [PROM_TEXT] = "{\"cmd\":\"metrics\",\"format\":\"text\"}",
        [PROM_OPENMETRICS] = "{\"cmd\":\"metrics\",\"format\":\"openmetrics\"}",
    };
    const enum prom_format format = o->openmetrics ? PROM_OPENMETRICS : PROM_TEXT;
    struct view view;
    int status = source_ask(place, requests[format], o->timeout, page, &view);
    if (status == CLI_OK)
        status = view.mem ? print_page(&view, format, page) : print_answer(page);
    view_close(&view);
    return status;
}

int cmd_metrics(int argc, char **argv)
{
    struct metrics_options o = {.timeout = 10 * NS_PER_S};
    struct place place;
    struct buf page;
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    if (n > 0)
        return options_wrong(&options, "what is '%s'?", argv[1]);
    if (o.json && o.openmetrics)
        return options_wrong(&options, "--openmetrics and --json exclude each other");
    if (place_find(&place, o.runtime_dir) < 0)
        return options_wrong(&options, "the runtime directory's path is too long");
    buf_init(&page, PAGE_MAX);
    const int status = o.json ? print_json(&place, &page) : print_text(&o, &place, &page);
    buf_fini(&page);
    return status;
}
