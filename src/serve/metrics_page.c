#include "serve/metrics_page.h"

#include <microhttpd.h>
#include <stdlib.h>

#include "serve/negotiate.h"

struct waiting {
    struct page_wait wait; /* first: the page's maker hands it back */
    struct http_exchange *x;
};

static void answer_busy(struct http_exchange *x)
{
    struct http_body *b = http_body_new("text/plain; charset=utf-8",
                                        STR("no memory for another page now\n"), NULL, NULL);
    if (b)
        http_body_add_header(b, "Retry-After", "1");
    http_answer_body(x, MHD_HTTP_SERVICE_UNAVAILABLE, b);
    http_body_drop(b);
}

static void drop_page(void *page)
{
    page_drop(page);
}

/* Takes the hold on the page. */
static void answer_page(struct http_exchange *x, struct page *page)
{
    struct http_body *b =
        http_body_new(prom_content_type(page_format(page)), page_text(page), drop_page, page);
    if (!b) {
        page_drop(page);
        answer_busy(x);
        return;
    }
    if (page_gzip(page))
        http_body_add_header(b, "Content-Encoding", "gzip");
    http_body_add_header(b, "Vary", "Accept, Accept-Encoding");
    http_answer_body(x, MHD_HTTP_OK, b);
    http_body_drop(b);
}

static void on_page(struct page_wait *w, struct page *page)
{
    struct waiting *waiting = (struct waiting *)w;
    struct http_exchange *x = waiting->x;
    free(waiting);
    if (page)
        answer_page(x, page);
    else
        answer_busy(x);
}

static void handle_metrics(void *arg, struct http_exchange *x)
{
    struct waiting *w = malloc(sizeof *w);
    if (!w) {
        answer_busy(x);
        return;
    }
    *w = (struct waiting){.wait = {.ready = on_page}, .x = x};
    pages_ask(arg, negotiate_format(http_header(x, "Accept")),
              negotiate_gzip(http_header(x, "Accept-Encoding")), &w->wait);
}

const struct http_route metrics_page_routes[] = {
    {"/metrics", handle_metrics, "in Prometheus text or OpenMetrics, as the Accept header asks",
     NULL},
};
const size_t metrics_page_nroutes = sizeof metrics_page_routes / sizeof *metrics_page_routes;
