#include "serve/port.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "serve/listen.h"

enum { RETRY_SECONDS = 5, PORT_MAGIC = 0x706f7274 };

struct port {
    unsigned magic;
    struct serve_env env;
    struct port_options o;
    void *server; /* NULL: not listening */
    struct event *retry;
    char address[LISTEN_NAME_MAX];
    char error[256]; /* empty: none */
};

static bool is_off(const struct port *p)
{
    return strcmp(p->o.address, "off") == 0;
}

static void describe_failure(struct port *p, int r)
{
    char before[sizeof p->error];
    memcpy(before, p->error, sizeof before);
    if (r == -ERR_SYNTAX)
        snprintf(p->error, sizeof p->error, "%s: %s is no address", p->o.key, p->o.address);
    else if (errno == EADDRINUSE)
        snprintf(p->error, sizeof p->error, "%s is taken by another process; set %s, to %s maybe",
                 p->o.address, p->o.key, p->o.suggest);
    else if (errno == EAFNOSUPPORT)
        snprintf(p->error, sizeof p->error,
                 "the unit lets no network socket be opened for %s: systemctl daemon-reload, "
                 "then restart",
                 p->o.address);
    else
        snprintf(p->error, sizeof p->error, "cannot listen on %s: %s", p->o.address,
                 strerror(errno));
    if (strcmp(before, p->error) != 0)
        log_warn(p->o.name, "%s; trying again every %d s", p->error, RETRY_SECONDS);
}

static void *make_server(struct port *p, int fd)
{
    return p->o.kind ? p->o.kind->serve(p->o.arg, fd) : http_server_new(&p->env, &p->o.http, fd);
}

static void serve_on(struct port *p, int fd)
{
    listen_name(fd, p->address, sizeof p->address);
    p->server = make_server(p, fd);
    if (p->server) {
        if (p->error[0])
            log_info(p->o.name, "listening on %s at last", p->address);
        p->error[0] = '\0';
        return;
    }
    p->address[0] = '\0';
    errno = ENOMEM;
    describe_failure(p, -ERR_IO);
}

static void try_listen(struct port *p)
{
    const int fd = listen_tcp(p->o.address);
    if (fd < 0)
        describe_failure(p, fd);
    else
        serve_on(p, fd);
    if (p->server)
        return;
    const struct timeval tv = {.tv_sec = RETRY_SECONDS};
    event_add(p->retry, &tv);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    struct port *p = arg;
    (void)fd;
    (void)what;
    assert(p->magic == PORT_MAGIC);
    const uint64_t began = clock_now().mono;
    try_listen(p);
    serve_spent(&p->env, began);
}

/* A socket unit of a distribution passes the usual address; what the configuration says
 * counts. */
static int take_passed(const struct port *p, int fd)
{
    char address[LISTEN_NAME_MAX];
    if (fd < 0 || (!is_off(p) && listen_is(fd, p->o.address)))
        return fd;
    listen_name(fd, address, sizeof address);
    log_warn(p->o.name, "%s is %s: the socket unit for %s is not used and can be disabled",
             p->o.key, p->o.address, address);
    close(fd);
    return -1;
}

struct port *port_new(const struct serve_env *env, const struct port_options *o)
{
    struct port *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->magic = PORT_MAGIC;
    p->env = *env;
    p->o = *o;
    p->retry = event_new(env->base, -1, 0, on_retry, p);
    if (!p->retry) {
        port_free(p);
        return NULL;
    }
    const int passed = take_passed(p, o->passed_fd);
    if (passed >= 0)
        serve_on(p, passed);
    else if (!is_off(p))
        try_listen(p);
    return p;
}

void port_free(struct port *p)
{
    if (!p)
        return;
    if (p->retry)
        event_free(p->retry);
    if (p->o.kind)
        p->o.kind->free(p->server);
    else
        http_server_free(p->server);
    p->magic = 0;
    free(p);
}

void *port_server(const struct port *p)
{
    return p->server;
}

void port_give_up(struct port *p)
{
    event_del(p->retry);
}

const char *port_address(const struct port *p)
{
    return p->address;
}

const char *port_error(const struct port *p)
{
    return p->error[0] ? p->error : NULL;
}
