/* health_page: the probes over HTTP. Floor 4.
 *
 * /health looks at every check, /health/live, /health/ready and /health/startup
 * at those with their gate; 200 for pass and warn, 503 for fail. All but
 * /health/detailed answer from the verdict alone. */
#ifndef MCPTALLY_SERVE_HEALTH_PAGE_H
#define MCPTALLY_SERVE_HEALTH_PAGE_H

#include "format/health_doc.h"
#include "serve/http.h"

struct health_page {
    const struct verdict *verdict; /* the daemon's, kept up to date by it */
    const struct store *st;
    const char *version;
    uint64_t started; /* mono ns */
    const struct system_figures *system;
    struct json_more more; /* what /health/detailed says beside */
    struct buf text;       /* scratch */
};

void health_page_init(struct health_page *h, const struct verdict *v, const struct store *st,
                      const char *version, uint64_t started);
void health_page_fini(struct health_page *h);

/* What /health/detailed shows; also for the control socket. */
void health_page_detailed(struct health_page *h, struct buf *to);

/* The routes of the health port; their argument is the struct health_page. */
extern const struct http_route health_page_routes[];
extern const size_t health_page_nroutes;

#endif
