/* resource: what the daemon calls itself in OTLP. Floor 5. */
#ifndef MCPTALLY_DAEMON_RESOURCE_H
#define MCPTALLY_DAEMON_RESOURCE_H

#include <stdbool.h>

#include "model/limits.h"

struct resource {
    char service[LIMIT_SERVICE + 1], instance[LIMIT_SERVICE + 1];
};

/* service.name and service.instance.id of OTEL_RESOURCE_ATTRIBUTES: false when any
 * of that value has not the form key=value,key=value, of which nothing is then taken. */
bool resource_parse(struct resource *r, const char *text);

/* From OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, else "mcptallyd" and the host's
 * name. A value that cannot be read is reported in the log. */
void resource_read(struct resource *r);

#endif
