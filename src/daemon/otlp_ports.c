#include "daemon/otlp_ports.h"

#include "daemon/options.h"
#include "intake/grpc_server.h"
#include "store/commit.h"

static void *serve_grpc(void *arg, int listen_fd)
{
    struct otlp_ports *p = arg;
    return grpc_server_new(&p->in, p->connections, listen_fd);
}

static void free_grpc(void *server)
{
    grpc_server_free(server);
}

static const struct port_kind grpc_kind = {serve_grpc, free_grpc};

static struct port *start_grpc(struct otlp_ports *p, const struct serve_env *env,
                               const struct config *c, struct passed *passed)
{
    const struct port_options o = {
        .name = "otlp_grpc",
        .key = "listen.otlp_grpc",
        .address = c->listen_otlp_grpc,
        .suggest = "127.0.0.1:14317", /* a collector on this machine has 4317 and 4318 */
        .passed_fd = passed_take(passed, "otlp_grpc"),
        .kind = &grpc_kind,
        .arg = p,
    };
    return port_new(env, &o);
}

static void on_full(void *arg)
{
    struct otlp_http *routes = arg;
    otlp_refused(routes->in, OWN_LIMIT_CONNECTIONS);
}

static struct port *start_http(struct otlp_ports *p, const struct serve_env *env,
                               const struct config *c, struct passed *passed,
                               const struct http_guard *guard)
{
    const struct port_options o = {
        .name = "otlp_http",
        .key = "listen.otlp_http",
        .address = c->listen_otlp_http,
        .suggest = "127.0.0.1:14318",
        .passed_fd = passed_take(passed, "otlp_http"),
        .http = {.title = "mcptally: OTLP",
                 .own_port = 2,
                 .connections = p->connections,
                 .routes = otlp_http_routes,
                 .nroutes = otlp_http_nroutes,
                 .guard = guard,
                 .body_ns = c->otlp_receive_timeout,
                 .idle_ns = c->otlp_idle_timeout,
                 .full = on_full,
                 .arg = &p->routes},
    };
    return port_new(env, &o);
}

static void refresh(void *arg)
{
    struct otlp_ports *p = arg;
    const struct http_server *http = port_server(p->http);
    own_set(&p->in.pl->own, OWN_OTLP_CONNECTIONS, OTLP_HTTP,
            http ? http_server_connections(http) : 0);
    own_set(&p->in.pl->own, OWN_HTTP_CONNECTIONS, 2, http ? http_server_connections(http) : 0);
    own_set(&p->in.pl->own, OWN_OTLP_BUFFER, 0, p->in.budget.used);
}

int otlp_ports_start(struct otlp_ports *p, const struct serve_env *env, const struct config *c,
                     struct passed *passed, const struct http_guard *guard)
{
    struct otlp_intake_options o;
    options_otlp(c, &o);
    *p = (struct otlp_ports){.connections = (unsigned)c->otlp_connections};
    otlp_http_init(&p->routes, &p->in);
    if (otlp_intake_init(&p->in, env->base, env->pl, &o) < 0)
        return -ERR_NOMEM;
    env->pl->refresh = refresh;
    env->pl->refresh_arg = p;
    p->in.guard = guard;
    p->grpc = start_grpc(p, env, c, passed);
    p->http = p->grpc ? start_http(p, env, c, passed, guard) : NULL;
    return p->http ? 0 : -ERR_NOMEM;
}

void otlp_ports_configure(struct otlp_ports *p, const struct config *c)
{
    struct otlp_intake_options o;
    options_otlp(c, &o);
    otlp_intake_configure(&p->in, &o);
}

void otlp_ports_tick(struct otlp_ports *p)
{
    refresh(p);
    otlp_intake_trim(&p->in, clock_now().mono);
    store_commit(p->in.pl->st);
}

static void on_drained(void *arg)
{
    struct otlp_ports *p = arg;
    if (--p->undrained == 0)
        p->drained(p->drained_arg);
}

void otlp_ports_drain(struct otlp_ports *p, otlp_hook *done, void *arg)
{
    struct grpc_server *grpc = port_server(p->grpc);
    struct http_server *http = port_server(p->http);
    port_give_up(p->grpc);
    port_give_up(p->http);
    p->in.draining = true;
    p->drained = done;
    p->drained_arg = arg;
    p->undrained = 1u + (grpc ? 1 : 0) + (http ? 1 : 0);
    if (grpc)
        grpc_server_drain(grpc, on_drained, p);
    if (http)
        http_server_drain(http, on_drained, p);
    on_drained(p);
}

void otlp_ports_stop(struct otlp_ports *p)
{
    if (p->in.pl && p->in.pl->refresh_arg == p)
        p->in.pl->refresh = NULL;
    otlp_http_stop(&p->routes); /* before the server, for which nothing may wait */
    port_free(p->http);
    port_free(p->grpc);
    otlp_intake_fini(&p->in);
    otlp_http_fini(&p->routes);
}
