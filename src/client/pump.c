#include "client/pump.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/session.h"

enum {
    SENDS_PER_STEP = 64, /* then others may have the lock */
    PIECES = 64,         /* of a send: frames, about PRODUCER_FRAME bytes together */
    READS_PER_STEP = 16,
};

#define DELAY_MIN (50 * NS_PER_MS)
#define DELAY_MAX (5 * NS_PER_S)

/* When there was no memory for anything, not because the queue is full. */
#define RETRY_MEMORY (1 * NS_PER_S)

void pump_init(struct pump *p)
{
    *p = (struct pump){.epoll = -1, .fd = -1};
}

/* ---- descriptors ---- */

static bool watch(const struct pump *p, int fd, int how, uint32_t events)
{
    struct epoll_event e = {.events = events};
    return epoll_ctl(p->epoll, how, fd, &e) == 0;
}

int pump_open(struct mcptally *m)
{
    struct pump *p = &m->pump;
    if (p->epoll >= 0)
        return 0;
    if (waker_open(&m->waker) < 0)
        return -ERR_IO;
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (p->epoll < 0 || !watch(p, m->waker.fd, EPOLL_CTL_ADD, EPOLLIN)) {
        pump_close(m);
        return -ERR_IO;
    }
    waker_wake(&m->waker); /* so that the first step comes */
    return 0;
}

void pump_close(struct mcptally *m)
{
    struct pump *p = &m->pump;
    producer_disconnected(&m->producer);
    share_disconnected(m);
    if (p->fd >= 0)
        close(p->fd);
    if (p->epoll >= 0)
        close(p->epoll);
    p->fd = p->epoll = -1;
    waker_close(&m->waker);
}

void pump_wait(const struct mcptally *m, int timeout_ms)
{
    struct pollfd at = {.fd = m->pump.epoll, .events = POLLIN};
    (void)poll(&at, 1, timeout_ms); /* woken, over, or EINTR: the next step finds out */
}

/* ---- rings ---- */

static void adopt(struct mcptally *m)
{
    struct ring *r = atomic_exchange_explicit(&m->new_rings, NULL, memory_order_acquire);
    while (r) {
        struct ring *next = r->next;
        r->next = m->rings;
        m->rings = r;
        m->pump.started = true;
        r = next;
    }
}

/* Looks how far the rings are, before the definitions are looked at: what is
 * emitted later may be of a series that is not among them yet. */
static void mark(struct ring *r)
{
    for (; r; r = r->next) {
        r->ending = atomic_load_explicit(&r->dead, memory_order_acquire);
        r->until = shm_ring_head(&r->shm);
    }
}

/* Moves one ring's records to the queue; false when that is full. */
static bool drain_ring(struct mcptally *m, struct ring *r)
{
    struct shm_piece piece;
    while (ring_next(r, r->until, m->pump.copy, &piece)) {
        if (piece.count == 0) {
            if (producer_item(&m->producer, piece.kind, piece.bytes, piece.size) < 0)
                return false;
            ring_took(r, piece.words);
            continue;
        }
        const size_t n = producer_updates(&m->producer, piece.bytes, piece.count);
        ring_took(r, (uint32_t)n * piece.each);
        if (n < piece.count)
            return false;
    }
    return true;
}

/* The thread has gone and the queue is full: there is nobody to wait for. */
static void lose_rest(struct mcptally *m, struct ring *r)
{
    struct shm_piece piece;
    while (ring_next(r, shm_ring_head(&r->shm), m->pump.copy, &piece)) {
        producer_lose(&m->producer, LOST_QUEUE, piece.count ? piece.count : 1);
        ring_took(r, piece.words);
    }
}

static void tell_losses(struct mcptally *m, struct ring *r)
{
    const uint64_t full = atomic_load_explicit(&r->shm.page->full, memory_order_relaxed);
    const uint64_t invalid = atomic_load_explicit(&r->shm.page->invalid, memory_order_relaxed);
    producer_lose(&m->producer, LOST_BUFFER, full - r->full_told);
    producer_lose(&m->producer, LOST_INVALID, invalid - r->invalid_told);
    r->full_told = full;
    r->invalid_told = invalid;
}

/* Takes a dead ring out of the list at *at. */
static void bury(struct mcptally *m, struct ring **at)
{
    struct ring *r = *at;
    tell_losses(m, r);
    m->past.emitted += shm_ring_emitted(&r->shm);
    m->past.acknowledged += ring_items(r);
    m->past.full += r->full_told;
    m->past.invalid += r->invalid_told;
    *at = r->next;
    ring_close(r);
}

/* The first ring becomes the last, so that the queue's room goes to each in turn. */
static void rotate(struct mcptally *m)
{
    struct ring *first = m->rings, **end = &m->rings;
    if (!first || !first->next)
        return;
    m->rings = first->next;
    first->next = NULL;
    while (*end)
        end = &(*end)->next;
    *end = first;
}

/* True when the ring has ended. */
static bool drain_one(struct mcptally *m, struct ring *r)
{
    tell_losses(m, r);
    if (r->reader != RING_HOME)
        return r->ending && share_ended(m, r);
    if (!drain_ring(m, r))
        m->pump.starved = true;
    if (r->ending)
        lose_rest(m, r);
    return r->ending;
}

bool pump_drain(struct mcptally *m)
{
    const uint64_t before = m->producer.taken;
    m->pump.starved = false;
    adopt(m);
    mark(m->rings);
    if (!registry_import(&m->registry, &m->producer)) {
        m->pump.starved = true; /* an item may not go before its definition */
        return false;
    }
    for (struct ring **at = &m->rings; *at;)
        if (drain_one(m, *at))
            bury(m, at);
        else
            at = &(*at)->next;
    const uint64_t homeless = atomic_load_explicit(&m->homeless, memory_order_relaxed);
    producer_lose(&m->producer, LOST_BUFFER, homeless - m->homeless_told);
    m->homeless_told = homeless;
    if (m->pump.starved)
        rotate(m);
    return m->producer.taken != before;
}

/* Whether a ring has something for us; the look before going to sleep. */
static bool anything(const struct mcptally *m)
{
    if (atomic_load_explicit(&m->new_rings, memory_order_relaxed))
        return true;
    for (const struct ring *r = m->rings; r; r = r->next)
        if ((r->reader == RING_AWAY && atomic_load_explicit(&r->bell, memory_order_relaxed)) ||
            (r->reader == RING_HOME &&
             (!ring_empty(r) || atomic_load_explicit(&r->dead, memory_order_relaxed))))
            return true;
    return false;
}

/* ---- the connection ---- */

/* Twice the delay before, up to a bound, and a random part of it: a thousand
 * producers do not come back in the same millisecond. */
static void retry_later(struct pump *p, uint64_t now)
{
    const uint64_t r = local_random() >> 32;
    p->delay = p->delay ? 2 * p->delay : DELAY_MIN;
    if (p->delay > DELAY_MAX)
        p->delay = DELAY_MAX;
    p->next_try = now + p->delay / 2 + (p->delay / 2) * (r & 0xffff) / 0xffff;
}

/* The daemon has said when it is worth another try; not all come back at that moment. */
static void retry_when_told(struct pump *p, uint32_t ms, uint64_t now)
{
    const uint64_t r = local_random() >> 32, ns = ms * NS_PER_MS;
    if (now + ns > p->next_try)
        p->next_try = now + ns + (ns / 4) * (r & 0xffff) / 0xffff;
}

static void disconnect(struct mcptally *m, uint64_t now)
{
    struct pump *p = &m->pump;
    close(p->fd); /* which takes it out of the epoll set */
    p->fd = -1;
    p->wants_out = p->unsaid = false;
    producer_disconnected(&m->producer);
    share_disconnected(m);
    if (now - p->connected >= DELAY_MAX)
        p->delay = 0;
    retry_later(p, now);
    retry_when_told(p, m->producer.retry_ms, now);
}

static void connect_now(struct mcptally *m, uint64_t now)
{
    struct pump *p = &m->pump;
    p->fd = place_connect(&m->names);
    if (p->fd < 0) {
        retry_later(p, now);
        return;
    }
    p->connected = now;
    p->wants_out = false;
    if (!watch(p, p->fd, EPOLL_CTL_ADD, EPOLLIN) || producer_connected(&m->producer) < 0)
        disconnect(m, now);
}

/* What came with the bytes: the daemon sends one descriptor at a time. */
static void take_descriptors(struct mcptally *m, struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        int fd;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
        share_memory(&m->share, fd);
    }
}

static ssize_t read_some(struct mcptally *m, uint8_t *in, size_t size)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec bytes = {in, size};
    struct msghdr message = {
        .msg_iov = &bytes,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    const ssize_t n = recvmsg(m->pump.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n >= 0)
        take_descriptors(m, &message);
    return n;
}

static int feed(struct mcptally *m, const uint8_t *in, size_t n)
{
    const bool greeting = m->producer.state == PRODUCER_GREETING;
    const int e = producer_feed(&m->producer, in, n);
    if (e == 0 && greeting && m->producer.state == PRODUCER_OPEN)
        share_welcome(m);
    return e == 0 && m->share.broken ? -ERR_CLOSED : e;
}

/* Takes what the daemon says; the connection may be gone afterwards. */
static void receive(struct mcptally *m, uint64_t now)
{
    uint8_t in[4096];
    for (int i = 0; i < READS_PER_STEP; i++) {
        const ssize_t n = read_some(m, in, sizeof in);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        const int e = n > 0 ? feed(m, in, (size_t)n) : -ERR_CLOSED;
        if (e == 0)
            continue;
        disconnect(m, now);
        if (e == -ERR_DAMAGED)
            session_begin_anew(m);
        return;
    }
}

enum sending sending_failed(int error)
{
    const bool later = error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
    return later ? SENDING_FULL : SENDING_BROKEN;
}

static enum sending send_some(struct mcptally *m)
{
    struct str pieces[PIECES];
    struct iovec bytes[PIECES];
    const unsigned n = producer_output(&m->producer, pieces, PIECES);
    if (n == 0)
        return share_send(m);
    for (unsigned i = 0; i < n; i++)
        bytes[i] = (struct iovec){(void *)pieces[i].p, pieces[i].n};
    const struct msghdr message = {.msg_iov = bytes, .msg_iovlen = n};
    const ssize_t sent = sendmsg(m->pump.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
        producer_sent(&m->producer, (size_t)sent);
        return SENDING_ON;
    }
    return sending_failed(errno);
}

static void transmit(struct mcptally *m, uint64_t now)
{
    struct pump *p = &m->pump;
    enum sending s = SENDING_ON;
    for (int i = 0; i < SENDS_PER_STEP && s == SENDING_ON; i++)
        s = send_some(m);
    if (s == SENDING_BROKEN) {
        receive(m, now); /* what it said last may still be there */
        if (p->fd >= 0)
            disconnect(m, now);
        return;
    }
    p->unsaid = s == SENDING_STARVED;
    const bool out = s == SENDING_ON || s == SENDING_FULL;
    if (out != p->wants_out && watch(p, p->fd, EPOLL_CTL_MOD, out ? EPOLLIN | EPOLLOUT : EPOLLIN))
        p->wants_out = out;
}

/* ---- the step ---- */

static uint64_t settled(const struct mcptally *m)
{
    return m->producer.acknowledged + m->producer.expired;
}

/* Announces how deep the sleep is, and says how long. */
static int rest(struct mcptally *m, uint64_t now)
{
    struct pump *p = &m->pump;
    const bool off = p->started && p->epoll >= 0 && p->fd < 0;
    uint64_t until = off ? p->next_try : UINT64_MAX;
    if (p->unsaid || (p->starved && producer_waiting(&m->producer) == 0)) /* no ACK will come */
        until = now + RETRY_MEMORY < until ? now + RETRY_MEMORY : until;
    if (!p->starved) { /* else nothing that an emitter does would help */
        bool nap = p->next_drain > now;
        if (!nap && (!waker_announce(&m->waker, REST_ASLEEP) || anything(m))) {
            nap = true;
            p->next_drain = now + m->flush_ms * NS_PER_MS;
        }
        if (nap) {
            waker_announce(&m->waker, REST_NAP);
            until = p->next_drain < until ? p->next_drain : until;
        }
    }
    if (until == UINT64_MAX)
        return -1;
    return until <= now ? 0 : (int)((until - now + NS_PER_MS - 1) / NS_PER_MS);
}

int pump_step(struct mcptally *m)
{
    struct pump *p = &m->pump;
    const uint64_t now = clock_now().mono, before = settled(m), heard = m->share.bell_heard;
    const bool woken = waker_up(&m->waker);
    if (p->fd >= 0)
        receive(m, now);
    const bool moved = settled(m) != before;
    if (moved)
        p->delay = 0;
    const bool over = now >= p->next_drain;
    if (woken || m->flushing || over || (p->starved && moved)) {
        if (pump_drain(m))
            p->next_drain = now + m->flush_ms * NS_PER_MS;
        else if (over) /* a nap is slept to its end: whoever emits now need not wake anybody */
            p->next_drain = 0;
    }
    if (p->started && p->epoll >= 0 && p->fd < 0 && now >= p->next_try)
        connect_now(m, now);
    if (p->fd >= 0)
        transmit(m, now);
    if (settled(m) != before || m->share.bell_heard != heard)
        pthread_cond_broadcast(&m->moved);
    return rest(m, now);
}
