#include "daemon/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/audit.h"
#include "base/log.h"
#include "daemon/config_web.h"
#include "gate/gate_context.h"
#include "serve/listen.h"
#include "store/commit.h"

/* ---- the file ---- */

/* A relative path begins in the directory of the configuration file that it stands in. */
static void find_path(char to[WEB_PATH], const struct config *c, const char *used)
{
    const char *path = c->web_config_file;
    const char *file = c->set_at[KEY_web_config_file].file;
    const char *slash = used && file && strcmp(file, used) == 0 ? strrchr(used, '/') : NULL;
    if (*path && *path != '/' && slash)
        snprintf(to, WEB_PATH, "%.*s%s", (int)(slash + 1 - used), used, path);
    else
        snprintf(to, WEB_PATH, "%s", path);
}

static struct web_config *config_new(void)
{
    struct web_config *w = malloc(sizeof *w);
    if (w && web_config_init(w))
        return w;
    if (w)
        web_config_fini(w);
    free(w);
    return NULL;
}

static void config_free(struct web_config *w)
{
    if (!w)
        return;
    web_config_fini(w);
    free(w);
}

/* What the file says, or the defaults when there is none. NULL after faults. */
static struct web_config *read_now(const char *path, struct faults *f)
{
    struct web_config *w = config_new();
    if (!w)
        fault_memory(f, (struct place){.file = path}, NULL);
    if (w && (!*path || config_web_read(w, path, f)))
        return w;
    config_free(w);
    return NULL;
}

bool web_check(const struct config *c, const char *used, struct faults *f)
{
    char path[WEB_PATH], why[GATE_WHY];
    find_path(path, c, used);
    struct web_config *w = read_now(path, f);
    if (!w)
        return false;
    bool good = true;
    if (w->tls.on) {
        struct gate_context *context = gate_context_new(&w->tls, why);
        w->tls = (struct web_tls){0}; /* taken */
        good = context != NULL;
        gate_context_drop(context);
    }
    if (!good)
        fault_add(f, (struct place){.file = path}, "tls_server_config", "%s", why);
    config_free(w);
    return good;
}

/* ---- what is left open ---- */

static void warn_port(struct buf *to, const char *key, const char *address, bool tls, bool asks)
{
    if (listen_is_local(address) || (tls && asks))
        return;
    buf_addf(to, "%s: %s can be reached by others %s; set web.config_file or listen on 127.0.0.1\n",
             key, address,
             tls    ? "and does not ask who they are"
             : asks ? "and passwords are sent to it in plain text"
                    : "with neither TLS nor a password");
}

void web_warn(const struct config *c, const char *used, struct buf *to)
{
    struct faults f;
    char path[WEB_PATH];
    faults_init(&f);
    find_path(path, c, used);
    struct web_config *w = read_now(path, &f);
    faults_fini(&f);
    if (!w)
        return;
    const enum web_client_auth auth = w->tls.client_auth;
    const bool tls = w->tls.on, verified = tls && auth == WEB_CLIENT_REQUIRE_VERIFY,
               asks = web_config_asks(w);
    warn_port(to, "listen.metrics", c->listen_metrics, tls, asks || verified);
    warn_port(to, "listen.health", c->listen_health, tls && c->web_health_tls,
              (asks && c->web_health_authentication) || (verified && c->web_health_tls));
    warn_port(to, "listen.otlp_grpc", c->listen_otlp_grpc, tls && c->otlp_web,
              c->otlp_web && (asks || verified));
    warn_port(to, "listen.otlp_http", c->listen_otlp_http, tls && c->otlp_web,
              c->otlp_web && (asks || verified));
    config_free(w);
}

/* ---- in force ---- */

static void set_guards(struct web *w)
{
    struct gate *gate = w->config->tls.on ? w->gate : NULL;
    const bool asks = web_config_asks(w->config);
    w->metrics = (struct http_guard){.gate = gate,
                                     .access = w->access,
                                     .authenticate = asks,
                                     .limited = true,
                                     .throttle = w->throttle};
    w->health = (struct http_guard){.gate = w->health_tls ? gate : NULL,
                                    .access = w->access,
                                    .authenticate = asks && w->health_authentication};
    w->otlp_guard = (struct http_guard){
        .gate = w->otlp ? gate : NULL, .access = w->access, .authenticate = asks && w->otlp};
}

/* Takes it. */
static void use(struct web *w, struct web_config *config)
{
    struct web_config *old = w->config;
    w->config = config;
    access_configure(w->access, config);
    set_guards(w);
    config_free(old);
}

static void count_read(struct web *w, bool good)
{
    own_add(&w->pl->own, OWN_WEB_READ, good ? 0 : 1, 1);
    store_commit(w->pl->st);
    if (!*w->path)
        return; /* there is none, and nothing has changed */
    const struct audit_act act = {
        .what = "web.reload", .object = w->path, .outcome = good ? "done" : w->error};
    audit_note(&act);
}

/* One log line for each thing that is wrong; the first is for the health page. */
static void refuse(struct web *w, const char *why)
{
    snprintf(w->error, sizeof w->error, "%.*s", (int)strcspn(why, "\n"), why);
    while (*why) {
        const size_t n = strcspn(why, "\n");
        log_error("web", "%.*s", (int)n, why);
        why += n + (why[n] == '\n');
    }
    log_error("web", "the web configuration stays as it was");
    count_read(w, false);
}

static void take(struct web *w)
{
    struct web_config *config = w->trying;
    w->trying = NULL;
    w->error[0] = '\0';
    use(w, config);
    log_info("web", "%s", *w->path ? "the web configuration was read again" : "no configuration");
    count_read(w, true);
}

/* ---- reading again ---- */

static void on_configured(void *arg, uint64_t number, const char *error)
{
    struct web *w = arg;
    const bool newest = number == w->number;
    if (error)
        refuse(w, error); /* or a new gate cannot use what is in force */
    else if (newest && w->trying)
        take(w);
    if (!newest)
        return;
    config_free(w->trying);
    w->trying = NULL;
}

/* Takes it; the gate has a say when there is one. */
static void try(struct web *w, struct web_config *config)
{
    config_free(w->trying);
    w->trying = config;
    if (!w->gate)
        take(w);
    else if (!gate_configure(w->gate, ++w->number, &config->tls, w->path))
        refuse(w, err_help(ERR_RANGE));
}

static void parse(struct web *w, struct str bytes)
{
    struct faults f;
    faults_init(&f);
    struct web_config *config = config_new();
    if (!config)
        refuse(w, err_help(ERR_NOMEM));
    else if (config_web_parse(config, w->path, bytes.p, bytes.n, &f))
        try(w, config);
    else
        refuse(w, faults_text(&f));
    if (f.count)
        config_free(config);
    faults_fini(&f);
}

static void read_again(struct web *w);

static void on_file(void *arg, int error, struct str bytes)
{
    struct web *w = arg;
    char why[WEB_PATH + 64];
    w->reading = NULL;
    if (!error && bytes.n > WEB_BYTES)
        error = -ERR_RANGE;
    snprintf(why, sizeof why, "%s: %s", w->path, err_help(error));
    if (error)
        refuse(w, why);
    else
        parse(w, bytes);
    if (w->again)
        read_again(w);
}

static void read_again(struct web *w)
{
    w->again = w->reading != NULL;
    if (w->again)
        return;
    w->reading = helper_read_file(w->helper, w->path, on_file, w);
    if (!w->reading)
        refuse(w, err_help(ERR_NOMEM));
}

/* ---- the gate ---- */

static bool verify(void *arg, uint64_t question, const char *hash, struct str password)
{
    struct web *w = arg;
    if (!w->gate || !gate_verify(w->gate, question, hash, password))
        return false;
    own_add(&w->pl->own, OWN_PASSWORD_CHECKS, 0, 1);
    store_commit(w->pl->st);
    return true;
}

static int fork_gate(void *arg, int fd)
{
    const struct web *w = arg;
    return helper_fork_gate(w->helper, fd);
}

static void on_verified(void *arg, uint64_t question, bool right)
{
    struct web *w = arg;
    access_verified(w->access, question, right);
}

static void on_lost(void *arg)
{
    struct web *w = arg;
    access_lost(w->access);
}

static void on_changed(void *arg)
{
    struct web *w = arg;
    if (*w->path)
        read_again(w);
}

static void on_failed(void *arg, uint64_t handshakes)
{
    struct web *w = arg;
    own_add(&w->pl->own, OWN_TLS_FAILED, 0, handshakes);
    store_commit(w->pl->st);
}

static bool need_gate(struct web *w)
{
    const struct gate_hooks hooks = {
        fork_gate, on_configured, on_verified, on_lost, on_changed, on_failed, w};
    if (!w->gate && *w->path)
        w->gate = gate_new(w->base, &hooks);
    return w->gate || !*w->path;
}

/* ---- life ---- */

static void set_keys(struct web *w, const struct config *c, const char *used)
{
    find_path(w->path, c, used);
    w->health_authentication = c->web_health_authentication;
    w->health_tls = c->web_health_tls;
    w->otlp = c->otlp_web;
}

static void log_warnings(const struct config *c, const char *used)
{
    struct buf lines;
    buf_init(&lines, 4096);
    web_warn(c, used, &lines);
    for (const char *p = lines.p, *end = lines.p + lines.n; p < end;) {
        const size_t n = strcspn(p, "\n");
        log_warn("web", "%.*s", (int)n, p);
        p += n + 1;
    }
    buf_fini(&lines);
}

int web_start(struct web *w, struct event_base *base, struct pipeline *pl, struct helper *helper,
              const struct config *c, const char *used)
{
    struct faults f;
    *w = (struct web){.base = base, .pl = pl, .helper = helper};
    set_keys(w, c, used);
    w->access = access_new(verify, w);
    w->throttle = throttle_new((unsigned)c->metrics_requests_per_minute);
    if (!w->access || !w->throttle || !need_gate(w))
        return -ERR_NOMEM;
    faults_init(&f);
    struct web_config *config = read_now(w->path, &f);
    if (!config)
        log_error("web", "%.*s", (int)strcspn(faults_text(&f), "\n"), faults_text(&f));
    faults_fini(&f);
    if (!config)
        return -ERR_SYNTAX;
    use(w, config);
    log_warnings(c, used);
    /* It was found good a moment ago, and the gate has it before any connection. */
    if (w->gate && !gate_configure(w->gate, ++w->number, &config->tls, w->path))
        return -ERR_SYNTAX;
    return 0;
}

void web_configure(struct web *w, const struct config *c, const char *used)
{
    set_keys(w, c, used);
    throttle_set_limit(w->throttle, (unsigned)c->metrics_requests_per_minute);
    set_guards(w);
    struct web_config *none = *w->path ? NULL : config_new();
    if (none)
        try(w, none);
    else if (!*w->path || !need_gate(w))
        refuse(w, err_help(ERR_NOMEM));
    else
        read_again(w);
}

void web_settle(struct web *w)
{
    if (w->access)
        access_lost(w->access);
}

void web_stop(struct web *w)
{
    helper_forget(w->reading);
    gate_free(w->gate);
    access_free(w->access);
    throttle_free(w->throttle);
    config_free(w->trying);
    config_free(w->config);
    *w = (struct web){0};
}
