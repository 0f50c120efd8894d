#include "daemon/ports.h"

#include "serve/metrics_page.h"

static struct pages_options pages_options_of(const struct config *c)
{
    return (struct pages_options){.cache_ttl = c->metrics_cache_ttl,
                                  .bytes = c->metrics_page_bytes};
}

static struct port *start_metrics(struct ports *p, const struct config *c, struct passed *passed)
{
    const struct port_options o = {
        .name = "metrics",
        .key = "listen.metrics",
        .address = c->listen_metrics,
        .suggest = "127.0.0.1:9464",
        .passed_fd = passed_take(passed, "metrics"),
        .http =
            {
                .title = "mcptally metrics",
                .own_port = 0,
                .connections = (unsigned)c->metrics_connections,
                .priority = -1,
                .routes = metrics_page_routes,
                .nroutes = metrics_page_nroutes,
                .arg = p->pages,
            },
    };
    return port_new(&p->env, &o);
}

int ports_start(struct ports *p, const struct serve_env *env, const struct config *c,
                struct passed *passed)
{
    const struct pages_options o = pages_options_of(c);
    *p = (struct ports){.env = *env};
    p->pages = pages_new(env, &o);
    p->metrics = p->pages ? start_metrics(p, c, passed) : NULL;
    return p->metrics ? 0 : -ERR_NOMEM;
}

void ports_configure(struct ports *p, const struct config *c)
{
    const struct pages_options o = pages_options_of(c);
    pages_set_options(p->pages, &o);
}

void ports_stop(struct ports *p)
{
    /* Who waits for a page is answered before the ports that hold pages go. */
    if (p->pages)
        pages_stop(p->pages);
    port_free(p->metrics);
    if (p->pages)
        pages_free(p->pages);
}
