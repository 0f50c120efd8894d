#include "daemon/ports.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/commands.h"
#include "daemon/value.h"
#include "serve/metrics_page.h"
#include "store/commit.h"

/* What a probe is answered fits into any socket: who does not read it does not want it. */
#define HEALTH_PATIENCE NS_PER_S

static struct pages_options pages_options_of(const struct config *c)
{
    return (struct pages_options){.cache_ttl = c->metrics_cache_ttl,
                                  .bytes = c->metrics_page_bytes};
}

static struct port *start_metrics(struct ports *p, const struct config *c, struct passed *passed,
                                  const struct http_guard *guard)
{
    const struct port_options o = {
        .name = "metrics",
        .key = "listen.metrics",
        .address = c->listen_metrics,
        .suggest = "127.0.0.1:9464", /* 9090 is Prometheus' own port as well */
        .passed_fd = passed_take(passed, "metrics"),
        .http = {.title = "mcptally: metrics",
                 .own_port = 0,
                 .connections = (unsigned)c->metrics_connections,
                 .routes = metrics_page_routes,
                 .nroutes = metrics_page_nroutes,
                 .guard = guard,
                 .arg = p->pages},
    };
    return port_new(&p->env, &o);
}

static struct port *start_health(struct ports *p, const struct config *c, struct passed *passed,
                                 const struct http_guard *guard)
{
    const struct port_options o = {
        .name = "health",
        .key = "listen.health",
        .address = c->listen_health,
        .suggest = "127.0.0.1:9465",
        .passed_fd = passed_take(passed, "health"),
        .http = {.title = "mcptally: health",
                 .own_port = 1,
                 .connections = (unsigned)c->health_connections,
                 .routes = health_page_routes,
                 .nroutes = health_page_nroutes,
                 .guard = guard,
                 .patience_ns = HEALTH_PATIENCE,
                 .arg = &p->health_page},
    };
    return port_new(&p->env, &o);
}

/* The numbers, which config_finish() has checked, into an array of their own; false, and
 * those of before stay, when memory is out. */
static bool admins_of(struct ports *p, const struct config *c, struct admins *out)
{
    const struct config_list *lists[] = {&c->control_admin_uids, &c->control_admin_gids};
    uint32_t *ids = calloc(lists[0]->n + lists[1]->n + 1, sizeof *ids), *to = ids;
    if (!ids)
        return false;
    for (int l = 0; l < 2; l++)
        for (size_t i = 0; i < lists[l]->n; i++) {
            uint64_t id = ADMIN_NO_GROUP;
            (void)value_count(lists[l]->items[i], &id);
            *to++ = (uint32_t)id;
        }
    *out = (struct admins){.uids = ids,
                           .nuids = (unsigned)lists[0]->n,
                           .gids = ids + lists[0]->n,
                           .ngids = (unsigned)lists[1]->n};
    free(p->admins);
    p->admins = ids;
    return true;
}

static int start_control(struct ports *p, const struct config *c, struct passed *passed,
                         const struct ports_about *about)
{
    p->control_place = (struct socket_place){
        .section = "control",
        .path = c->control_path,
        .dir = about->runtime_dir,
        .mode = (unsigned)c->control_mode,
        .group = c->control_group,
        .passed = passed_take(passed, "control"),
    };
    const int fd = sockets_listen(&p->control_place);
    if (fd < 0)
        return fd;
    struct control_options o = {
        .listen_fd = fd,
        .pages = p->pages,
        .health = &p->health_page,
        .describe = about->describe,
        .arg = about->arg,
        .commands = daemon_commands,
        .ncommands = daemon_ncommands,
    };
    if (!admins_of(p, c, &o.admins)) {
        close(fd);
        return -ERR_NOMEM;
    }
    p->control = control_new(&p->env, &o);
    return p->control ? 0 : -ERR_NOMEM;
}

int ports_start(struct ports *p, const struct serve_env *env, const struct config *c,
                struct passed *passed, const struct ports_about *about)
{
    const struct pages_options o = pages_options_of(c);
    *p = (struct ports){.env = *env};
    health_page_init(&p->health_page, about->verdict, env->pl->st, MCPTALLY_BUILD_VERSION,
                     about->started);
    p->health_page.more = about->more;
    p->health_page.system = about->system;
    p->pages = pages_new(env, &o);
    if (!p->pages)
        return -ERR_NOMEM;
    const int r = start_control(p, c, passed, about);
    if (r < 0)
        return r;
    p->metrics = start_metrics(p, c, passed, about->metrics_guard);
    p->health = p->metrics ? start_health(p, c, passed, about->health_guard) : NULL;
    return p->health ? 0 : -ERR_NOMEM;
}

void ports_configure(struct ports *p, const struct config *c)
{
    const struct pages_options o = pages_options_of(c);
    struct admins admins;
    pages_set_options(p->pages, &o);
    if (admins_of(p, c, &admins))
        control_set_admins(p->control, &admins);
    else
        log_error("control", "memory is out: control.admin_* stay as they were");
}

static void tick_port(struct ports *p, const struct port *port, unsigned own_port)
{
    const struct http_server *s = port_server(port);
    own_set(&p->env.pl->own, OWN_HTTP_CONNECTIONS, own_port, s ? http_server_connections(s) : 0);
}

void ports_tick(struct ports *p)
{
    tick_port(p, p->metrics, 0);
    tick_port(p, p->health, 1);
    store_commit(p->env.pl->st);
}

void ports_stop(struct ports *p)
{
    /* Who waits for a page is answered before those that hold pages go. */
    if (p->pages)
        pages_stop(p->pages);
    port_free(p->health);
    port_free(p->metrics);
    if (p->control) {
        sockets_remove(&p->control_place);
        control_free(p->control);
    }
    free(p->admins);
    if (p->pages)
        pages_free(p->pages);
    health_page_fini(&p->health_page);
}
