/* metrics_page: /metrics over HTTP. Floor 4.
 *
 * The format by Accept, gzip by Accept-Encoding, the page from pages.h; 503 with
 * Retry-After when the pages' memory is used up. */
#ifndef MCPTALLY_SERVE_METRICS_PAGE_H
#define MCPTALLY_SERVE_METRICS_PAGE_H

#include "serve/http.h"
#include "serve/pages.h"

/* The routes of the metrics port; their argument is the struct pages. */
extern const struct http_route metrics_page_routes[];
extern const size_t metrics_page_nroutes;

#endif
