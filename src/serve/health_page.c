#include "serve/health_page.h"

#include <microhttpd.h>

enum { TEXT_MAX = 4 << 20 };

void health_page_init(struct health_page *h, const struct verdict *v, const struct store *st,
                      const char *version, uint64_t started)
{
    *h = (struct health_page){.verdict = v, .st = st, .version = version, .started = started};
    buf_init(&h->text, TEXT_MAX);
}

void health_page_fini(struct health_page *h)
{
    buf_fini(&h->text);
}

static unsigned http_status(enum check_status s)
{
    return s == CHECK_FAIL ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK;
}

static void answer_short(struct health_page *h, struct http_exchange *x, unsigned gates)
{
    buf_reset(&h->text);
    health_short(&h->text, h->verdict, gates);
    http_answer(x, http_status(verdict_of(h->verdict, gates)), "application/json",
                buf_str(&h->text));
}

static void handle_health(void *arg, struct http_exchange *x)
{
    answer_short(arg, x, 0);
}

static void handle_live(void *arg, struct http_exchange *x)
{
    answer_short(arg, x, GATE_LIVE);
}

static void handle_ready(void *arg, struct http_exchange *x)
{
    answer_short(arg, x, GATE_READY);
}

static void handle_startup(void *arg, struct http_exchange *x)
{
    answer_short(arg, x, GATE_STARTUP);
}

void health_page_detailed(struct health_page *h, struct buf *to)
{
    const struct health_info info = {
        .verdict = h->verdict,
        .version = h->version,
        .started = h->started,
        .system = h->system,
        .more = h->more,
    };
    health_document(to, h->st, &info, clock_now());
}

static void handle_detailed(void *arg, struct http_exchange *x)
{
    struct health_page *h = arg;
    buf_reset(&h->text);
    health_page_detailed(h, &h->text);
    buf_addc(&h->text, '\n');
    if (h->text.failed)
        http_answer(x, MHD_HTTP_INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8",
                    STR("the document is too large\n"));
    else
        http_answer(x, http_status(verdict_of(h->verdict, 0)), "application/health+json",
                    buf_str(&h->text));
}

const struct http_route health_page_routes[] = {
    {"/health", handle_health, "every check", NULL},
    {"/health/live", handle_live, "whether the daemon works at all", NULL},
    {"/health/ready", handle_ready, "whether it serves", NULL},
    {"/health/startup", handle_startup, "whether it has started", NULL},
    {"/health/detailed", handle_detailed, "everything, as application/health+json", NULL},
    {"/healthz", handle_health, NULL, NULL},
    {"/livez", handle_live, NULL, NULL},
    {"/readyz", handle_ready, NULL, NULL},
};
const size_t health_page_nroutes = sizeof health_page_routes / sizeof *health_page_routes;
