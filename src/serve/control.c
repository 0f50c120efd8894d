#include "serve/control.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "format/json.h"
#include "format/sampling_doc.h"
#include "serve/foreign.h"
#include "serve/yard.h"
#include "store/commit.h"

enum {
    REQUEST_MAX = 4096,
    ANSWER_MAX = 4 << 20, /* of one document; a page has its own budget */
    CONNECTIONS = 32,
    ACCEPTS = 4,       /* in one turn: each may have descriptors with it, see foreign.h */
    SEND_STEP = 65536, /* bytes of one send */
    REFUSALS = 30,     /* that are audited a minute: a peer could fill the disk with them */
    CONTROL_MAGIC = 0x6374726c
};

#define REQUEST_NS (2 * NS_PER_S)
#define ANSWER_NS  (30 * NS_PER_S)
#define REST_NS    (100 * NS_PER_MS) /* of the listener when descriptors are out */
#define REFUSAL_NS (60 * NS_PER_S)

enum client_state {
    CLIENT_READING, /* the request is not whole */
    CLIENT_WAITING, /* a page is being made for it; it cannot be freed */
    CLIENT_WRITING, /* the answer is whole */
};

struct client {
    struct page_wait wait; /* first: the page's maker hands it back */
    TAILQ_ENTRY(client) link;
    struct control *owner;
    enum client_state state;
    int fd;
    struct event *event;
    uint64_t deadline; /* mono ns, of reading or writing */
    size_t have;       /* bytes of the request */
    char request[REQUEST_MAX];
    struct buf answer; /* is sent first */
    struct page *page; /* and then, or NULL */
    size_t sent;       /* of both together */
};

struct control {
    unsigned magic;
    struct serve_env env;
    struct control_options o;
    struct event *ready; /* the listener */
    struct event *rest;
    unsigned n;
    TAILQ_HEAD(, client) clients;
    struct yard yard;
    uint32_t group;           /* of the socket's file */
    uint64_t refused_since;   /* mono ns; the minute that is counted */
    uint64_t refused, silent; /* in it, and since the last that was audited */
};

/* ---- a client ---- */

static void client_free(struct client *k)
{
    assert(k->state != CLIENT_WAITING);
    TAILQ_REMOVE(&k->owner->clients, k, link);
    k->owner->n--;
    if (k->event)
        event_free(k->event);
    yard_close(&k->owner->yard, k->fd, YARD_NOBODY);
    page_drop(k->page);
    buf_fini(&k->answer);
    free(k);
}

static void on_client(evutil_socket_t fd, short what, void *arg);

/* Waits for the socket until the deadline of the state. */
static void client_arm(struct client *k)
{
    const short what = k->state == CLIENT_READING ? EV_READ : EV_WRITE;
    const uint64_t now = clock_now().mono;
    const struct timeval tv = timeval_of(k->deadline > now ? k->deadline - now : 0);
    event_assign(k->event, k->owner->env.base, k->fd, what, on_client, k);
    if (event_add(k->event, &tv) < 0)
        client_free(k);
}

static void client_set_state(struct client *k, enum client_state to)
{
    assert(to > k->state);
    k->state = to;
    if (to == CLIENT_WRITING)
        k->deadline = clock_now().mono + ANSWER_NS;
}

/* ---- answers ---- */

/* What has not been sent yet, in one or two pieces; 0 when all is. */
static int unsent(const struct client *k, struct iovec out[2])
{
    const struct str parts[] = {buf_str(&k->answer), k->page ? page_text(k->page) : STR("")};
    size_t skip = k->sent;
    int n = 0;
    for (int i = 0; i < 2; i++) {
        const size_t cut = skip < parts[i].n ? skip : parts[i].n;
        skip -= cut;
        if (parts[i].n > cut)
            out[n++] = (struct iovec){(void *)(uintptr_t)(parts[i].p + cut), parts[i].n - cut};
    }
    return n;
}

static void client_write(struct client *k)
{
    struct iovec v[2];
    if (unsent(k, v) > 0) {
        const size_t step = v[0].iov_len < SEND_STEP ? v[0].iov_len : SEND_STEP;
        const ssize_t n = send(k->fd, v[0].iov_base, step, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            client_free(k);
            return;
        }
        k->sent += n > 0 ? (size_t)n : 0;
    }
    if (unsent(k, v) == 0)
        client_free(k);
    else
        client_arm(k);
}

static void client_answer(struct client *k)
{
    client_set_state(k, CLIENT_WRITING);
    if (k->answer.failed) {
        buf_reset(&k->answer);
        buf_adds(&k->answer, "{\"error\":\"the answer is too large\"}");
    }
    client_write(k);
}

static void client_fail(struct client *k, const char *why)
{
    struct json_writer j = json_begin(&k->answer);
    json_put_object(&j, NULL);
    json_put_text(&j, "error", why);
    json_end_object(&j);
    buf_addc(&k->answer, '\n');
    client_answer(k);
}

static void on_page(struct page_wait *w, struct page *page)
{
    struct client *k = (struct client *)w;
    if (!page) {
        client_fail(k, "no memory for a page now");
        return;
    }
    k->page = page;
    struct json_writer j = json_begin(&k->answer);
    json_put_object(&j, NULL);
    json_put_text(&j, "type", prom_content_type(page_format(page)));
    json_put_u64(&j, "length", page_text(page).n);
    json_end_object(&j);
    buf_addc(&k->answer, '\n');
    client_answer(k);
}

/* ---- commands ---- */

static const char *command_status(struct command_call *call)
{
    const struct control *c = call->arg;
    struct status_info info = {.running = true};
    c->o.describe(c->o.arg, &info);
    pipeline_refresh(c->env.pl);
    status_document(call->answer, c->env.pl->st, &info, clock_now());
    return NULL;
}

static const char *command_health(struct command_call *call)
{
    const struct control *c = call->arg;
    health_page_detailed(c->o.health, call->answer);
    return NULL;
}

static const char *command_sampling(struct command_call *call)
{
    const struct control *c = call->arg;
    if (!c->env.pl->sampling)
        return "there is no sampling";
    struct json_writer j = json_begin(call->answer);
    sampling_doc(&j, NULL, c->env.pl->sampling);
    return NULL;
}

/* Below 0: the configured rate again. */
static const char *change_rate(struct command_call *call, double rate)
{
    const struct control *c = call->arg;
    const char *name = json_string_value(json_object_get(call->request, "tier"));
    const int tier = name ? sample_tier_of(str_of(name)) : -ERR_NOTFOUND;
    if (!c->env.pl->sampling)
        return "there is no sampling";
    if (tier < 0)
        return "tier is critical, normal or debug";
    if (rate < 0)
        snprintf(call->object, sizeof call->object, "%s", name);
    else
        snprintf(call->object, sizeof call->object, "%s %g%%", name, rate * 100);
    if (sampling_set(c->env.pl->sampling, (enum sample_tier)tier, rate) < 0)
        return "rate is a number from 0 to 1";
    return command_sampling(call);
}

static const char *command_sampling_set(struct command_call *call)
{
    const json_t *rate = json_object_get(call->request, "rate");
    if (!json_is_number(rate) || json_number_value(rate) < 0)
        return "rate is a number from 0 to 1";
    return change_rate(call, json_number_value(rate));
}

static const char *command_sampling_reset(struct command_call *call)
{
    return change_rate(call, -1);
}

static const struct command commands[] = {
    {"status", command_status, false},
    {"health", command_health, false},
    {"sampling", command_sampling, false},
    {"sampling.set", command_sampling_set, true},
    {"sampling.reset", command_sampling_reset, true},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

/* A page is made in steps, and is no command of the table. */
static void ask_page(struct client *k, const json_t *request)
{
    const char *format = json_string_value(json_object_get(request, "format"));
    const bool text = !format || strcmp(format, "text") == 0;
    if (!text && strcmp(format, "openmetrics") != 0) {
        client_fail(k, "format is text or openmetrics");
        return;
    }
    client_set_state(k, CLIENT_WAITING);
    k->wait.ready = on_page;
    pages_ask(k->owner->o.pages, text ? PROM_TEXT : PROM_OPENMETRICS, false, &k->wait);
}

static const struct command *find(const struct control *c, const char *name, void **arg)
{
    *arg = (void *)(uintptr_t)c;
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    *arg = c->o.arg;
    for (unsigned i = 0; i < c->o.ncommands; i++)
        if (strcmp(name, c->o.commands[i].name) == 0)
            return &c->o.commands[i];
    return NULL;
}

static void audit(const struct command *command, const struct command_call *call,
                  const char *outcome)
{
    const struct audit_act act = {
        .who = call->who, .what = command->name, .object = call->object, .outcome = outcome};
    audit_note(&act);
}

/* What is refused is audited too, up to a limit; what is beyond it is said by how many. */
static void audit_refusal(struct control *c, const struct command *command,
                          const struct command_call *call)
{
    const uint64_t now = clock_now().mono;
    char outcome[64] = "refused";
    own_add(&c->env.pl->own, OWN_CONTROL_REFUSED, 0, 1);
    store_commit(c->env.pl->st);
    if (c->refused == 0 || now - c->refused_since >= REFUSAL_NS) {
        c->refused_since = now;
        c->refused = 0;
    }
    if (++c->refused > REFUSALS) {
        c->silent++;
        return;
    }
    if (c->silent)
        snprintf(outcome, sizeof outcome, "refused, as were %llu before it",
                 (unsigned long long)c->silent);
    c->silent = 0;
    audit(command, call, outcome);
}

static const char *run(struct client *k, const struct command *command, struct command_call *call)
{
    struct control *c = k->owner;
    const bool known = admin_who(k->fd, &call->who);
    if (!command->privileged)
        return command->run(call);
    if (!known || !admin_may(&c->o.admins, k->fd, &call->who, c->group)) {
        audit_refusal(c, command, call);
        return "you are not allowed to do this; control.admin_uids and control.admin_gids of "
               "the configuration say who is";
    }
    const char *why = command->run(call);
    audit(command, call, why ? why : "done");
    return why;
}

static void client_command(struct client *k, const char *name, const json_t *request)
{
    struct command_call call = {.request = request, .answer = &k->answer};
    const struct command *command = find(k->owner, name, &call.arg);
    const char *why = command ? run(k, command, &call) : "there is no such command";
    if (why) {
        buf_reset(&k->answer);
        client_fail(k, why);
        return;
    }
    buf_addc(&k->answer, '\n');
    client_answer(k);
}

static void client_run(struct client *k)
{
    json_t *request = json_loadb(k->request, k->have, JSON_REJECT_DUPLICATES, NULL);
    const char *cmd = json_string_value(json_object_get(request, "cmd"));
    if (!cmd)
        client_fail(k, "a request is an object with cmd");
    else if (strcmp(cmd, "metrics") == 0)
        ask_page(k, request);
    else
        client_command(k, cmd, request);
    json_decref(request);
}

static void client_read(struct client *k)
{
    unsigned strange;
    const ssize_t n =
        foreign_receive_bytes(k->fd, k->request + k->have, REQUEST_MAX - k->have, &strange);
    if (strange > 0) {
        own_add(&k->owner->env.pl->own, OWN_UNINVITED, 0, 1);
        store_commit(k->owner->env.pl->st);
        client_free(k);
        return;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        client_arm(k);
        return;
    }
    if (n < 0 || (n == 0 && k->have == 0)) {
        client_free(k);
        return;
    }
    k->have += (size_t)n;
    const char *end = memchr(k->request, '\n', k->have);
    if (end)
        k->have = (size_t)(end - k->request);
    if (end || n == 0)
        client_run(k);
    else if (k->have == REQUEST_MAX)
        client_fail(k, "the request is too long");
    else
        client_arm(k);
}

static void on_client(evutil_socket_t fd, short what, void *arg)
{
    struct client *k = arg;
    const struct control *c = k->owner;
    const uint64_t began = clock_now().mono;
    (void)fd;
    assert(c->magic == CONTROL_MAGIC);
    if (what & EV_TIMEOUT || began >= k->deadline)
        client_free(k);
    else if (k->state == CLIENT_READING)
        client_read(k);
    else
        client_write(k);
    serve_spent(&c->env, began);
}

/* ---- the listener ---- */

static void client_new(struct control *c, int fd)
{
    const bool room = c->n + c->yard.n < c->o.connections;
    struct client *k = room ? calloc(1, sizeof *k) : NULL;
    struct event *e = k ? event_new(c->env.base, fd, EV_READ, on_client, k) : NULL;
    if (!e) {
        free(k);
        yard_close(&c->yard, fd, YARD_NOBODY);
        return;
    }
    k->owner = c;
    k->fd = fd;
    k->event = e;
    k->deadline = clock_now().mono + c->o.deadline;
    buf_init(&k->answer, ANSWER_MAX);
    TAILQ_INSERT_TAIL(&c->clients, k, link);
    c->n++;
    client_arm(k);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct control *c = arg;
    (void)what;
    assert(c->magic == CONTROL_MAGIC);
    const uint64_t began = clock_now().mono;
    int k = 0;
    for (int i = 0; i < ACCEPTS && c->yard.n < YARD_FULL && k >= 0; i++) {
        k = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (k >= 0)
            client_new(c, k);
    }
    if (k < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        const struct timeval tv = timeval_of(REST_NS);
        event_del(c->ready);
        event_add(c->rest, &tv);
    }
    serve_spent(&c->env, began);
}

static void on_rest(evutil_socket_t fd, short what, void *arg)
{
    struct control *c = arg;
    (void)fd;
    (void)what;
    assert(c->magic == CONTROL_MAGIC);
    event_add(c->ready, NULL);
}

struct control *control_new(const struct serve_env *env, const struct control_options *o)
{
    struct control *c = calloc(1, sizeof *c);
    if (!c) {
        close(o->listen_fd);
        return NULL;
    }
    c->magic = CONTROL_MAGIC;
    c->env = *env;
    c->o = *o;
    if (c->o.connections == 0)
        c->o.connections = CONNECTIONS;
    if (c->o.deadline == 0)
        c->o.deadline = REQUEST_NS;
    c->group = admin_group_of(o->listen_fd);
    TAILQ_INIT(&c->clients);
    foreign_forbid(o->listen_fd);
    const bool yard = yard_init(&c->yard, env, NULL, NULL) == 0;
    c->ready = event_new(env->base, o->listen_fd, EV_READ | EV_PERSIST, on_ready, c);
    c->rest = event_new(env->base, -1, 0, on_rest, c);
    if (yard && c->ready && c->rest && event_add(c->ready, NULL) == 0)
        return c;
    control_free(c);
    return NULL;
}

void control_set_admins(struct control *c, const struct admins *admins)
{
    c->o.admins = *admins;
}

void control_free(struct control *c)
{
    if (!c)
        return;
    while (!TAILQ_EMPTY(&c->clients))
        client_free(TAILQ_FIRST(&c->clients));
    if (c->ready)
        event_free(c->ready);
    if (c->rest)
        event_free(c->rest);
    yard_fini(&c->yard);
    close(c->o.listen_fd);
    c->magic = 0;
    free(c);
}
