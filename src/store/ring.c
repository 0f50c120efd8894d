#include "store/ring.h"

#include <string.h>

#include "store/read.h"
#include "store/space.h"

enum {
    RECORD_EXTRA = RING_COPY - LIMIT_RECORD, /* head, service name and zeros */
    ROOM_AHEAD = LIMIT_ITEM, /* more than is needed, so that the tail moves seldom */
};

static uint64_t capacity(const struct store *st, enum store_ring_id ring)
{
    return st->head->section[ring_section(ring)].size;
}

static struct ring_record *record_at(const struct store *st, enum store_ring_id ring, uint64_t pos)
{
    const struct section_place *p = &st->head->section[ring_section(ring)];
    return (struct ring_record *)(void *)(st->base + p->offset + pos % p->size);
}

/* ---- whose they are ---- */

static uint64_t *use_of(struct store *st, enum store_ring_id ring, unsigned domain)
{
    return &st->use[domain < STORE_DOMAINS ? domain : 0].ring[ring];
}

uint64_t ring_use(const struct store *st, enum store_ring_id ring, unsigned domain)
{
    return st->use[domain < STORE_DOMAINS ? domain : 0].ring[ring];
}

void ring_count_all(struct store *st, enum store_ring_id ring)
{
    const struct ring_head *h = &st->head->ring[ring];
    for (unsigned d = 0; d < STORE_DOMAINS; d++)
        st->use[d].ring[ring] = 0;
    for (uint64_t pos = h->tail; pos < h->head;) {
        const struct ring_record *r = record_at(st, ring, pos);
        if (r->kind)
            *use_of(st, ring, r->domain) += r->size;
        pos += r->size;
    }
}

/* ---- writing ---- */

uint64_t ring_limit(const struct store *st, enum store_ring_id ring)
{
    const uint64_t limit = capacity(st, ring) / 8;
    return limit > LIMIT_RECORD ? LIMIT_RECORD : limit < LIMIT_ITEM ? LIMIT_ITEM : limit;
}

static uint64_t record_max(const struct store *st, enum store_ring_id ring)
{
    return ring_limit(st, ring) + RECORD_EXTRA;
}

/* For a record and the padding that may come before it. */
static uint64_t room(const struct store *st, enum store_ring_id ring)
{
    return 2 * record_max(st, ring);
}

uint64_t ring_span(const struct store *st, enum store_ring_id ring)
{
    return capacity(st, ring) - room(st, ring) - ROOM_AHEAD;
}

bool ring_has_room(const struct store *st, enum store_ring_id ring)
{
    const struct ring_head *h = &st->head->ring[ring];
    return capacity(st, ring) - (h->head - h->tail) >= room(st, ring);
}

void ring_make_room(struct store *st, enum store_ring_id ring)
{
    struct ring_head *h = &st->head->ring[ring];
    const uint64_t size = capacity(st, ring);
    if (ring_has_room(st, ring))
        return;
    store_commit(st);
    uint64_t tail = h->tail, seq = h->tail_seq;
    while (size - (h->head - tail) < room(st, ring) + ROOM_AHEAD) {
        const struct ring_record *r = record_at(st, ring, tail);
        tail += r->size;
        seq += r->kind != 0;
        if (r->kind)
            *use_of(st, ring, r->domain) -= r->size;
    }
    STORE_SET(st, h->tail, tail);
    STORE_SET(st, h->tail_seq, seq);
    store_commit(st);
}

/* Pages for the first lap; later ones find them there. */
static int reserve_lap(struct store *st, enum store_ring_id ring, uint64_t end)
{
    const uint64_t size = capacity(st, ring);
    return space_ensure(st, ring_section(ring), end < size ? end : size);
}

/* Fills up to the end of the segment's ring, so that no record wraps. */
static uint64_t pad(struct store *st, enum store_ring_id ring, uint64_t pos, uint64_t need)
{
    const uint64_t size = capacity(st, ring), left = size - pos % size;
    if (need <= left)
        return pos;
    struct ring_record *r = record_at(st, ring, pos);
    r->seq = 0; /* 16 bytes are always there: sizes are multiples of 16 */
    r->size = (uint32_t)left;
    r->kind = 0;
    return pos + left;
}

int ring_append(struct store *st, enum store_ring_id ring, const struct ring_item *item)
{
    struct ring_head *h = &st->head->ring[ring];
    const uint64_t raw = sizeof(struct ring_record) + item->service.n + item->body.n;
    const uint64_t need = (raw + 15) / 16 * 16;
    if (item->body.n > ring_limit(st, ring) || item->service.n > LIMIT_SERVICE)
        return -ERR_RANGE;
    if (reserve_lap(st, ring, h->head + room(st, ring)) < 0)
        return -ERR_FULL;
    const uint64_t pos = pad(st, ring, h->head, need);
    struct ring_record *r = record_at(st, ring, pos);
    *r = (struct ring_record){
        .seq = h->head_seq + 1,
        .size = (uint32_t)need,
        .kind = (uint8_t)item->kind,
        .service = (uint8_t)item->service.n,
        .domain = (uint16_t)item->domain,
        .body = (uint32_t)item->body.n,
        .session = item->session,
        .received = item->received,
    };
    char *p = (char *)(r + 1);
    memcpy(p, item->service.p ? item->service.p : "", item->service.n);
    memcpy(p + item->service.n, item->body.p ? item->body.p : "", item->body.n);
    memset(p + item->service.n + item->body.n, 0, need - raw);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    STORE_SET(st, h->head_seq, h->head_seq + 1);
    STORE_SET(st, h->head, pos + need);
    *use_of(st, ring, item->domain) += need;
    return 0;
}

/* ---- reading ---- */

uint64_t ring_tail(const struct store *st, enum store_ring_id ring)
{
    return __atomic_load_n(&st->head->ring[ring].tail, __ATOMIC_ACQUIRE);
}

uint64_t ring_head(const struct store *st, enum store_ring_id ring)
{
    return __atomic_load_n(&st->head->ring[ring].head, __ATOMIC_ACQUIRE);
}

/* The record was gone before its copy was whole: on from the oldest one left. */
static int overwritten(const struct store *st, enum store_ring_id ring, uint64_t *position)
{
    *position = ring_tail(st, ring);
    return -ERR_RANGE;
}

/* Copies the record at pos: its size, or 0 when it cannot be one. One that is too
 * large for the copy is padding to this reader. */
static uint32_t copy_record(const struct store *st, enum store_ring_id ring, uint64_t pos,
                            void *copy, size_t copy_size)
{
    const uint64_t size = capacity(st, ring);
    const uint64_t left = size ? size - pos % size : 0; /* a damaged store can have none */
    struct ring_record head;
    if (left < 16)
        return 0;
    memset(&head, 0, sizeof head);
    memcpy(&head, record_at(st, ring, pos), left < sizeof head ? 16 : sizeof head);
    if (head.size < 16 || head.size % 16 || head.size > left)
        return 0;
    if (head.kind &&
        (head.size < sizeof head || sizeof head + head.service + (uint64_t)head.body > head.size))
        return 0;
    if (head.kind == 0 || head.size > copy_size) {
        head.kind = 0;
        memcpy(copy, &head, sizeof head);
        return head.size;
    }
    memcpy(copy, record_at(st, ring, pos), head.size);
    return head.size;
}

static void view(const struct ring_record *r, uint64_t pos, struct ring_view *out)
{
    const char *p = (const char *)(r + 1);
    *out = (struct ring_view){
        .position = pos,
        .seq = r->seq,
        .received = r->received,
        .kind = r->kind,
        .domain = r->domain,
        .session = r->session,
        .service = {p, r->service},
        .body = {p + r->service, r->body},
    };
}

int ring_read(const struct store *st, enum store_ring_id ring, uint64_t *position, void *copy,
              size_t copy_size, struct ring_view *out)
{
    for (;;) {
        const uint64_t pos = *position;
        if (pos < ring_tail(st, ring) || pos > ring_head(st, ring))
            return overwritten(st, ring, position);
        if (pos == ring_head(st, ring))
            return 0;
        const uint32_t size = copy_record(st, ring, pos, copy, copy_size);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (size == 0 || pos < ring_tail(st, ring))
            return overwritten(st, ring, position);
        *position = pos + size;
        const struct ring_record *r = copy;
        if (r->kind == 0)
            continue;
        view(r, pos, out);
        return 1;
    }
}

int ring_consume(struct store *st, enum store_ring_id ring, enum store_consumer c, void *copy,
                 size_t copy_size, struct ring_view *out)
{
    struct ring_head *h = &st->head->ring[ring];
    struct ring_consumer_head *me = &h->consumer[c];
    assert(copy_size >= RING_COPY);
    if (me->cursor < h->tail) {
        STORE_SET(st, me->overrun, h->tail_seq - me->begun - me->read);
        STORE_SET(st, me->cursor, h->tail);
    }
    uint64_t pos = me->cursor;
    const int r = ring_read(st, ring, &pos, copy, copy_size, out);
    if (r <= 0)
        return r;
    STORE_SET(st, me->cursor, pos);
    STORE_ADD(st, me->read, 1);
    return 1;
}

void ring_outcome(struct store *st, enum store_ring_id ring, enum store_consumer c,
                  enum ring_outcome outcome)
{
    struct ring_consumer_head *me = &st->head->ring[ring].consumer[c];
    switch (outcome) {
    case RING_DELIVERED:
        STORE_ADD(st, me->delivered, 1);
        break;
    case RING_FILTERED:
        STORE_ADD(st, me->filtered, 1);
        break;
    case RING_FAILED:
        STORE_ADD(st, me->failed, 1);
        break;
    }
}

void consumer_read(const struct store *st, enum store_ring_id ring, enum store_consumer c,
                   struct consumer_view *out)
{
    const struct ring_head *h = &st->head->ring[ring];
    const struct ring_consumer_head *me = &h->consumer[c];
    *out = (struct consumer_view){
        .appended = h->head_seq - me->begun,
        .read = me->read,
        .overrun = me->overrun,
        .delivered = me->delivered,
        .filtered = me->filtered,
        .failed = me->failed,
    };
    /* A reader may see one word before a batch and the next after it. */
    const uint64_t done = out->delivered + out->filtered + out->failed;
    const uint64_t passed = out->read + out->overrun;
    out->waiting = out->appended > passed ? out->appended - passed : 0;
    out->in_flight = out->read > done ? out->read - done : 0;
}

struct str consumer_name(const struct store *st, unsigned consumer)
{
    if (consumer >= CONSUMER_MAX)
        return (struct str){0};
    const char *name = (const char *)st->head->consumer[consumer];
    return (struct str){name, strnlen(name, CONSUMER_NAME)};
}

bool consumer_reads(const struct store *st, unsigned consumer, enum store_ring_id ring)
{
    return consumer_name(st, consumer).n > 0 &&
           (consumer == CONSUMER_HEALTH ? ring == RING_EVENTS
                                        : !(st->head->unread & UNREAD(consumer, ring)));
}
