/* HTTP servers: the status, and a text that has to be in the answer. */
#include <stdlib.h>
#include <string.h>

#include "probe/web.h"

/* The web comes first: it finds itself there. */
struct http {
    struct web *web;
    struct buf body; /* as far as it came, where a text is looked for */
};

static bool is_wanted(const struct plan *plan, unsigned status)
{
    for (unsigned i = 0; i < plan->nstatuses; i++)
        if (status >= plan->statuses[i].from && status <= plan->statuses[i].to)
            return true;
    return plan->nstatuses == 0 && status >= 200 && status <= 299;
}

static void on_head(struct probe *p, unsigned status, struct web *w)
{
    (void)w;
    if (!is_wanted(p->plan, status))
        probe_end(p, OWN_RESULT_FAILED, "status %u", status);
    else if (p->plan->body.n == 0)
        probe_end(p, OWN_RESULT_OK, "status %u", status);
}

/* From where the text may have begun in what came before. */
static void on_data(struct probe *p, const char *bytes, size_t n)
{
    struct http *h = p->own;
    const struct str text = p->plan->body;
    const size_t from = h->body.n < text.n ? 0 : h->body.n - text.n + 1;
    if (text.n == 0)
        return;
    buf_add(&h->body, bytes, n);
    if (memmem(h->body.p + from, h->body.n - from, text.p, text.n))
        probe_end(p, OWN_RESULT_OK, "%s", "");
    else if (h->body.failed)
        probe_end_unrun(p, "no memory for the answer");
}

static void on_end(struct probe *p)
{
    probe_end(p, OWN_RESULT_FAILED, "the answer does not have the text that it should");
}

static void request(struct probe *p)
{
    struct http *h = p->own;
    const struct web_request r = {
        .method = p->plan->head ? EVHTTP_REQ_HEAD : EVHTTP_REQ_GET,
        .headers = p->plan->headers,
        .nheaders = p->plan->nheaders,
    };
    web_send(h->web, &r);
}

static void start(struct probe *p)
{
    static const struct web_events events = {on_head, on_data, on_end};
    struct http *h = p->own = calloc(1, sizeof *h);
    if (h) {
        buf_init(&h->body, p->plan->output);
        h->web = web_new(p, &events);
    }
    if (h && h->web)
        web_find(h->web, request);
    else
        probe_end_unrun(p, "no memory");
}

static void stop(struct probe *p)
{
    struct http *h = p->own;
    if (!h)
        return;
    web_free(h->web);
    buf_fini(&h->body);
    free(h);
}

const struct probe_ops probe_http = {start, stop};
