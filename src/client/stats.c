/* What became of the items: mcptally_flush() and mcptally_get_stats(). */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "client/session.h"

/* ---- flush ---- */

/* Items that went through the queue so far, in order: taken by it, and settled. */
static uint64_t taken(const struct mcptally *m)
{
    return m->past.taken + m->producer.taken;
}

static uint64_t settled(const struct mcptally *m)
{
    return taken(m) - producer_waiting(&m->producer);
}

static int left_ms(uint64_t deadline)
{
    const uint64_t now = clock_now().mono;
    return now >= deadline ? 0 : (int)((deadline - now + NS_PER_MS - 1) / NS_PER_MS);
}

/* Sleeps, the lock released, until the pump has moved or the time is over. */
static void wait_moved(struct mcptally *m, int step_ms, uint64_t deadline)
{
    int ms = left_ms(deadline);
    if (!m->helping) {
        if (step_ms >= 0 && step_ms < ms)
            ms = step_ms;
        pthread_mutex_unlock(&m->lock);
        pump_wait(m, ms);
        pthread_mutex_lock(&m->lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * (long)NS_PER_MS;
    if (until.tv_nsec >= (long)NS_PER_S) {
        until.tv_sec++;
        until.tv_nsec -= (long)NS_PER_S;
    }
    waker_wake(&m->waker); /* the step that we did may have changed how long it may sleep */
    pthread_cond_timedwait(&m->moved, &m->lock, &until);
}

/* Until everything that was in a ring before the call is settled; false when the
 * time is over. */
static bool settle(struct mcptally *m, uint64_t deadline)
{
    bool drained = false;
    uint64_t goal = 0, bell = 0;
    uint32_t home = m->share.came_home;
    for (;;) {
        const int step_ms = pump_step(m);
        if (home != m->share.came_home) { /* what lies there is no matter of the bell any more */
            home = m->share.came_home;
            drained = false;
            continue;
        }
        if (!drained && !m->pump.starved) {
            drained = true; /* the rings were empty, up to where they were */
            goal = taken(m);
            bell = share_ask(m);
        }
        if (drained && settled(m) >= goal && m->share.bell_heard >= bell)
            return true;
        if (left_ms(deadline) == 0)
            return false;
        wait_moved(m, step_ms, deadline);
    }
}

/* ---- stats ---- */

static void add_rings(const struct ring *r, mcptally_stats *s)
{
    for (; r; r = r->next) {
        s->emitted += shm_ring_emitted(&r->shm);
        s->acknowledged += ring_items(r);
        s->lost_buffer += atomic_load_explicit(&r->shm.page->full, memory_order_relaxed);
        s->lost_invalid += atomic_load_explicit(&r->shm.page->invalid, memory_order_relaxed);
    }
}

/* Under the lock, and after a drain: then no ring waits to be adopted. */
static void sum_up(const struct mcptally *m, mcptally_stats *s)
{
    const struct producer *p = &m->producer;
    const uint64_t homeless = atomic_load_explicit(&m->homeless, memory_order_relaxed);
    *s = (mcptally_stats){
        .size = sizeof *s,
        .emitted = m->past.emitted + homeless,
        .acknowledged = m->past.acknowledged + p->acknowledged,
        .rejected = m->past.rejected + p->rejected,
        .lost_buffer = m->past.full + homeless,
        .lost_queue = m->past.queue + p->lost.total[LOST_QUEUE],
        .lost_expired = m->past.expired + p->lost.total[LOST_EXPIRED],
        .lost_invalid = m->past.invalid,
        .connected = p->state == PRODUCER_OPEN,
        .last_reject = p->last_reject,
    };
    add_rings(m->rings, s);
}

void mcptally_get_stats(mcptally *m, mcptally_stats *out)
{
    mcptally_stats s = {.size = sizeof s};
    const size_t size = out->size < sizeof s ? out->size : sizeof s;
    if (m) {
        pthread_mutex_lock(&m->lock);
        pump_drain(m);
        sum_up(m, &s);
        pthread_mutex_unlock(&m->lock);
        waker_wake(&m->waker); /* what was drained is to be sent */
    }
    s.size = size;
    memcpy(out, &s, size);
}

const char *mcptally_reject_name(uint32_t reason)
{
    return reject_name(reason);
}

/* ---- flush ---- */

int mcptally_flush(mcptally *m, int timeout_ms)
{
    if (!m)
        return 0;
    const int saved = errno;
    const uint64_t wait = timeout_ms > 0 ? (uint64_t)timeout_ms * NS_PER_MS : 0;
    mcptally_stats s;
    pthread_mutex_lock(&m->lock);
    m->flushing++;
    session_ready(m);
    const bool done = settle(m, clock_now().mono + wait);
    m->flushing--;
    sum_up(m, &s);
    const uint64_t lost_now = s.lost_buffer + s.lost_queue + s.lost_expired + s.lost_invalid;
    const bool rejected = s.rejected > m->rejected_told, lost = lost_now > m->lost_told;
    if (done) { /* what ran out of time is reported by the next */
        m->rejected_told = s.rejected;
        m->lost_told = lost_now;
    }
    pthread_mutex_unlock(&m->lock);
    waker_wake(&m->waker); /* our steps may have changed how long the helper may sleep */
    errno = !done ? ETIMEDOUT : rejected ? EPROTO : lost ? ENOBUFS : saved;
    return done && !rejected && !lost ? 0 : -1;
}
