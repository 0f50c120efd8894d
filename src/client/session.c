/* The life of a session: open, flush, fork, close. */
#include "client/session.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

enum {
    BUFFER_MIN = 4096,
    BUFFER_MAX = 16 << 20,
    BUFFER_DEFAULT = 64 << 10,
    BUFFER_SHARED = 256 << 10, /* the daemon looks every few milliseconds */
    QUEUE_MIN = 128 << 10,     /* room for an item as long as can be, and frames beside it */
    QUEUE_DEFAULT = 4 << 20,
    FLUSH_DEFAULT = 100,
};

/* Every session of the process: a forked child and a thread that ends must find them. */
static struct {
    pthread_mutex_t lock;
    struct mcptally *first;
    uint64_t serial; /* of the newest */
    bool fork_handled;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- fork ---- */

static void before_fork(void)
{
    pthread_mutex_lock(&all.lock);
    for (struct mcptally *m = all.first; m; m = m->next) {
        pthread_mutex_lock(&m->lock);
        pthread_mutex_lock(&m->registry.lock);
    }
}

static void after_fork(void)
{
    for (struct mcptally *m = all.first; m; m = m->next) {
        pthread_mutex_unlock(&m->registry.lock);
        pthread_mutex_unlock(&m->lock);
    }
    pthread_mutex_unlock(&all.lock);
}

static void new_id(uint8_t id[16])
{
    if (getrandom(id, 16, GRND_NONBLOCK) == 16)
        return;
    put_u64(id, local_random());
    put_u64(id + 8, local_random());
}

/* The parent sends what is in its buffers; the child only has a copy of them, and
 * none of the threads that wrote them. */
static void free_rings(struct ring *r)
{
    while (r) {
        struct ring *next = r->next;
        ring_forget(r);
        r = next;
    }
}

static void init_condition(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

static void forked(struct mcptally *m)
{
    uint8_t id[16];
    free_rings(atomic_exchange(&m->new_rings, NULL));
    free_rings(m->rings);
    m->rings = NULL;
    pump_close(m);
    pump_init(&m->pump);
    waker_init(&m->waker, m->share.wanted);
    place_forked(&m->names);
    m->producer.instance = str_of(m->names.instance);
    new_id(id);
    producer_renew(&m->producer, id);
    m->past = (struct past){0};
    atomic_store(&m->homeless, 0);
    m->homeless_told = m->rejected_told = m->lost_told = 0;
    m->flushing = 0;
    m->helping = m->stopping = false;
    m->serial = ++all.serial;
    init_condition(&m->moved);
}

static void forked_child(void)
{
    local_forked();
    for (struct mcptally *m = all.first; m; m = m->next)
        forked(m);
    after_fork();
}

/* ---- open and close ---- */

static uint32_t within(uint32_t asked, uint32_t otherwise, uint32_t min, uint32_t max)
{
    const uint32_t v = asked ? asked : otherwise;
    return v < min ? min : v > max ? max : v;
}

static uint32_t power_of_two(uint32_t n)
{
    uint32_t v = BUFFER_MIN;
    while (v < n)
        v *= 2;
    return v;
}

static void set_options(struct mcptally *m, const mcptally_options *o)
{
    m->flags = o->flags;
    m->share.wanted = place_wants_rings(o);
    const uint32_t otherwise = m->share.wanted ? BUFFER_SHARED : BUFFER_DEFAULT;
    m->buffer_bytes = power_of_two(within(o->buffer_bytes, otherwise, BUFFER_MIN, BUFFER_MAX));
    m->flush_ms = within(o->flush_ms, FLUSH_DEFAULT, 1, 60000);
    place_names(&m->names, o);
    struct producer_options p = {
        .service = str_of(m->names.service),
        .instance = str_of(m->names.instance),
        .domain = str_of(m->names.domain),
        .agent = STR("libmcptally/" MCPTALLY_VERSION),
        .queue_bytes = within(o->queue_bytes, QUEUE_DEFAULT, QUEUE_MIN, UINT32_MAX),
        .no_ack = o->flags & MCPTALLY_NO_ACK,
        .wants_rings = m->share.wanted,
        .heard = share_heard,
        .heard_arg = m,
    };
    new_id(p.session);
    producer_init(&m->producer, &p);
}

static void enlist(struct mcptally *m)
{
    pthread_mutex_lock(&all.lock);
    if (!all.fork_handled)
        all.fork_handled = pthread_atfork(before_fork, after_fork, forked_child) == 0;
    m->serial = ++all.serial;
    m->next = all.first;
    all.first = m;
    pthread_mutex_unlock(&all.lock);
}

mcptally *mcptally_open(const mcptally_options *options)
{
    const mcptally_options none = {.size = sizeof none};
    const mcptally_options *o = options ? options : &none;
    if (o->size != sizeof *o) {
        errno = EINVAL;
        return NULL;
    }
    const int saved = errno;
    struct mcptally *m = calloc(1, sizeof *m);
    if (!m) {
        errno = ENOMEM;
        return NULL;
    }
    pthread_mutex_init(&m->lock, NULL);
    init_condition(&m->moved);
    pump_init(&m->pump);
    registry_init(&m->registry, m);
    set_options(m, o);
    waker_init(&m->waker, m->share.wanted);
    m->registry.eager = m->share.wanted ? &m->waker : NULL;
    enlist(m);
    errno = saved;
    return m;
}

static void close_rings(struct ring *r)
{
    while (r) {
        struct ring *next = r->next;
        ring_close(r);
        r = next;
    }
}

static void delist(struct mcptally *m)
{
    pthread_mutex_lock(&all.lock);
    struct mcptally **at = &all.first;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    /* From here on a thread that ends does not look at the session any more. */
    close_rings(atomic_exchange_explicit(&m->new_rings, NULL, memory_order_acquire));
    close_rings(m->rings);
    m->rings = NULL;
    pthread_mutex_unlock(&all.lock);
}

void mcptally_close(mcptally *m, int timeout_ms)
{
    if (!m)
        return;
    const int saved = errno;
    mcptally_flush(m, timeout_ms);
    pthread_mutex_lock(&m->lock);
    if (share_idle(m)) /* else what the daemon has still to read would be forgotten with us */
        producer_bye(&m->producer);
    m->flushing++; /* so that the last step drains */
    pump_step(m);
    m->stopping = true;
    const bool helping = m->helping;
    pthread_mutex_unlock(&m->lock);
    waker_wake(&m->waker);
    if (helping)
        pthread_join(m->helper, NULL);
    delist(m);
    pump_close(m);
    producer_fini(&m->producer);
    registry_fini(&m->registry);
    pthread_cond_destroy(&m->moved);
    pthread_mutex_destroy(&m->lock);
    free(m);
    errno = saved;
}

/* ---- threads ---- */

static void *help(void *arg)
{
    struct mcptally *m = arg;
    pthread_setname_np(pthread_self(), "mcptally");
    pthread_mutex_lock(&m->lock);
    while (!m->stopping) {
        const int timeout_ms = pump_step(m);
        pthread_mutex_unlock(&m->lock);
        pump_wait(m, timeout_ms);
        pthread_mutex_lock(&m->lock);
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

/* A thread inherits the mask of its maker: signals are the host's. */
static void start_helper(struct mcptally *m)
{
    sigset_t every, before;
    if (m->helping || pump_open(m) < 0)
        return;
    sigfillset(&every);
    if (pthread_sigmask(SIG_SETMASK, &every, &before) != 0)
        return;
    m->helping = pthread_create(&m->helper, NULL, help, m) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void session_ready(struct mcptally *m)
{
    if (m->flags & MCPTALLY_NO_THREAD)
        pump_open(m);
    else if (m->pump.started || atomic_load_explicit(&m->new_rings, memory_order_relaxed))
        start_helper(m);
}

void session_rouse(struct mcptally *m)
{
    pthread_mutex_lock(&m->lock);
    session_ready(m);
    pthread_mutex_unlock(&m->lock);
}

void session_thread_ended(struct ring *r)
{
    pthread_mutex_lock(&all.lock);
    while (r) {
        struct ring *next = r->next_local;
        struct mcptally *m = r->m;
        if (!atomic_load_explicit(&r->closed, memory_order_acquire)) {
            atomic_store_explicit(&r->dead, true, memory_order_release);
            /* When the lock is taken the pump is at work, and looks once more before it sleeps. */
            if (pthread_mutex_trylock(&m->lock) == 0) {
                pump_drain(m);
                pthread_mutex_unlock(&m->lock);
            }
            waker_wake(&m->waker);
        }
        ring_let_go(r);
        r = next;
    }
    pthread_mutex_unlock(&all.lock);
}

void session_begin_anew(struct mcptally *m)
{
    uint8_t id[16];
    struct producer *p = &m->producer;
    const uint64_t waiting = producer_waiting(p);
    m->past.taken += p->taken;
    m->past.acknowledged += p->acknowledged;
    m->past.rejected += p->rejected;
    m->past.queue += p->lost.total[LOST_QUEUE];
    m->past.expired += p->lost.total[LOST_EXPIRED];
    new_id(id);
    producer_renew(p, id);
    producer_lose(p, LOST_EXPIRED, waiting);
    share_expired(m);
}

int mcptally_fd(mcptally *m)
{
    if (!m || !(m->flags & MCPTALLY_NO_THREAD))
        return -1;
    pthread_mutex_lock(&m->lock);
    session_ready(m);
    const int fd = m->pump.epoll;
    pthread_mutex_unlock(&m->lock);
    return fd;
}

int mcptally_poll(mcptally *m)
{
    if (!m || !(m->flags & MCPTALLY_NO_THREAD))
        return -1;
    const int saved = errno;
    pthread_mutex_lock(&m->lock);
    session_ready(m);
    const int timeout_ms = pump_step(m);
    pthread_mutex_unlock(&m->lock);
    errno = saved;
    return timeout_ms;
}
