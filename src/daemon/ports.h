/* ports: the HTTP ports, as the configuration describes them. Floor 5. */
#ifndef MCPTALLY_DAEMON_PORTS_H
#define MCPTALLY_DAEMON_PORTS_H

#include "daemon/config.h"
#include "daemon/notify.h"
#include "serve/pages.h"
#include "serve/port.h"

struct ports {
    struct serve_env env;
    struct pages *pages;
    struct port *metrics;
};

/* 0 or -ERR_NOMEM. A port that is taken is no failure: it is tried again. */
int ports_start(struct ports *p, const struct serve_env *env, const struct config *c,
                struct passed *passed);

/* What can be changed while they run. */
void ports_configure(struct ports *p, const struct config *c);

void ports_stop(struct ports *p);

#endif
