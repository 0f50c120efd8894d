#include "intake/rings.h"

#include <assert.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "intake/conn.h"
#include "pipeline/domain.h"
#include "serve/foreign.h"
#include "store/commit.h"
#include "wire/encode.h"

enum {
    EMPTY_LOOKS = 25,       /* until a ring sleeps */
    MIXED_WORDS = 128,      /* fewer than so many at once are not worth the while: */
    MIXED_TURNS = 16,       /* that is tried again after so many turns */
    GATHER_WORDS = 1 << 17, /* that are worth a look at a large ring */
};

#define LOOK_NS     (2 * NS_PER_MS)
#define LOOK_MIN_NS (200 * NS_PER_US) /* when one fills up fast */
#define LOOK_MAX_NS (100 * NS_PER_MS) /* also behind a look in which the machine stood still */
#define PATIENCE    NS_PER_S          /* for a definition that is on its way */
#define DYING       NS_PER_S          /* for a process to be dead after its socket is closed */

/* ---- looking ---- */

static bool barrier(int command)
{
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

/* By a descriptor of its own: the loop's timers are as coarse as milliseconds, in which a
 * thread fills its ring. A look that is due is never put off: rings that are offered one after
 * the other would else keep the others from being looked at. */
static void look_in(struct rings *r, uint64_t ns)
{
    const uint64_t rest = ns < LOOK_MAX_NS ? ns : LOOK_MAX_NS, at = clock_now().mono + rest;
    const struct itimerspec t = {.it_value.tv_nsec = (long)rest};
    if (TAILQ_EMPTY(&r->awake) || (r->due && r->due <= at))
        return;
    if (timerfd_settime(r->timer, 0, &t, NULL) == 0)
        r->due = at;
}

/* One that was asleep may get much at once: how fast it fills is not known yet. */
static void wake(struct rings *r, struct shared_ring *s)
{
    s->empty = 0;
    if (s->awake)
        return;
    r->rest = LOOK_MIN_NS;
    s->awake = true;
    atomic_store_explicit(&s->slot->asleep, 0, memory_order_relaxed);
    TAILQ_INSERT_TAIL(&r->awake, s, look);
    look_in(r, r->rest);
}

static void unlist(struct rings *r, struct shared_ring *s)
{
    if (s->awake)
        TAILQ_REMOVE(&r->awake, s, look);
    s->awake = false;
}

/* What is committed may be seen. */
static void tell(struct shared_ring *s)
{
    atomic_store_explicit(&s->slot->items, s->items, memory_order_relaxed);
    atomic_store_explicit(&s->slot->tail, s->tail, memory_order_release);
}

static uint64_t head_of(const struct shared_ring *s)
{
    return atomic_load_explicit(&s->map.page->head, memory_order_acquire);
}

/* Each look takes the head's line from the writer, and each store of it takes it back: so
 * a head is looked at once for all that is then read. Returns the words. */
static uint64_t see(struct shared_ring *s)
{
    s->until = head_of(s);
    return s->until - s->tail;
}

/* Whether a missing definition may still come. */
static bool is_patient(const struct shared_ring *s, struct when now)
{
    return !s->conn->ended && !s->conn->in->drained &&
           (s->waits == 0 || now.mono - s->waits < PATIENCE);
}

/* Something to be done with it; a head that cannot be is, too. */
static bool has_work(const struct shared_ring *s, struct when now)
{
    return !s->reason && (s->announced || s->conn->ended) && s->until != s->tail &&
           (s->waits == 0 || s->retry || !is_patient(s, now));
}

/* Those of the list had nothing for a while. Their producers are told to ring, and what
 * they published before they could see that is found by the second look. */
static void put_to_sleep(struct rings *r, struct shared_ring_list *sleepy)
{
    struct shared_ring *s;
    if (++r->sleep == 0)
        r->sleep = 1;
    TAILQ_FOREACH(s, sleepy, look)
    atomic_store_explicit(&s->slot->asleep, r->sleep, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    (void)barrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
    while ((s = TAILQ_FIRST(sleepy)) != NULL) {
        TAILQ_REMOVE(sleepy, s, look);
        s->awake = false;
        if (head_of(s) != s->tail)
            wake(r, s);
    }
}

/* As many words as are worth a look: enough to be read at one go, and far from a full ring. */
static uint64_t fair_share(const struct shared_ring *s)
{
    const uint64_t quarter = s->map.mask / 4;
    return quarter < GATHER_WORDS ? quarter : (uint64_t)GATHER_WORDS;
}

/* One that is awake; how full it is of what it should hold, in percent. */
static uint64_t look_at(struct shared_ring *s, struct when now)
{
    const uint64_t words = see(s);
    if (s->conn->place == CONN_IDLE && (has_work(s, now) || s->conn->ended))
        conn_queue(s->conn);
    s->empty = words ? 0 : s->empty + 1;
    return 100 * words / fair_share(s);
}

/* So that the fullest ring holds about what it should at the next look. */
static void set_pace(struct rings *r, uint64_t fullest)
{
    uint64_t rest = r->rest;
    if (fullest > 100)
        rest = 100 * rest / fullest;
    else if (fullest < 50)
        rest *= 2;
    r->rest = rest < LOOK_MIN_NS ? LOOK_MIN_NS : rest < LOOK_NS ? rest : LOOK_NS;
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
    struct rings *r = arg;
    const struct when now = clock_now();
    struct shared_ring_list sleepy = TAILQ_HEAD_INITIALIZER(sleepy);
    struct shared_ring *s, *next;
    uint64_t fullest = 0, expired;
    (void)what;
    if (read(fd, &expired, sizeof expired) < 0)
        return; /* it was set anew */
    r->due = 0;
    for (s = TAILQ_FIRST(&r->awake); s; s = next) {
        next = TAILQ_NEXT(s, look);
        const uint64_t full = look_at(s, now);
        fullest = full > fullest ? full : fullest;
        if (s->empty >= EMPTY_LOOKS && r->barrier) {
            TAILQ_REMOVE(&r->awake, s, look);
            TAILQ_INSERT_TAIL(&sleepy, s, look);
        }
    }
    if (!TAILQ_EMPTY(&sleepy))
        put_to_sleep(r, &sleepy);
    set_pace(r, fullest);
    const uint64_t took = clock_now().mono - now.mono; /* a twentieth of the time at most */
    look_in(r, 20 * took > r->rest ? 20 * took : r->rest);
    own_observe(&r->in->pl->own, OWN_CALLBACK, (double)took / (double)NS_PER_S);
    store_commit(r->in->pl->st);
}

/* ---- offers ---- */

/* Connections that share rings, of this session and a few others. */
static struct sharers *sharers(struct rings *r, uint32_t session)
{
    return &r->sharers[session % RINGS_SHARERS];
}

static struct conn_rings *rings_of(struct conn *c)
{
    if (c->rings)
        return c->rings;
    struct conn_rings *cr = calloc(1, sizeof *cr);
    if (cr) {
        cr->conn = c;
        TAILQ_INIT(&cr->all);
        LIST_INSERT_HEAD(sharers(&c->in->rings, c->link.session), cr, same);
    }
    return c->rings = cr;
}

bool rings_take(struct conn *c, int fd)
{
    struct conn_rings *cr = rings_of(c);
    if (!cr || cr->nfd == RINGS_WAITING) {
        foreign_close(fd);
        return false;
    }
    cr->fd[cr->nfd++] = fd;
    return true;
}

static int next_fd(struct conn_rings *cr)
{
    if (!cr || cr->nfd == 0)
        return -1;
    const int fd = cr->fd[0];
    cr->nfd--;
    memmove(cr->fd, cr->fd + 1, cr->nfd * sizeof *cr->fd);
    return fd;
}

static struct shared_ring *find(const struct conn_rings *cr, uint32_t stream)
{
    struct shared_ring *s;
    TAILQ_FOREACH(s, &cr->all, entry)
    if (s->link.stream == stream && !s->reason)
        break;
    return s;
}

static void count_rings(struct rings *r, int change)
{
    r->n = (unsigned)((int)r->n + change);
    own_set(&r->in->pl->own, OWN_RINGS, 0, r->n);
    store_commit(r->in->pl->st);
}

static void free_ring(struct conn *c, struct shared_ring *s)
{
    struct rings *r = &c->in->rings;
    unlist(r, s);
    TAILQ_REMOVE(&c->rings->all, s, entry);
    c->rings->n--;
    if (s->slot)
        slots_give(s->area, s->announced);
    ring_map_close(&s->map);
    free(s);
    count_rings(r, -1);
}

/* 0, or the reject reason. */
static unsigned map_ring(struct conn *c, struct shared_ring *s, int fd, uint32_t words)
{
    struct rings *r = &c->in->rings;
    if (r->n > c->in->options.rings ||
        slots_used(&r->slots, c->link.peer.uid) >= c->in->options.user_rings)
        return REJECT_REFUSED;
    if (ring_map_open(&s->map, fd, words) < 0)
        return REJECT_RING;
    s->slot = slots_take(&r->slots, c->link.peer.uid, &s->area);
    return s->slot ? 0 : REJECT_REFUSED;
}

static void end_ring(struct conn *c, uint32_t stream)
{
    struct shared_ring *s = c->rings ? find(c->rings, stream) : NULL;
    if (!s)
        return;
    link_ring_close(&c->link, &s->link);
    free_ring(c, s);
}

/* A producer may come back before its old connection is read to the end. The ring is then
 * read over the new one alone, or its records would count twice; false on the old one. */
static bool take_over(struct rings *r, const struct conn *c, uint32_t stream)
{
    struct conn_rings *other;
    LIST_FOREACH(other, sharers(r, c->link.session), same)
    {
        if (other->conn == c || other->conn->link.session != c->link.session)
            continue;
        if (other->conn->link.welcomed > c->link.welcomed)
            return false;
        struct shared_ring *s = find(other, stream);
        if (s)
            free_ring(other->conn, s);
    }
    return true;
}

static bool is_read(void *arg, const struct link *l, uint64_t mark)
{
    const struct conn_rings *of;
    const struct shared_ring *s;
    LIST_FOREACH(of, sharers(arg, l->session), same)
    if (of->conn->link.session == l->session)
        TAILQ_FOREACH(s, &of->all, entry)
    if (s->link.mark == mark && !s->reason)
        return true;
    return false;
}

/* A producer that is refused reads the ring itself, from where we say: what the store
 * knows of it is then no longer so. */
static unsigned open_ring(struct conn *c, struct shared_ring *s, int fd, const struct ring_offer *o)
{
    struct rings *r = &c->in->rings;
    int error = link_ring_open(&c->link, o, &s->link);
    if (error < 0 && link_ring_forget(&c->link, is_read, r))
        error = link_ring_open(&c->link, o, &s->link);
    if (error < 0)
        return REJECT_REFUSED;
    s->tail = s->until = link_ring_position(&c->link, &s->link);
    s->items = link_ring_items(&c->link, &s->link);
    const unsigned reason = map_ring(c, s, fd, o->words);
    if (reason)
        link_ring_close(&c->link, &s->link);
    else
        tell(s);
    return reason;
}

static int offered(void *arg, struct link *l, const struct ring_offer *o)
{
    struct rings *r = arg;
    struct conn *c = conn_of_link(l);
    if (o->words == 0) {
        end_ring(c, o->stream);
        return 0;
    }
    const int fd = next_fd(c->rings);
    const bool good =
        fd >= 0 && c->rings->n < l->rings + RINGS_BEYOND && !find(c->rings, o->stream);
    struct shared_ring *s = good ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        if (fd >= 0)
            foreign_close(fd);
        return -ERR_SYNTAX;
    }
    s->conn = c;
    s->link.stream = o->stream;
    TAILQ_INSERT_TAIL(&c->rings->all, s, entry);
    c->rings->n++;
    count_rings(r, 1);
    s->tail = s->until = o->position;
    s->reason = take_over(r, c, o->stream) ? open_ring(c, s, fd, o) : REJECT_REFUSED;
    foreign_close(fd);
    conn_queue(c); /* to answer */
    return 0;
}

static void on_bell(void *arg, struct link *l, uint64_t token)
{
    struct conn *c = conn_of_link(l);
    (void)arg;
    if (!rings_of(c))
        return; /* no memory: it goes unanswered, and is rung again after a reconnect */
    c->rings->bell = token ? token : c->rings->bell;
    c->rings->rung = true;
}

/* ---- reading ---- */

void rings_see(struct conn *c)
{
    struct shared_ring *s;
    TAILQ_FOREACH(s, &c->rings->all, entry)
    if (!s->reason)
        (void)see(s);
}

bool rings_ready(const struct conn *c, struct when now)
{
    const struct shared_ring *s;
    if (!c->rings)
        return false;
    TAILQ_FOREACH(s, &c->rings->all, entry)
    if (has_work(s, now))
        return true;
    return false;
}

/* The next ring that has something becomes the last. */
static struct shared_ring *next_ring(struct conn *c, struct when now)
{
    struct shared_ring *s;
    TAILQ_FOREACH(s, &c->rings->all, entry)
    if (has_work(s, now))
        break;
    if (s) {
        TAILQ_REMOVE(&c->rings->all, s, entry);
        TAILQ_INSERT_TAIL(&c->rings->all, s, entry);
    }
    return s;
}

static void publish(struct conn *c, struct shared_ring *s)
{
    s->tail = link_ring_position(&c->link, &s->link);
    s->items = link_ring_items(&c->link, &s->link);
    tell(s);
}

/* Where they lie, as far as they are counters alone; the words passed over. Rings that hold
 * much else are not asked each time. */
static uint32_t add_in_place(struct conn *c, struct shared_ring *s, uint64_t head, uint32_t most,
                             struct when now)
{
    const uint32_t at = (uint32_t)s->tail & s->map.mask;
    uint64_t n = head - s->tail < most ? head - s->tail : most;
    if (s->mixed > 0) {
        s->mixed--;
        return 0;
    }
    n = n < s->map.mask + 1 - at ? n : s->map.mask + 1 - at;
    const uint32_t taken = link_ring_add(&c->link, &s->link, s->map.words + at, (uint32_t)n, now);
    if (taken + SHM_RING_UPDATE <= n && taken < MIXED_WORDS)
        s->mixed = MIXED_TURNS;
    s->tail += taken;
    return taken;
}

/* Copied first; not much of it. */
static uint32_t feed_copy(struct conn *c, struct shared_ring *s, uint64_t head, struct buf *out,
                          enum link_ring_end *end, struct when now)
{
    uint32_t *copy = (uint32_t *)(void *)c->in->scratch, taken;
    const uint32_t n =
        shm_ring_copy(s->map.words, s->map.mask, s->tail, head, copy, RINGS_READ / sizeof *copy);
    *end = link_ring_feed(&c->link, &s->link, copy, n, is_patient(s, now), &taken, out, now);
    return taken;
}

bool rings_read(struct conn *c, struct buf *out, size_t *bytes, struct when now)
{
    struct shared_ring *s = next_ring(c, now);
    enum link_ring_end end = LINK_RING_GOOD;
    if (!s)
        return true;
    const uint64_t head = s->until;
    if (head - s->tail > (uint64_t)s->map.mask + 1) {
        link_bad_ring(&c->link, out);
        return false;
    }
    const uint32_t most =
        (uint32_t)((c->in->nready ? RINGS_READ : RINGS_READ_ALONE) / sizeof(uint32_t));
    uint32_t taken = add_in_place(c, s, head, most, now);
    if (taken < MIXED_WORDS && s->tail != head)
        taken += feed_copy(c, s, head, out, &end, now);
    publish(c, s);
    if (s->tail == s->until && see(s) < fair_share(s))
        s->until = s->tail; /* it is left alone till the next look: chasing the writer slows it */
    s->retry = false;
    *bytes = taken * sizeof(uint32_t);
    domain_read(c->in->pl, c->link.domain, *bytes, now);
    if (end == LINK_RING_WAITS)
        s->waits = s->waits && !taken ? s->waits : now.mono;
    else
        s->waits = 0;
    if (end == LINK_RING_BROKEN)
        link_bad_ring(&c->link, out);
    return end != LINK_RING_BROKEN;
}

/* Bells are many to a read, and rings to a connection: all are looked at once for them. */
void rings_heard(struct conn *c)
{
    struct shared_ring *s;
    TAILQ_FOREACH(s, &c->rings->all, entry)
    {
        s->retry = true;
        if (!c->rings->rung || s->reason)
            continue;
        (void)see(s);
        s->goal = s->until;
        if (s->announced)
            wake(&c->in->rings, s);
    }
    c->rings->rung = false;
}

/* ---- answers ---- */

static bool announce(struct conn *c, struct shared_ring *s)
{
    const struct ring_ready ready = {
        .stream = s->link.stream,
        .reason = s->reason,
        .position = s->tail,
        .items = s->items,
        .slot = s->slot && !s->reason ? slot_offset(s->area, s->slot) : 0,
    };
    struct buf *out = &c->in->out;
    buf_reset(out);
    encode_ring_ready(out, &ready);
    return conn_send_with(c, out, s->reason ? -1 : s->area->fd);
}

/* All that was there when the bell rang is read; rings that came later have no goal. */
static bool bell_is_due(const struct conn_rings *cr)
{
    const struct shared_ring *s;
    TAILQ_FOREACH(s, &cr->all, entry)
    if (!s->reason && s->tail < s->goal)
        return false;
    return cr->bell != 0;
}

bool rings_answer(struct conn *c)
{
    struct conn_rings *cr = c->rings;
    struct shared_ring *s, *next;
    for (s = TAILQ_FIRST(&cr->all); s; s = next) {
        next = TAILQ_NEXT(s, entry);
        if (s->announced)
            continue;
        if (c->pending.n || c->deaf)
            return true;
        if (!announce(c, s))
            return false;
        s->announced = true;
        if (s->reason) {
            free_ring(c, s);
            continue;
        }
        slots_told(s->area);
        wake(&c->in->rings, s); /* not before: who takes no answers costs no looks */
    }
    if (!bell_is_due(cr))
        return true;
    buf_reset(&c->in->out);
    encode_bell(&c->in->out, cr->bell);
    cr->bell = 0;
    return conn_answer(c, &c->in->out);
}

/* ---- ends ---- */

/* A peer that lives comes back with its ring, and with the item that it was writing. */
static bool is_dead(uint32_t pid)
{
    const int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return errno == ESRCH;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    const bool dead = poll(&p, 1, 0) == 1;
    close(fd);
    return dead;
}

/* The kernel closes what a process had before it counts as dead. */
bool rings_mourn(struct conn *c, struct when now)
{
    struct rings *r = &c->in->rings;
    struct shared_ring *s;
    const bool dead = is_dead(c->link.peer.pid);
    bool waits = false;
    if (!c->rings->ended)
        c->rings->ended = now.mono;
    TAILQ_FOREACH(s, &c->rings->all, entry)
    {
        if (s->reason || !shm_ring_torn(s->map.page))
            continue;
        if (dead)
            link_ring_torn(&c->link, &s->link);
        else if (now.mono - c->rings->ended < DYING) {
            wake(r, s);
            waits = true;
        }
    }
    return waits;
}

void rings_close(struct conn *c)
{
    struct conn_rings *cr = c->rings;
    struct shared_ring *s;
    while ((s = TAILQ_FIRST(&cr->all)) != NULL)
        free_ring(c, s);
    while (cr->nfd > 0)
        foreign_close(cr->fd[--cr->nfd]);
    LIST_REMOVE(cr, same);
    free(cr);
    c->rings = NULL;
}

/* ---- life ---- */

int rings_init(struct rings *r, struct intake *in)
{
    *r = (struct rings){.in = in, .edge = {offered, on_bell, r}};
    TAILQ_INIT(&r->awake);
    LIST_INIT(&r->slots.users);
    r->barrier = barrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
    r->rest = LOOK_NS;
    r->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    r->look = r->timer < 0 ? NULL : event_new(in->base, r->timer, EV_READ | EV_PERSIST, on_look, r);
    if (!r->look || event_add(r->look, NULL) < 0)
        return -ERR_NOMEM;
    in->pl->rings = &r->edge;
    return 0;
}

void rings_fini(struct rings *r)
{
    if (r->look)
        event_free(r->look);
    if (r->timer >= 0)
        close(r->timer);
    r->look = NULL;
    r->timer = -1;
}
