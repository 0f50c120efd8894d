#include "intake/intake.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "intake/conn.h"
#include "serve/foreign.h"
#include "store/commit.h"
#include "wire/encode.h"

enum {
    OUT_MAX = 1 << 20,
    REST_MS = 100,
    PAUSED_STEP = 64, /* connections of users over their rates looked at in one turn */
    SHUT_STEP = 64,   /* connections looked at in one turn */
};
#define PAUSED_NS (10 * NS_PER_MS)
#define LATER_NS  (200 * NS_PER_MS) /* longest sleep of those that are over their budget */

static void note_spent(void *arg, uint64_t ns)
{
    struct intake *in = arg;
    own_observe(&in->pl->own, OWN_CALLBACK, (double)ns / (double)NS_PER_S);
    store_commit(in->pl->st);
}

static void spent(struct intake *in, struct when began)
{
    note_spent(in, clock_now().mono - began.mono);
}

/* ---- turns ---- */

/* By a timer of no time, not by event_active(): that would run again before the
 * loop looks at its descriptors. */
void intake_wake(struct intake *in)
{
    static const struct timeval at_once = {0, 0};
    if (in->turning || (!in->nready && !in->nwaiting && !in->drained && !in->shutting))
        return;
    in->turning = event_add(in->turn, &at_once) == 0;
}

static struct conn *with_turn(struct intake *in)
{
    const unsigned queues = in->pl->options.domains + 1;
    for (unsigned i = 0; i < queues; i++) {
        const unsigned q = (in->next + i) % queues;
        if (TAILQ_EMPTY(&in->ready[q]) || !domain_has_turn(in->pl, q))
            continue;
        in->next = (q + 1) % queues;
        return TAILQ_FIRST(&in->ready[q]);
    }
    return NULL;
}

/* Debts are bounded, so that somebody has a turn after a few rounds. */
static struct conn *next_ready(struct intake *in)
{
    struct conn *c = NULL;
    while (in->nready && !(c = with_turn(in)))
        domain_next_round(in->pl);
    return c;
}

/* One waiting connection of each domain that has room again gets in line. */
static void admit_waiting(struct intake *in)
{
    for (unsigned q = 0; in->nwaiting && q < INTAKE_QUEUES; q++) {
        struct conn *c = TAILQ_FIRST(&in->waiting[q]);
        if (c && partial_room(&in->partial, q))
            conn_queue(c);
    }
}

/* Likewise of each that is within its budgets again, or is now read to be dropped. */
static void admit_deferred(struct intake *in, struct when now)
{
    for (unsigned q = 0; in->ndeferred && q < in->pl->options.domains; q++) {
        struct conn *c = TAILQ_FIRST(&in->deferred[q]);
        if (c && (in->drained || domain_shuts(in->pl->st, q) ||
                  domain_pace(in->pl, q, now) != DOMAIN_LATER))
            conn_queue(c);
    }
}

/* And of those whose user is, a few; the others go to the end. Rates are of users and not of
 * lines, so there is no first one to look at. */
static void admit_paused(struct intake *in, struct when now)
{
    struct conn *c, *next = TAILQ_FIRST(&in->paused);
    for (unsigned i = 0; (c = next) && i < PAUSED_STEP; i++) {
        next = TAILQ_NEXT(c, line);
        if (in->drained || users_even(&in->users, c->link.peer.uid, now.mono)) {
            conn_queue(c);
        } else {
            TAILQ_REMOVE(&in->paused, c, line);
            TAILQ_INSERT_TAIL(&in->paused, c, line);
        }
    }
}

/* The timer of those that are still over: at the first that will not be. */
static void wait_for_budgets(struct intake *in, struct when now)
{
    uint64_t ns = in->npaused ? PAUSED_NS : LATER_NS;
    if (in->ndeferred == 0 && in->npaused == 0)
        return;
    for (unsigned q = 0; q < in->pl->options.domains; q++) {
        const uint64_t even = domain_even(in->pl, q);
        if (!TAILQ_EMPTY(&in->deferred[q]) && even < now.mono + ns)
            ns = even > now.mono + NS_PER_MS ? even - now.mono : NS_PER_MS;
    }
    const struct timeval t = {0, (suseconds_t)(ns / NS_PER_US)};
    event_add(in->later, &t);
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
    struct intake *in = arg;
    const struct when now = clock_now();
    (void)fd;
    (void)what;
    admit_deferred(in, now);
    admit_paused(in, now);
    if (!in->nready)
        wait_for_budgets(in, now);
    spent(in, now);
}

/* Connections of a domain that takes nobody in now: those that wait for nothing are not
 * met in the line, so all are gone through, some a turn. Who is drained is read to the
 * end first. */
static void shut_some(struct intake *in, struct when now)
{
    struct conn *c = in->shutting;
    for (int i = 0; c && i < SHUT_STEP; i++) {
        struct conn *next = TAILQ_NEXT(c, all);
        in->shutting = next;
        if (c->link.state == LINK_OPEN && domain_shuts(in->pl->st, c->link.domain))
            conn_shut(c, now);
        else if (c->link.state == LINK_OPEN && c->place == CONN_IDLE &&
                 domain_empties(in->pl->st, c->link.domain))
            conn_queue(c);
        c = next;
    }
}

static void begin_shutting(struct intake *in)
{
    bool any = false;
    for (unsigned d = 0; d < in->pl->options.domains; d++)
        any = any || (in->pl->domain_sessions[d] &&
                      (domain_shuts(in->pl->st, d) || domain_empties(in->pl->st, d)));
    if (any && !in->shutting)
        in->shutting = TAILQ_FIRST(&in->all);
}

/* Who has not said HELLO sends a frame of a few hundred bytes in one write; when
 * such frames pile up unfinished, the oldest gives way. */
static void evict_strangers(struct intake *in, struct when now)
{
    const unsigned q = in->pl->options.domains;
    while (!partial_room(&in->partial, q)) {
        struct partial_hold *h = partial_oldest(&in->partial, q);
        if (!h)
            return;
        conn_too_slow((struct conn *)(void *)((char *)h - offsetof(struct conn, hold)), now);
    }
}

static void finish_drain(struct intake *in)
{
    if (!in->drained || in->nconns || in->nready)
        return;
    intake_drained *done = in->drained;
    in->drained = NULL;
    done(in->drained_arg);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct intake *in = arg;
    const struct when now = clock_now();
    struct conn *c;
    (void)fd;
    (void)what;
    in->turning = false;
    for (size_t cost = 0; cost < INTAKE_TURN_BYTES && (c = next_ready(in));) {
        in->strange = 0;
        cost += conn_read(c, now);
        cost += in->strange * INTAKE_STRANGE_COST;
    }
    evict_strangers(in, now);
    admit_waiting(in);
    admit_deferred(in, now);
    if (in->drained)
        admit_paused(in, now);
    shut_some(in, now);
    if (in->nready || in->shutting)
        intake_wake(in);
    else
        wait_for_budgets(in, now);
    spent(in, now);
    if (in->turned)
        in->turned(in->turned_arg);
    finish_drain(in);
}

/* ---- accepting ---- */

static void count(struct intake *in, enum own_metric m, unsigned index)
{
    own_add(&in->pl->own, m, index, 1);
    store_commit(in->pl->st);
}

static void refuse(struct intake *in, int fd, unsigned why)
{
    const struct reject r = {.reason = (uint16_t)why};
    buf_reset(&in->out);
    encode_reject(&in->out, &r);
    (void)!send(fd, in->out.p, in->out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    yard_close(&in->yard, fd, YARD_NOBODY);
    count(in, OWN_REJECTED, own_reject_index(why));
    count(in, OWN_REFUSED, 0);
}

/* Why a producer may not connect; 0: he may, and has taken his user's place. */
static unsigned judge(struct intake *in, const struct peer *peer, int fd, struct when now)
{
    if (in->options.allow && !in->options.allow(in->options.allow_arg, peer, fd))
        return REJECT_NOT_ALLOWED;
    return users_take(&in->users, peer->uid, in->options.user_connections, now.mono)
               ? 0
               : REJECT_REFUSED;
}

static void welcome(struct intake *in, int fd, struct when now)
{
    struct ucred cred = {0};
    socklen_t size = sizeof cred;
    const bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0;
    const struct peer peer = {.uid = cred.uid, .gid = cred.gid, .pid = (uint32_t)cred.pid};
    const unsigned why = known && in->nconns + in->yard.n < in->options.connections
                             ? judge(in, &peer, fd, now)
                             : REJECT_REFUSED;
    if (why) {
        refuse(in, fd, why);
        return;
    }
    struct conn *c = conn_new(in, fd, &peer, now);
    if (!c) {
        count(in, OWN_REFUSED, 0);
        return;
    }
    count(in, OWN_ACCEPTED, 0);
    conn_queue(c); /* HELLO is usually there already */
}

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Out of descriptors. The one in reserve lets the connection be taken and closed,
 * so that its peer is told; then the listener rests. The kernel also says so when
 * nobody waits, which is no reason for either. */
static void run_dry(struct intake *in)
{
    static const struct timeval rest = {0, REST_MS * 1000};
    close(in->reserve);
    const int fd = accept4(in->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    const bool nobody = fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (fd >= 0)
        refuse(in, fd, REJECT_REFUSED);
    in->reserve = open_reserve();
    if (nobody)
        return;
    event_del(in->listener);
    event_add(in->rest, &rest);
    if (!in->dry)
        log_warn("intake", "no descriptor left for another connection; RLIMIT_NOFILE is too low");
    in->dry = true;
}

/* False when there is nobody left to accept. */
static bool accept_one(struct intake *in, struct when now)
{
    int fd = accept4(in->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        in->dry = false;
        welcome(in, fd, now);
        return true;
    }
    if (errno == ECONNABORTED || errno == EINTR)
        return true;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        run_dry(in);
    return false;
}

static void on_listener(evutil_socket_t fd, short what, void *arg)
{
    struct intake *in = arg;
    (void)fd;
    (void)what;
    const struct when now = clock_now();
    for (int i = 0; i < INTAKE_ACCEPTS && in->yard.n < YARD_FULL && accept_one(in, now); i++)
        ;
    spent(in, now);
}

static void on_rest(evutil_socket_t fd, short what, void *arg)
{
    struct intake *in = arg;
    (void)fd;
    (void)what;
    if (in->fd >= 0)
        event_add(in->listener, NULL);
}

/* ---- life ---- */

static void on_gone(void *arg, uint32_t uid)
{
    struct intake *in = arg;
    users_give(&in->users, uid, clock_now().mono);
}

static bool make_events(struct intake *in)
{
    const struct serve_env env = {.base = in->base, .pl = in->pl, .spent = note_spent, .arg = in};
    if (yard_init(&in->yard, &env, on_gone, in) < 0)
        return false;
    foreign_forbid(in->fd);
    in->listener = event_new(in->base, in->fd, EV_READ | EV_PERSIST, on_listener, in);
    in->rest = event_new(in->base, -1, 0, on_rest, in);
    in->turn = event_new(in->base, -1, 0, on_turn, in);
    in->later = event_new(in->base, -1, 0, on_later, in);
    return in->listener && in->rest && in->turn && in->later && event_add(in->listener, NULL) == 0;
}

int intake_init(struct intake *in, struct event_base *base, struct pipeline *pl, int fd,
                const struct intake_options *o)
{
    memset(in, 0, sizeof *in);
    in->base = base;
    in->pl = pl;
    in->fd = fd;
    in->reserve = open_reserve();
    TAILQ_INIT(&in->all);
    for (unsigned q = 0; q < INTAKE_QUEUES; q++) {
        TAILQ_INIT(&in->ready[q]);
        TAILQ_INIT(&in->waiting[q]);
        TAILQ_INIT(&in->deferred[q]);
    }
    TAILQ_INIT(&in->paused);
    buf_init(&in->out, OUT_MAX);
    const bool rings = rings_init(&in->rings, in) == 0;
    partial_init(&in->partial, o->partial_bytes, pl->options.domains + 1);
    intake_configure(in, o);
    if (rings && make_events(in))
        return 0;
    intake_fini(in);
    return -ERR_NOMEM;
}

void intake_configure(struct intake *in, const struct intake_options *o)
{
    in->options = *o;
    in->partial.budget = o->partial_bytes;
}

/* A connection in line is not slow: we are. */
static void close_slow(struct intake *in, unsigned queue, struct when now)
{
    struct partial_hold *h = partial_oldest(&in->partial, queue), *next;
    for (; h && now.mono - h->since > in->options.partial_timeout; h = next) {
        struct conn *c = (struct conn *)(void *)((char *)h - offsetof(struct conn, hold));
        next = TAILQ_NEXT(h, entry);
        if (c->place == CONN_IDLE)
            conn_too_slow(c, now);
    }
}

void intake_shut(struct intake *in)
{
    in->shutting = TAILQ_FIRST(&in->all);
    intake_wake(in);
}

void intake_sweep(struct intake *in, struct when now)
{
    for (unsigned q = 0; q < PARTIAL_QUEUES; q++)
        close_slow(in, q, now);
    if (own_get(&in->pl->own, OWN_PARTIAL_BYTES, 0) != in->partial.used)
        own_set(&in->pl->own, OWN_PARTIAL_BYTES, 0, in->partial.used);
    store_commit(in->pl->st);
    begin_shutting(in);
    intake_wake(in);
}

static void close_listener(struct intake *in)
{
    if (in->fd < 0)
        return;
    if (in->listener)
        event_del(in->listener);
    if (in->rest)
        event_del(in->rest);
    close(in->fd);
    in->fd = -1;
}

void intake_drain(struct intake *in, intake_drained *done, void *arg)
{
    const struct when now = clock_now();
    struct conn *c;
    /* Who has connected has been promised to be read. */
    for (int i = 0; i < SOMAXCONN && accept_one(in, now); i++)
        ;
    close_listener(in);
    in->drained = done;
    in->drained_arg = arg;
    TAILQ_FOREACH(c, &in->all, all)
    if (c->place == CONN_IDLE || c->place == CONN_DEFERRED)
        conn_queue(c);
    intake_wake(in);
}

void intake_fini(struct intake *in)
{
    const struct when now = clock_now();
    in->drained = NULL;
    while (!TAILQ_EMPTY(&in->all))
        conn_close(TAILQ_FIRST(&in->all), now);
    rings_fini(&in->rings);
    in->pl->rings = NULL;
    close_listener(in);
    struct event *events[] = {in->listener, in->rest, in->turn, in->later};
    for (unsigned i = 0; i < sizeof events / sizeof *events; i++)
        if (events[i])
            event_free(events[i]);
    if (in->reserve >= 0)
        close(in->reserve);
    yard_fini(&in->yard);
    buf_fini(&in->out);
    in->listener = in->rest = in->turn = in->later = NULL;
    in->reserve = -1;
}
