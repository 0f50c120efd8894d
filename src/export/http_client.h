/* http_client: OTLP/HTTP to one host, by libevent's client. Floor 4.
 *
 * A connection carries one call at a time and is kept for the next one; there are never
 * more than calls. Redirects are not followed. */
#ifndef MCPTALLY_EXPORT_HTTP_CLIENT_H
#define MCPTALLY_EXPORT_HTTP_CLIENT_H

#include "export/setup.h"

extern const struct client_ops http_client;

#endif
