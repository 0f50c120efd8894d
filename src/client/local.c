#include "client/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "client/session.h"
#include "client/span.h"

/* The library keeps state per thread, which C can only do with a global. */
_Thread_local struct local local;

static _Thread_local struct {
    struct buf scratch; /* an item while it is encoded */
    char correlation[LIMIT_CORRELATION];
} rest;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* its destructor is how we learn that a thread ends */
static bool have_key;

static void thread_ended(void *arg)
{
    (void)arg;
    span_thread_ended();
    buf_fini(&rest.scratch);
    struct ring *rings = local.rings;
    local.rings = local.ring = NULL;
    local.serial = 0;
    local.noted = false; /* what another destructor emits calls this one again */
    session_thread_ended(rings);
}

static void make_key(void)
{
    have_key = pthread_key_create(&key, thread_ended) == 0;
}

/* Lets go of rings whose session is closed. */
static void sweep(void)
{
    for (struct ring **at = &local.rings; *at;) {
        struct ring *r = *at;
        if (!atomic_load_explicit(&r->closed, memory_order_acquire)) {
            at = &r->next_local;
            continue;
        }
        *at = r->next_local;
        ring_let_go(r);
    }
}

static struct ring *add_ring(struct mcptally *m)
{
    struct ring *r = ring_new(m, m->serial, m->buffer_bytes, m->share.wanted);
    if (!r)
        return NULL;
    r->next_local = local.rings;
    local.rings = r;
    r->next = atomic_load_explicit(&m->new_rings, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&m->new_rings, &r->next, r, memory_order_release,
                                                  memory_order_relaxed))
        continue;
    session_rouse(m);
    return r;
}

bool local_note(void)
{
    if (local.noted)
        return true;
    pthread_once(&once, make_key);
    local.noted = have_key && pthread_setspecific(key, &local) == 0;
    return local.noted;
}

struct ring *local_find(struct mcptally *m)
{
    const int saved = errno;
    sweep();
    struct ring *r = local.rings;
    while (r && r->serial != m->serial)
        r = r->next_local;
    /* A thread whose end we would not hear of gets no ring: nothing would free it. */
    if (!r && local_note())
        r = add_ring(m);
    local.ring = r;
    local.serial = r ? m->serial : 0;
    errno = saved;
    return r;
}

struct buf *local_scratch(void)
{
    (void)local_note(); /* else it would not be freed */
    if (rest.scratch.max == 0)
        buf_init(&rest.scratch, LIMIT_ITEM);
    buf_reset(&rest.scratch);
    return &rest.scratch;
}

struct str local_correlation(void)
{
    return (struct str){rest.correlation, local.ncorrelation};
}

void local_set_correlation(struct str id)
{
    if (id.n > 0)
        memcpy(rest.correlation, id.p, id.n);
    local.ncorrelation = (unsigned)id.n;
}

void local_forked(void)
{
    local.rings = local.ring = NULL;
    local.serial = 0;
    memset(local.random, 0, sizeof local.random);
}

/* ---- random numbers ---- */

static void seed(void)
{
    if (getrandom(local.random, sizeof local.random, GRND_NONBLOCK) !=
        (ssize_t)sizeof local.random) {
        /* Early in the boot of a machine. What is unlike in time, process and thread will do. */
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        local.random[0] = (uint64_t)ts.tv_sec << 32 ^ (uint64_t)ts.tv_nsec;
        local.random[1] = (uint64_t)getpid() << 40 ^ (uint64_t)(uintptr_t)&local;
    }
    local.random[1] |= 1;
}

/* xorshift128+: ids need to differ, not to be secret. */
static uint64_t next_random(void)
{
    uint64_t a = local.random[0];
    const uint64_t b = local.random[1];
    local.random[0] = b;
    a ^= a << 23;
    local.random[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
    return local.random[1] + b;
}

void local_random(uint8_t *to, size_t n)
{
    const int saved = errno;
    if (local.random[0] == 0 && local.random[1] == 0)
        seed();
    for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
        uint64_t v = next_random();
        while (v == 0)
            v = next_random();
        memcpy(to + i, &v, n - i < sizeof v ? n - i : sizeof v);
    }
    errno = saved;
}
