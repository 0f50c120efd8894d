#include "client/share.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/session.h"
#include "wire/encode.h"

static bool waits(const struct ring *r)
{
    return r->reader == RING_WAITING || r->reader == RING_OFFERED;
}

/* ---- what the daemon says ---- */

static struct ring *find(struct mcptally *m, uint32_t stream)
{
    struct ring *r = m->rings;
    while (r && !(r->reader == RING_OFFERED && r->stream == stream))
        r = r->next;
    return r;
}

static int next_memory(struct share *s)
{
    if (s->nmemory == 0)
        return -1;
    const int fd = s->memory[0];
    s->nmemory--;
    memmove(s->memory, s->memory + 1, s->nmemory * sizeof *s->memory);
    return fd;
}

void share_memory(struct share *s, int fd)
{
    if (s->nmemory < SHARE_MEMORIES)
        s->memory[s->nmemory++] = fd;
    else
        close(fd);
}

/* The session reads it, from where the daemon has come to. */
static void refused(struct mcptally *m, struct ring *r, const struct ring_ready *ready)
{
    const uint64_t unread = shm_ring_head(&r->shm) - ready->position;
    const bool possible = unread <= (uint64_t)r->shm.mask + 1;
    r->items_before += ready->items;
    r->refused = true;
    m->share.came_home++;
    ring_bring_home(r, possible ? ready->position : ring_tail(r));
    waker_wake(&m->waker);
}

static void on_ready(struct mcptally *m, const struct ring_ready *ready, int memory)
{
    struct ring *r = find(m, ready->stream);
    if (!r)
        return;
    if (ready->reason == 0 && memory >= 0 && ring_send_away(r, memory, ready->slot)) {
        atomic_store_explicit(&r->bell, true, memory_order_relaxed); /* nobody has looked so far */
        return;
    }
    if (ready->reason == 0) /* it reads already, and how far it came only it can say */
        m->share.unmapped = m->share.broken = true;
    else
        refused(m, r, ready);
}

void share_heard(void *arg, const struct ring_ready *ready, uint64_t bell)
{
    struct mcptally *m = arg;
    if (!ready) {
        m->share.bell_heard = bell;
        return;
    }
    const int memory = ready->reason == 0 ? next_memory(&m->share) : -1;
    on_ready(m, ready, memory);
    if (memory >= 0)
        close(memory);
}

/* ---- connections ---- */

void share_disconnected(struct mcptally *m)
{
    struct share *s = &m->share;
    s->bell_sent = 0;
    s->broken = false;
    while (s->nmemory > 0)
        close(s->memory[--s->nmemory]);
    for (struct ring *r = m->rings; r; r = r->next)
        if (r->reader != RING_HOME)
            r->reader = RING_WAITING;
}

/* Items between two positions of a ring. */
static uint64_t count_items(struct mcptally *m, const struct ring *r, uint64_t tail, uint64_t head)
{
    struct shm_piece p;
    uint64_t n = 0;
    for (; shm_piece_next(r->shm.words, r->shm.mask, tail, head, m->pump.copy, &p) > 0;
         tail += p.words)
        n += p.count ? p.count : 1;
    return n;
}

/* The daemon that read it, and its count, are gone. */
static void bring_home(struct ring *r, uint64_t tail)
{
    r->items_before = ring_items(r);
    r->m->share.came_home++;
    ring_bring_home(r, tail);
}

void share_expired(struct mcptally *m)
{
    for (struct ring *r = m->rings; r; r = r->next) {
        const uint64_t head = shm_ring_head(&r->shm);
        if (r->reader == RING_HOME)
            continue;
        producer_lose(&m->producer, LOST_EXPIRED, count_items(m, r, ring_tail(r), head));
        bring_home(r, head);
    }
}

/* A store that goes on knows how far it is, and says so in its answer to the offer. A new
 * one has nothing: what was not seen to be read is for it. */
void share_welcome(struct mcptally *m)
{
    const struct producer *p = &m->producer;
    if (p->known == SESSION_EXPIRED)
        share_expired(m);
    for (struct ring *r = m->rings; r; r = r->next) {
        r->refused = false;
        if (r->reader != RING_HOME && (p->known == SESSION_NEW || !p->max_rings))
            bring_home(r, ring_tail(r));
    }
}

/* ---- sending ---- */

static enum sending send_with(int to, const struct buf *frame, int fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof fd)];
    } control = {0};
    struct iovec bytes = {frame->p, frame->n};
    struct msghdr message = {
        .msg_iov = &bytes,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control.room,
    };
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    const ssize_t n = sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n == (ssize_t)frame->n)
        return SENDING_ON;
    return n < 0 ? sending_failed(errno) : SENDING_BROKEN; /* half a frame cannot be gone on with */
}

/* With a descriptor that is no memory the daemon refuses it, and says how far it has read. */
static enum sending offer(struct mcptally *m, struct ring *r)
{
    struct buf frame;
    const int fd = m->share.unmapped ? m->waker.fd : r->fd;
    if (r->stream == 0)
        r->stream = ++m->share.streams;
    const struct ring_offer o = {
        .stream = r->stream,
        .words = r->shm.mask + 1,
        .position = ring_tail(r),
    };
    buf_init(&frame, LIMIT_FRAME);
    encode_ring(&frame, &o);
    const enum sending s = frame.failed ? SENDING_STARVED : send_with(m->pump.fd, &frame, fd);
    buf_fini(&frame);
    if (s == SENDING_ON)
        r->reader = RING_OFFERED;
    return s;
}

static bool may_leave(const struct mcptally *m, const struct ring *r)
{
    return r->reader == RING_HOME && r->fd >= 0 && !r->refused && !m->share.unmapped;
}

/* The next ring that the daemon may be asked to read; *n: those that it was. First those
 * that it may have read before: how far is for the daemon to say. */
static struct ring *next_offer(struct mcptally *m, uint32_t *n)
{
    struct ring *next = NULL;
    *n = 0;
    for (struct ring *r = m->rings; r; r = r->next) {
        *n += r->reader == RING_OFFERED || r->reader == RING_AWAY;
        if (r->reader == RING_WAITING || (may_leave(m, r) && !next))
            next = r;
    }
    return next;
}

/* Whether one has something to be rung for; a bell with a number is rung when all rings
 * that wait are read. */
static enum sending ring_bell(struct mcptally *m)
{
    struct share *s = &m->share;
    bool waiting = false, wanted = false;
    for (struct ring *r = m->rings; r; r = r->next) {
        waiting |= waits(r);
        wanted |= atomic_exchange_explicit(&r->bell, false, memory_order_acquire);
    }
    const bool numbered = !waiting && s->bell_wanted > s->bell_sent;
    if (!numbered && !wanted)
        return SENDING_DONE;
    if (!producer_bell(&m->producer, numbered ? s->bell_wanted : 0)) {
        if (wanted) /* whose it is does not matter: it is one for all */
            atomic_store_explicit(&m->rings->bell, true, memory_order_relaxed);
        return SENDING_STARVED;
    }
    if (numbered)
        s->bell_sent = s->bell_wanted;
    return SENDING_ON;
}

enum sending share_send(struct mcptally *m)
{
    uint32_t n;
    if (!m->share.wanted || m->producer.max_rings == 0 || !producer_between(&m->producer))
        return SENDING_DONE;
    struct ring *r = next_offer(m, &n);
    if (r && n < m->producer.max_rings)
        return offer(m, r);
    if (r && r->reader == RING_WAITING) { /* there is no room for it any more */
        bring_home(r, ring_tail(r));
        return SENDING_ON;
    }
    return ring_bell(m);
}

/* ---- the session's side ---- */

uint64_t share_ask(struct mcptally *m)
{
    bool away = false;
    for (struct ring *r = m->rings; r; r = r->next)
        away |= r->reader != RING_HOME;
    return away ? ++m->share.bell_wanted : 0;
}

bool share_idle(const struct mcptally *m)
{
    const struct ring *r = m->rings;
    while (r && (r->reader == RING_HOME || ring_empty(r)))
        r = r->next;
    return !r;
}

bool share_ended(struct mcptally *m, const struct ring *r)
{
    if (r->reader == RING_AWAY && ring_empty(r))
        return producer_ring_ended(&m->producer, r->stream);
    if (m->share.bell_wanted == m->share.bell_heard)
        m->share.bell_wanted++; /* its answer is when to look again */
    return false;
}
