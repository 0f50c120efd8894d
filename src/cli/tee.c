#include "cli/tee.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Positions count bytes since the beginning. What one side writes for each note and what the
 * other writes lie in lines of their own. */
struct tee_shared {
    _Alignas(64) _Atomic uint64_t tail; /* the sender: there are notes up to here */
    _Atomic uint64_t base;              /* the position at the ring's front, or a ring before it */
    _Alignas(64) _Atomic uint64_t head; /* the reader: read up to here */
    _Atomic uint64_t kick_at;           /* kick beyond this position; TEE_NEVER: it has been done */
    _Atomic bool room_wanted;           /* the sender waits for it */
    _Alignas(64) char ring[TEE_RING];
};

#define TEE_NEVER UINT64_MAX

enum {
    ALIGNMENT = 8,
    HEAD = sizeof(struct tee_head),
    ROOM = TEE_RING / 4 * 3, /* that a sender waits for: else it would wait again soon */
};

_Static_assert(HEAD % ALIGNMENT == 0, "a note's bytes begin behind its head");
_Static_assert(ROOM >= 2 * (TEE_CHUNK + HEAD), "the largest note fits, behind a skip");

static size_t place_of(uint64_t base, uint64_t position)
{
    return (position - base) % TEE_RING;
}

static size_t size_of(uint32_t bytes)
{
    return HEAD + (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static int open_descriptors(int pair[2], int *kick)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return -1;
    *kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (*kick >= 0)
        return 0;
    close(pair[0]);
    close(pair[1]);
    return -1;
}

int tee_open(struct tee *t, struct tee_reader *reader)
{
    int pair[2], kick;
    void *memory = mmap(NULL, sizeof(struct tee_shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -1;
    if (open_descriptors(pair, &kick) != 0) {
        munmap(memory, sizeof(struct tee_shared));
        return -1;
    }
    t->shared = memory;
    t->fd = pair[0];
    t->kick = kick;
    t->tail = t->base = 0;
    *reader = (struct tee_reader){.shared = memory, .fd = pair[1], .kick = kick};
    return 0;
}

/* ---- the sender ---- */

void tee_close(struct tee *t)
{
    if (t->fd >= 0) {
        close(t->fd);
        close(t->kick);
        munmap(t->shared, sizeof *t->shared);
    }
    t->fd = t->kick = -1;
    t->shared = NULL;
    memset(t->lost, 0, sizeof t->lost); /* the next one counts anew */
}

static void kick(struct tee *t)
{
    const uint64_t one = 1;
    atomic_store_explicit(&t->shared->kick_at, TEE_NEVER, memory_order_relaxed);
    /* A counter that is full has been kicked enough. */
    if (write(t->kick, &one, sizeof one) < 0)
        return;
}

/* The ring is empty. Who reads learns of it with the next tail. */
static void begin_anew(struct tee *t)
{
    t->base = t->tail;
    atomic_store_explicit(&t->shared->base, t->base, memory_order_relaxed);
}

/* Where a note of that size may be written; NULL: nowhere. A note lies in one piece. */
static __attribute__((hot)) char *find_room(struct tee *t, size_t size)
{
    struct tee_shared *s = t->shared;
    const uint64_t head = atomic_load_explicit(&s->head, memory_order_acquire);
    if (head == t->tail)
        begin_anew(t);
    const size_t place = place_of(t->base, t->tail), left = TEE_RING - place;
    const size_t skip = left < size ? left : 0;
    if (t->tail + skip + size - head > TEE_RING)
        return NULL;
    if (skip >= HEAD)
        ((struct tee_head *)(s->ring + place))->kind = TEE_SKIP;
    t->tail += skip;
    return s->ring + place_of(t->base, t->tail);
}

/* Gives the observer a moment to make room. */
static char *wait_for_room(struct tee *t, size_t size, int timeout_ms)
{
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    char *room, bytes[64];
    ssize_t n;
    while ((n = recv(t->fd, bytes, sizeof bytes, 0)) > 0)
        ;
    if (n == 0 || errno != EAGAIN) {
        tee_close(t);
        return NULL;
    }
    atomic_store_explicit(&t->shared->room_wanted, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    kick(t);
    if ((room = find_room(t, size)))
        return room;
    return poll(&p, 1, timeout_ms) == 1 ? find_room(t, size) : NULL;
}

/* See the top of tee.h. */
static char *insist(struct tee *t, size_t size)
{
    const uint64_t most = TEE_WAIT_MS * NS_PER_MS, now = clock_mono();
    if (t->in_vain)
        return NULL;
    t->credit += (now - t->credit_at) / TEE_WAIT_SHARE;
    t->credit = t->credit < most ? t->credit : most;
    t->credit_at = now;
    if (t->credit < NS_PER_MS)
        return NULL;
    char *room = wait_for_room(t, size, (int)(t->credit / NS_PER_MS));
    const uint64_t waited = clock_mono() - now;
    t->credit -= waited < t->credit ? waited : t->credit;
    t->in_vain = !room;
    return room;
}

static void lose(struct tee *t, const struct tee_head *head)
{
    t->lost[head->stream] += head->size;
    t->eof_lost[head->stream] |= head->kind == TEE_EOF;
}

/* The kick's position is looked at behind the tail's store, and the other way round by who
 * sets it: one of both sees the other's. */
static __attribute__((hot)) void publish(struct tee *t)
{
    struct tee_shared *s = t->shared;
    atomic_store_explicit(&s->tail, t->tail, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    if (t->tail > atomic_load_explicit(&s->kick_at, memory_order_relaxed))
        kick(t);
}

static __attribute__((hot)) void put(struct tee *t, struct tee_head *head, const char *p)
{
    const size_t size = size_of(head->size);
    char *room = find_room(t, size);
    if (!room && !(room = insist(t, size))) {
        lose(t, head);
        return;
    }
    t->in_vain = false;
    head->lost = t->lost[head->stream];
    memcpy(room, head, HEAD);
    memcpy(room + HEAD, p, head->size);
    t->tail += size;
    publish(t);
}

__attribute__((hot)) void tee_data(struct tee *t, enum tee_stream s, const char *p, size_t n,
                                   struct when now)
{
    struct tee_head head = {
        .when = now,
        .size = (uint32_t)n,
        .kind = TEE_DATA,
        .stream = (uint8_t)s,
        .line_start = !t->mid_line[s],
    };
    t->mid_line[s] = p[n - 1] != '\n';
    if (t->fd >= 0)
        put(t, &head, p);
    else
        lose(t, &head);
}

void tee_tell(struct tee *t, enum tee_kind kind, enum tee_stream s, int32_t value, struct when now)
{
    struct tee_head head = {
        .when = now,
        .value = value,
        .kind = (uint8_t)kind,
        .stream = (uint8_t)s,
    };
    if (t->fd >= 0)
        put(t, &head, "");
}

void tee_finish(struct tee *t, int32_t status, struct when now, int timeout_ms)
{
    struct pollfd p = {.fd = t->fd};
    const size_t last = (TEE_STREAMS + 1) * size_of(0);
    if (t->fd >= 0 && (find_room(t, last) || wait_for_room(t, last, timeout_ms))) {
        for (unsigned s = 0; s < TEE_STREAMS; s++)
            tee_tell(t, t->eof_lost[s] ? TEE_EOF : TEE_LOST, (enum tee_stream)s, 0, now);
        tee_tell(t, TEE_EXITED, TEE_UP, status, now);
    }
    if (t->fd < 0)
        return;
    shutdown(t->fd, SHUT_WR);
    poll(&p, 1, timeout_ms); /* until the hang-up: it has closed its end */
    tee_close(t);
}

/* ---- the reader ---- */

void tee_ready(struct tee_reader *r, size_t bytes)
{
    if (bytes <= r->ready)
        return;
    r->ready = bytes;
    /* A kernel that does not know how leaves it to the first write. */
    (void)madvise(r->shared, offsetof(struct tee_shared, ring) + bytes, MADV_POPULATE_WRITE);
}

bool tee_arm(struct tee_reader *r, unsigned unread)
{
    struct tee_shared *s = r->shared;
    const uint64_t at = r->head + unread;
    atomic_store_explicit(&s->kick_at, at, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&s->tail, memory_order_relaxed) <= at;
}

bool tee_kicked(struct tee_reader *r)
{
    char byte;
    uint64_t kicks;
    const bool any = read(r->kick, &kicks, sizeof kicks) > 0;
    const ssize_t n = recv(r->fd, &byte, sizeof byte, 0); /* nothing comes there but the end */
    r->over |= n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    return any || r->over;
}

bool tee_look(struct tee_reader *r)
{
    r->known = atomic_load_explicit(&r->shared->tail, memory_order_acquire);
    return r->known != r->head;
}

/* Wakes a sender that waits for it. */
static void make_room(struct tee_reader *r)
{
    struct tee_shared *s = r->shared;
    atomic_store_explicit(&s->head, r->head, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&s->room_wanted, memory_order_relaxed))
        return;
    const uint64_t tail = atomic_load_explicit(&s->tail, memory_order_relaxed);
    if (TEE_RING - (tail - r->head) >= ROOM) {
        atomic_store_explicit(&s->room_wanted, false, memory_order_relaxed);
        send(r->fd, "", 1, MSG_NOSIGNAL); /* one that is gone needs none */
    }
}

const struct tee_head *tee_next(struct tee_reader *r)
{
    const struct tee_shared *s = r->shared;
    r->head = r->next;
    make_room(r);
    if (r->head == r->known)
        return NULL;
    const size_t base = atomic_load_explicit(&s->base, memory_order_relaxed);
    const size_t left = TEE_RING - place_of(base, r->head);
    const struct tee_head *note = (const void *)(s->ring + TEE_RING - left);
    if (left < HEAD || note->kind == TEE_SKIP) {
        r->head += left;
        note = (const void *)s->ring;
    }
    r->next = r->head + size_of(note->size);
    assert(note->size <= TEE_CHUNK && r->known - r->head >= r->next - r->head);
    return note;
}

void tee_reader_close(struct tee_reader *r)
{
    close(r->fd);
    close(r->kick);
    munmap(r->shared, sizeof *r->shared);
    r->shared = NULL;
    r->fd = r->kick = -1;
}
