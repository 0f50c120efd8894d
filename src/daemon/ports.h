/* ports: what answers: the HTTP ports and the control socket. Floor 5. */
#ifndef MCPTALLY_DAEMON_PORTS_H
#define MCPTALLY_DAEMON_PORTS_H

#include "daemon/config.h"
#include "daemon/notify.h"
#include "daemon/sockets.h"
#include "serve/control.h"
#include "serve/port.h"

struct ports {
    struct serve_env env;
    struct pages *pages;
    struct health_page health_page;
    struct socket_place control_place;
    struct control *control;
    uint32_t *admins; /* the uids and, behind them, the gids of control.admin_* */
    struct port *metrics, *health;
};

/* What they tell of the daemon; borrowed. */
struct ports_about {
    const char *runtime_dir;
    const struct http_guard *metrics_guard, *health_guard;
    const struct verdict *verdict;
    uint64_t started; /* mono ns */
    void (*describe)(void *arg, struct status_info *out);
    const struct system_figures *system;
    struct json_more more; /* of /health/detailed */
    void *arg;             /* the daemon, which its commands are handed too */
};

/* 0, or the error of the control socket, or -ERR_NOMEM; has logged why. An HTTP
 * port that is taken is no failure: it is tried again. After a failure, too,
 * ports_stop() is to be called. */
int ports_start(struct ports *p, const struct serve_env *env, const struct config *c,
                struct passed *passed, const struct ports_about *about);

/* What can be changed while they run. */
void ports_configure(struct ports *p, const struct config *c);

void ports_tick(struct ports *p); /* brings the gauges up to date; once a second */

void ports_stop(struct ports *p);

#endif
