#include "client/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "client/session.h"
#include "client/span.h"

/* The library keeps state per thread, which C can only do with a global. */
_Thread_local struct local local;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* its destructor is how we learn that a thread ends */
static bool have_key;

static void thread_ended(void *arg)
{
    (void)arg;
    span_thread_ended();
    buf_fini(&local.scratch);
    free(local.correlation);
    local.correlation = NULL;
    local.ncorrelation = 0;
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

bool local_note_first(void)
{
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
    local.scratch.max = LIMIT_ITEM;
    buf_reset(&local.scratch);
    return &local.scratch;
}

void local_set_correlation(struct str id)
{
    local.ncorrelation = 0;
    if (id.n == 0)
        return;
    const int saved = errno;
    if (!local.correlation && local_note())
        local.correlation = malloc(LIMIT_CORRELATION);
    errno = saved;
    if (!local.correlation)
        return;
    memcpy(local.correlation, id.p, id.n);
    local.ncorrelation = (unsigned)id.n;
}

void local_forked(void)
{
    local.rings = local.ring = NULL;
    local.serial = 0;
    memset(local.random, 0, sizeof local.random);
}

/* ---- the time ---- */

#define COMPARE_AGAIN (10 * NS_PER_MS)
#define CLOSE_ENOUGH  (1 * NS_PER_US)

/* Of a few tries the one with the least between the readings: this thread may be interrupted. */
static void compare_clocks(void)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 4 && least > CLOSE_ENOUGH; i++) {
        const uint64_t before = clock_mono(), wall = clock_wall(), after = clock_mono();
        if (after - before >= least)
            continue;
        least = after - before;
        local.ahead = wall - before - least / 2;
        local.compared = after;
    }
}

struct when local_now(void)
{
    const uint64_t mono = clock_mono();
    if (__builtin_expect(mono - local.compared > COMPARE_AGAIN, 0))
        compare_clocks();
    return (struct when){.mono = mono, .wall = mono + local.ahead};
}

/* ---- random numbers ---- */

static __attribute__((noinline)) void seed(void)
{
    const int saved = errno;
    if (getrandom(local.random, sizeof local.random, GRND_NONBLOCK) !=
        (ssize_t)sizeof local.random) {
        /* Early in the boot of a machine. What is unlike in time, process and thread will do. */
        local.random[0] = clock_wall();
        local.random[1] = (uint64_t)getpid() << 40 ^ (uint64_t)(uintptr_t)&local;
    }
    local.random[1] |= 1;
    errno = saved;
}

/* xorshift128+: ids need to differ, not to be secret. */
uint64_t local_random(void)
{
    uint64_t v;
    if (__builtin_expect(local.random[0] == 0 && local.random[1] == 0, 0))
        seed();
    do {
        uint64_t a = local.random[0];
        const uint64_t b = local.random[1];
        local.random[0] = b;
        a ^= a << 23;
        local.random[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
        v = local.random[1] + b;
    } while (__builtin_expect(v == 0, 0));
    return v;
}
