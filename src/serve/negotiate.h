/* negotiate: what a scraper would rather have. Floor 4. No I/O. */
#ifndef MCPTALLY_SERVE_NEGOTIATE_H
#define MCPTALLY_SERVE_NEGOTIATE_H

#include <stdbool.h>

#include "format/prom_family.h"

/* The format that an Accept header (NULL: none) gives the highest q; the earlier
 * one among equals. OpenMetrics in its versions 1.0.0 and 0.0.1, and text; 0.0.4
 * when nothing else fits. */
enum prom_format negotiate_format(const char *accept);

/* Whether an Accept-Encoding header (NULL: none) asks for gzip. */
bool negotiate_gzip(const char *accept_encoding);

#endif
