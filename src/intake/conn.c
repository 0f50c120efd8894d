#include "intake/conn.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/foreign.h"

/* Each ACK wakes its reader, which costs as much as applying hundreds of updates.
 * Half a MiB without one is an eighth of what a producer keeps unacknowledged; a
 * producer that stops to wait has been read to the end, and gets it at once. */
enum { READS_PER_ACK = 32 };

/* ---- lines ---- */

static void leave_line(struct conn *c)
{
    struct intake *in = c->in;
    if (c->place == CONN_READY) {
        TAILQ_REMOVE(&in->ready[c->queue], c, line);
        in->nready--;
    } else if (c->place == CONN_WAITING) {
        TAILQ_REMOVE(&in->waiting[c->queue], c, line);
        in->nwaiting--;
    } else if (c->place == CONN_DEFERRED) {
        TAILQ_REMOVE(&in->deferred[c->queue], c, line);
        in->ndeferred--;
    } else if (c->place == CONN_PAUSED) {
        TAILQ_REMOVE(&in->paused, c, line);
        in->npaused--;
    }
    c->place = CONN_IDLE;
}

static unsigned queue_of(const struct conn *c)
{
    return c->link.state == LINK_OPEN ? c->link.domain : c->in->pl->options.domains;
}

void conn_queue(struct conn *c)
{
    struct intake *in = c->in;
    if (c->place == CONN_READY)
        return;
    leave_line(c);
    c->queue = (uint8_t)queue_of(c);
    c->place = CONN_READY;
    TAILQ_INSERT_TAIL(&in->ready[c->queue], c, line);
    in->nready++;
    intake_wake(in);
}

static void wait_for_room(struct conn *c)
{
    struct intake *in = c->in;
    leave_line(c);
    c->queue = (uint8_t)queue_of(c);
    c->place = CONN_WAITING;
    TAILQ_INSERT_TAIL(&in->waiting[c->queue], c, line);
    in->nwaiting++;
}

/* Until the user is within his rates. */
static void pause_user(struct conn *c)
{
    struct intake *in = c->in;
    leave_line(c);
    c->place = CONN_PAUSED;
    TAILQ_INSERT_TAIL(&in->paused, c, line);
    in->npaused++;
    own_add(&in->pl->own, OWN_USER_DEFERRED, 0, 1);
}

static void defer(struct conn *c)
{
    struct intake *in = c->in;
    leave_line(c);
    c->queue = (uint8_t)queue_of(c);
    c->place = CONN_DEFERRED;
    TAILQ_INSERT_TAIL(&in->deferred[c->queue], c, line);
    in->ndeferred++;
    own_add(&in->pl->own, OWN_DOMAIN_DEFERRED, c->queue, 1);
}

/* ---- answers ---- */

/* Sends what it can: the bytes taken. A peer that is gone gets no more answers,
 * but what it has written is still read. */
static size_t send_some(struct conn *c, const char *p, size_t n)
{
    while (!c->deaf) {
        ssize_t sent = send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0)
            return (size_t)sent;
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        c->deaf = true;
    }
    return n;
}

static void on_event(evutil_socket_t fd, short what, void *arg);

/* Registers for reading, and for writing while something is pending. */
static bool listen_for(struct conn *c, short what)
{
    what |= EV_PERSIST | EV_ET;
    if (c->ev && event_get_events(c->ev) == what)
        return true;
    if (c->ev)
        event_del(c->ev);
    c->ev = (struct event *)(void *)(c + 1);
    return event_assign(c->ev, c->in->base, c->fd, what, on_event, c) == 0 &&
           event_add(c->ev, NULL) == 0;
}

/* Keeps answers that the peer does not take now. */
static bool keep(struct conn *c, const char *p, size_t n)
{
    struct intake *in = c->in;
    if (in->pending + n > in->options.reply_bytes)
        return false;
    buf_add(&c->pending, p, n);
    if (c->pending.failed)
        return false;
    in->pending += n;
    return listen_for(c, EV_READ | EV_WRITE);
}

bool conn_answer(struct conn *c, struct buf *out)
{
    if (out->failed || out->n == 0)
        return !out->failed;
    size_t sent = c->pending.n ? 0 : send_some(c, out->p, out->n);
    return sent == out->n || keep(c, out->p + sent, out->n - sent);
}

/* An ACK is made only when it can go out: it carries the newest number then. */
static bool acknowledge(struct conn *c)
{
    struct buf *out = &c->in->out;
    if (c->pending.n || c->deaf)
        return true;
    c->unanswered = 0;
    buf_reset(out);
    link_ack(&c->link, out);
    return out->n == 0 || conn_answer(c, out);
}

bool conn_send_with(struct conn *c, const struct buf *out, int fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof fd)];
    } control = {0};
    struct iovec bytes = {out->p, out->n};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    assert(c->pending.n == 0);
    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control.room;
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    }
    return !out->failed && sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)out->n;
}

static bool flush(struct conn *c)
{
    if (c->pending.n == 0)
        return true;
    size_t sent = send_some(c, c->pending.p, c->pending.n);
    buf_drop(&c->pending, sent);
    c->in->pending -= sent;
    if (c->pending.n)
        return true;
    buf_fini(&c->pending); /* an idle connection keeps no buffer */
    return listen_for(c, EV_READ) && acknowledge(c) && (!c->rings || rings_answer(c));
}

/* Enters what the connection holds into the budget. One that has not said HELLO
 * counts as a frame that began when it connected, and so has a deadline too. */
static void hold(struct conn *c, bool fresh, struct when now)
{
    const bool stranger = c->link.state == LINK_GREETING;
    partial_set(&c->in->partial, &c->hold, queue_of(c), link_partial(&c->link) + stranger,
                fresh && !stranger, now.mono);
}

/* ---- life ---- */

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)fd;
    assert(c->magic == CONN_MAGIC);
    if ((what & EV_WRITE) && !flush(c)) {
        conn_close(c, clock_now());
        return;
    }
    if (what & EV_READ)
        c->unread = true;
    if ((what & EV_READ) && c->place == CONN_IDLE)
        conn_queue(c);
}

struct conn *conn_of_link(struct link *l)
{
    return (struct conn *)(void *)((char *)l - offsetof(struct conn, link));
}

struct conn *conn_new(struct intake *in, int fd, const struct peer *peer, struct when now)
{
    struct conn *c = calloc(1, sizeof *c + event_get_struct_event_size());
    if (!c) {
        yard_close(&in->yard, fd, peer->uid);
        return NULL;
    }
    c->magic = CONN_MAGIC;
    c->fd = fd;
    c->in = in;
    c->unread = true;
    link_init(&c->link, in->pl, peer);
    buf_init(&c->pending, CONN_PENDING);
    TAILQ_INSERT_TAIL(&in->all, c, all);
    in->nconns++;
    hold(c, false, now);
    if (listen_for(c, EV_READ))
        return c;
    conn_close(c, now);
    return NULL;
}

void conn_close(struct conn *c, struct when now)
{
    struct intake *in = c->in;
    assert(c->magic == CONN_MAGIC);
    if (in->shutting == c)
        in->shutting = TAILQ_NEXT(c, all);
    leave_line(c);
    partial_set(&in->partial, &c->hold, 0, 0, false, 0);
    if (c->ev)
        event_del(c->ev);
    if (c->rings)
        rings_close(c);
    link_fini(&c->link, now);
    in->pending -= c->pending.n;
    buf_fini(&c->pending);
    yard_close(&in->yard, c->fd, c->link.peer.uid);
    TAILQ_REMOVE(&in->all, c, all);
    in->nconns--;
    c->magic = 0;
    free(c);
    intake_wake(in);
}

void conn_too_slow(struct conn *c, struct when now)
{
    struct buf *out = &c->in->out;
    buf_reset(out);
    link_too_slow(&c->link, out);
    (void)conn_answer(c, out);
    conn_close(c, now);
}

void conn_shut(struct conn *c, struct when now)
{
    struct buf *out = &c->in->out;
    buf_reset(out);
    link_shut(&c->link, out, now);
    (void)conn_answer(c, out);
    conn_close(c, now);
}

/* ---- reading ---- */

/* Feeds n bytes that were read; 0: the link goes on with what it has kept. False when
 * the connection is over. */
static bool feed(struct conn *c, size_t n, struct when now)
{
    struct intake *in = c->in;
    const size_t missing = frame_reader_missing(&c->link.reader);
    const bool stranger = c->link.state == LINK_GREETING;
    buf_reset(&in->out);
    int r = n ? link_feed(&c->link, in->scratch, n, &in->out, now)
              : link_go_on(&c->link, &in->out, now);
    if (stranger && c->link.rings)
        foreign_allow(c->fd);
    if (!conn_answer(c, &in->out) || r < 0)
        return false;
    /* More than was missing: the frame that was held has ended. What is kept waits for
     * us, not for the peer. */
    const bool fresh = n == 0 || n > missing || r == LINK_MORE;
    partial_set(&in->partial, &c->hold, queue_of(c), link_partial(&c->link), fresh, now.mono);
    if (c->rings)
        rings_heard(c);
    return ++c->unanswered < READS_PER_ACK || acknowledge(c);
}

/* Items of its domain so far: nobody else's come while it is read. */
static uint64_t received(const struct conn *c)
{
    return c->link.state == LINK_OPEN ? own_get(&c->in->pl->own, OWN_RECEIVED, c->link.domain) : 0;
}

/* What the turn took, in bytes of a read that costs as much; its user is charged, too. */
static size_t spend(struct conn *c, unsigned queue, size_t bytes, unsigned units, struct when now)
{
    struct intake *in = c->in;
    const bool counts = queue < in->pl->options.domains && c->link.state == LINK_OPEN;
    const uint64_t items = counts ? received(c) - in->before : 0;
    users_charge(&in->users, c->link.peer.uid, bytes, items, &in->options.user_rates, now.mono);
    size_t cost = (size_t)units * INTAKE_UNIT_COST;
    cost = cost > bytes ? cost : bytes;
    cost = cost > INTAKE_READ_COST ? cost : INTAKE_READ_COST;
    domain_spend(in->pl, queue, cost);
    return cost;
}

/* A turn of what is kept. */
static size_t go_on(struct conn *c, struct when now)
{
    const unsigned queue = queue_of(c);
    leave_line(c);
    const bool open = feed(c, 0, now);
    const size_t cost = spend(c, queue, 0, c->link.spent, now);
    if (open)
        conn_queue(c);
    else
        conn_close(c, now);
    return cost;
}

/* Nothing of the domain is left to read. */
static void relieve(struct intake *in, unsigned queue)
{
    if (queue < in->pl->options.domains && TAILQ_EMPTY(&in->ready[queue]) &&
        TAILQ_EMPTY(&in->deferred[queue]))
        domain_relieved(in->pl, queue);
}

/* Nothing is left to read: the moment for an ACK, and for the end of who is drained. False
 * when it is over. */
static bool drained(struct conn *c, struct when now)
{
    struct intake *in = c->in;
    leave_line(c);
    relieve(in, queue_of(c));
    if (c->ended)
        return rings_mourn(c, now);
    if (!acknowledge(c) || (c->rings && !rings_answer(c)) || in->drained)
        return false;
    if (c->link.state != LINK_OPEN || !domain_empties(in->pl->st, c->link.domain))
        return true;
    buf_reset(&in->out);
    link_shut(&c->link, &in->out, now);
    (void)conn_answer(c, &in->out);
    return false;
}

/* Whether it may be read now; if not it is in another line, or gone. */
static bool may_read(struct conn *c, struct when now)
{
    struct intake *in = c->in;
    if (c->link.state == LINK_OPEN && domain_shuts(in->pl->st, c->link.domain)) {
        conn_shut(c, now);
        return false;
    }
    if (c->link.state == LINK_OPEN && !in->drained &&
        domain_pace(in->pl, c->link.domain, now) == DOMAIN_LATER) {
        defer(c);
        return false;
    }
    if (!in->drained && !users_even(&in->users, c->link.peer.uid, now.mono)) {
        pause_user(c);
        return false;
    }
    if (!c->hold.bytes && !partial_room(&in->partial, queue_of(c))) {
        wait_for_room(c);
        return false;
    }
    return true;
}

/* What was read goes through; whether the connection is still open. */
static bool take(struct conn *c, size_t n, struct when now)
{
    if (c->link.state == LINK_OPEN)
        domain_read(c->in->pl, c->link.domain, n, now);
    return feed(c, n, now);
}

/* ---- rings ---- */

/* The socket is read to its end for now. False when the connection is over. */
static bool go_idle(struct conn *c, struct when now)
{
    c->unread = false;
    if (c->rings && (c->ended || c->in->drained))
        rings_see(c);
    if (rings_ready(c, now)) {
        conn_queue(c);
        return true;
    }
    return drained(c, now);
}

/* The peer has gone: what it has published is read. False when the connection is over. */
static bool hang_up(struct conn *c, struct when now)
{
    if (!c->rings)
        return false;
    c->ended = c->deaf = true;
    event_del(c->ev);
    return go_idle(c, now);
}

/* In its turn. */
static size_t read_ring(struct conn *c, struct when now)
{
    struct intake *in = c->in;
    const unsigned queue = queue_of(c);
    size_t bytes = 0;
    leave_line(c);
    c->ring_next = false;
    buf_reset(&in->out);
    bool open = rings_read(c, &in->out, &bytes, now);
    open = conn_answer(c, &in->out) && open && rings_answer(c);
    if (open && (c->unread || rings_ready(c, now)))
        conn_queue(c);
    else if (open)
        open = drained(c, now);
    const size_t cost = spend(c, queue, bytes, c->link.spent, now);
    if (!open)
        conn_close(c, now);
    return cost;
}

/* The descriptors that came along are offers, if it may make any. False: it may not, or not
 * so many. */
static bool receive_offers(struct conn *c, size_t most, ssize_t *n, unsigned *came)
{
    struct foreign f;
    bool fits = true;
    *n = foreign_receive(c->fd, c->in->scratch, most, &f);
    *came = f.n;
    for (unsigned i = 0; i < f.n; i++)
        fits &= rings_take(c, f.fd[i]);
    return fits;
}

/* Reads the socket. With descriptors that it may not pass it is as if it had hung up: what it
 * wrote is no longer to be trusted. Negative with errno. */
static ssize_t receive(struct conn *c, size_t most)
{
    struct intake *in = c->in;
    unsigned came;
    ssize_t n;
    bool fits;
    if (c->link.rings) {
        fits = receive_offers(c, most, &n, &came);
    } else {
        n = foreign_receive_bytes(c->fd, in->scratch, most, &came);
        fits = came == 0;
    }
    in->strange += came;
    if (fits)
        return n;
    own_add(&in->pl->own, OWN_UNINVITED, 0, 1);
    return 0;
}

size_t conn_read(struct conn *c, struct when now)
{
    struct intake *in = c->in;
    assert(c->magic == CONN_MAGIC);
    in->before = received(c);
    if (c->link.rest)
        return go_on(c, now);
    if (!may_read(c, now))
        return INTAKE_READ_COST;
    if (rings_ready(c, now) && (!c->unread || c->ring_next))
        return read_ring(c, now);
    c->ring_next = true;
    const unsigned queue = queue_of(c);
    leave_line(c);
    const size_t most = in->nready ? INTAKE_READ : INTAKE_READ_ALONE;
    const ssize_t n = c->ended ? 0 : receive(c, most);
    if (n < 0 && errno == EINTR) {
        conn_queue(c);
        return INTAKE_READ_COST;
    }
    const bool empty = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    const bool open = n > 0      ? take(c, (size_t)n, now)
                      : empty    ? go_idle(c, now)
                      : c->ended ? go_idle(c, now)
                                 : hang_up(c, now);
    const size_t cost = spend(c, queue, n > 0 ? (size_t)n : 0, n > 0 ? c->link.spent : 0, now);
    if (!open)
        conn_close(c, now);
    else if (n > 0)
        conn_queue(c);
    return cost;
}
