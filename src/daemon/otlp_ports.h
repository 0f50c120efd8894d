/* otlp_ports: the ports that OTLP comes in by. Floor 5. */
#ifndef MCPTALLY_DAEMON_OTLP_PORTS_H
#define MCPTALLY_DAEMON_OTLP_PORTS_H

#include "daemon/config.h"
#include "daemon/notify.h"
#include "intake/otlp_http.h"
#include "serve/port.h"

struct otlp_ports {
    struct otlp_intake in;
    struct otlp_http routes;
    struct port *grpc, *http;
    unsigned connections; /* each port's */
    unsigned undrained;   /* ports that have not called back */
    otlp_hook *drained;
    void *drained_arg;
};

/* 0 or -ERR_NOMEM; an address that cannot be had is no failure. After a failure, too,
 * otlp_ports_stop() is to be called. */
int otlp_ports_start(struct otlp_ports *p, const struct serve_env *env, const struct config *c,
                     struct passed *passed, const struct http_guard *guard);

/* What can be changed while they run. */
void otlp_ports_configure(struct otlp_ports *p, const struct config *c);

/* Brings the gauges up to date; once a second. */
void otlp_ports_tick(struct otlp_ports *p);

/* Takes no more, answers what has begun, then calls `done` from the loop or at once. */
void otlp_ports_drain(struct otlp_ports *p, otlp_hook *done, void *arg);

void otlp_ports_stop(struct otlp_ports *p);

#endif
