#include "wire/producer.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "wire/encode.h"

/* An unacknowledged frame. */
struct producer_frame {
    struct producer_frame *next;
    uint64_t first; /* of its sequence numbers; 0 while it has none */
    uint32_t count;
    uint8_t type;
    bool begun;      /* it was to be sent once, so it may not change any more */
    struct buf body; /* the whole frame; count and size are written when it begins */
};

enum { FRAME_HEAD = PROTO_HEADER + PROTO_BATCH };

static uint64_t last_of(const struct producer_frame *f)
{
    return f->first + f->count - 1;
}

void producer_init(struct producer *p, const struct producer_options *o)
{
    *p = (struct producer){
        .no_ack = o->no_ack,
        .wants_rings = o->wants_rings,
        .heard = o->heard,
        .heard_arg = o->heard_arg,
        .service = o->service,
        .instance = o->instance,
        .domain = o->domain,
        .agent = o->agent,
        .queue_bytes = o->queue_bytes,
    };
    buf_init(&p->definitions, PRODUCER_DEFINITIONS);
    buf_init(&p->control, PROTO_HEADER + LIMIT_FRAME);
    frame_reader_init(&p->reader);
    producer_renew(p, o->session);
}

static void drop_head(struct producer *p)
{
    struct producer_frame *f = p->head;
    assert(f != p->sending || p->sent == 0);
    p->head = f->next;
    if (!p->head)
        p->tail = NULL;
    if (p->sending == f)
        p->sending = f->next;
    p->held -= sizeof *f + f->body.cap;
    buf_fini(&f->body);
    free(f);
}

/* Frees the frames that are settled. One that is partly out stays until all of it
 * is: the daemon reads frames, not halves. */
static void forget_settled(struct producer *p)
{
    while (p->head && last_of(p->head) <= p->acked && (p->head != p->sending || p->sent == 0))
        drop_head(p);
}

void producer_fini(struct producer *p)
{
    producer_disconnected(p);
    while (p->head)
        drop_head(p);
    buf_fini(&p->definitions);
    buf_fini(&p->control);
}

void producer_renew(struct producer *p, const uint8_t session[16])
{
    producer_disconnected(p);
    while (p->head)
        drop_head(p);
    memcpy(p->session, session, sizeof p->session);
    p->next = p->unsent = 1;
    p->acked = p->store_id = 0;
    p->lost = p->told = p->told_ago = (struct lost){0};
    p->lost_changed = p->bye = false;
    p->taken = p->acknowledged = p->rejected = p->expired = 0;
    p->last_reject = p->max_ids = 0;
}

/* ---- definitions ---- */

static bool kept(struct buf *b)
{
    const bool failed = b->failed;
    b->failed = false; /* the definition is given up, not the buffer */
    return !failed;
}

uint32_t producer_define_metric(struct producer *p, const struct metric_def *def)
{
    encode_metric(&p->definitions, p->metrics + 1, def);
    return kept(&p->definitions) ? ++p->metrics : 0;
}

uint32_t producer_define_series(struct producer *p, uint32_t metric_id, const struct label *labels,
                                unsigned n)
{
    struct series_def def = {.id = p->series + 1, .metric_id = metric_id, .nlabels = n};
    assert(n <= LIMIT_LABELS);
    if (n > 0)
        memcpy(def.labels, labels, n * sizeof *labels);
    encode_series(&p->definitions, &def);
    return kept(&p->definitions) ? ++p->series : 0;
}

/* ---- the queue ---- */

/* Makes room for n more bytes of items. */
static bool reserve(struct producer *p, struct producer_frame *f, size_t n)
{
    const size_t cap = f->body.cap;
    const bool ok = buf_room(&f->body, n) != NULL;
    f->body.failed = false;
    p->held += f->body.cap - cap;
    return ok;
}

static void append(struct producer *p, struct producer_frame *f)
{
    if (p->tail)
        p->tail->next = f;
    else
        p->head = f;
    p->tail = f;
    if (!p->sending)
        p->sending = f;
}

/* Appends an empty frame with room for n bytes of items; NULL when memory is out. */
static struct producer_frame *new_frame(struct producer *p, unsigned type, size_t n)
{
    struct producer_frame *f = malloc(sizeof *f);
    if (!f)
        return NULL;
    const size_t size = FRAME_HEAD + n;
    *f = (struct producer_frame){.type = (uint8_t)type, .first = p->no_ack ? 0 : p->next};
    buf_init(&f->body, size > PRODUCER_FRAME ? size : (size_t)PRODUCER_FRAME);
    p->held += sizeof *f;
    if (!reserve(p, f, size)) {
        p->held -= sizeof *f;
        free(f);
        return NULL;
    }
    encode_batch(&f->body, type, f->first);
    append(p, f);
    return f;
}

/* The frame that has room for n more bytes of items of a type; NULL when the queue
 * is full, or memory is out. The bound is kept up to the growth of one frame. */
static struct producer_frame *frame_for(struct producer *p, unsigned type, size_t n)
{
    struct producer_frame *f = p->tail;
    const bool open = f && f->type == type && !f->begun && n <= f->body.max - f->body.n;
    if (p->held + n + (open ? 0 : sizeof *f + FRAME_HEAD) > p->queue_bytes)
        return NULL;
    if (!open)
        return new_frame(p, type, n);
    return reserve(p, f, n) ? f : NULL;
}

static void took(struct producer *p, struct producer_frame *f, uint32_t count)
{
    f->count += count;
    p->taken += count;
    if (!p->no_ack)
        p->next += count;
}

/* How many updates the frame in hand, or a new one, takes. */
static size_t updates_room(const struct producer *p)
{
    const struct producer_frame *f = p->tail;
    if (f && f->type == FRAME_UPDATE && !f->begun && f->body.max - f->body.n >= PROTO_UPDATE)
        return (f->body.max - f->body.n) / PROTO_UPDATE;
    return (PRODUCER_FRAME - FRAME_HEAD) / PROTO_UPDATE;
}

size_t producer_updates(struct producer *p, const uint8_t *records, size_t count)
{
    size_t done = 0;
    while (done < count) {
        struct producer_frame *f = NULL;
        size_t n = updates_room(p);
        if (n > count - done)
            n = count - done;
        while (n > 0 && !(f = frame_for(p, FRAME_UPDATE, n * PROTO_UPDATE)))
            n /= 2;
        if (!f)
            break;
        buf_add(&f->body, records + done * PROTO_UPDATE, n * PROTO_UPDATE);
        took(p, f, (uint32_t)n);
        done += n;
    }
    return done;
}

int producer_update(struct producer *p, uint32_t id, uint64_t bits)
{
    uint8_t record[PROTO_UPDATE];
    put_u32(record, id);
    put_u64(record + 4, bits);
    return producer_updates(p, record, 1) == 1 ? 0 : -ERR_FULL;
}

int producer_item(struct producer *p, enum event_kind kind, const uint8_t *body, size_t n)
{
    uint8_t size[4];
    if (n > LIMIT_ITEM)
        return -ERR_RANGE;
    struct producer_frame *f = frame_for(p, kind, sizeof size + n);
    if (!f)
        return -ERR_FULL;
    put_u32(size, (uint32_t)n);
    buf_add(&f->body, size, sizeof size);
    buf_add(&f->body, body, n);
    took(p, f, 1);
    return 0;
}

void producer_lose(struct producer *p, enum lost_reason reason, uint64_t items)
{
    p->lost.total[reason] += items;
    p->lost_changed = p->lost_changed || items > 0;
}

/* ---- the connection ---- */

int producer_connected(struct producer *p)
{
    assert(p->state == PRODUCER_OFF);
    struct hello h = {
        .version = PROTO_VERSION,
        .capabilities =
            (p->no_ack ? 0u : HELLO_WANTS_ACK) | (p->wants_rings ? HELLO_WANTS_RINGS : 0u),
        .store_id = p->store_id,
        .first = p->no_ack ? p->next : p->acked + 1,
        .next = p->no_ack ? p->next : p->unsent,
        .service = p->service,
        .instance = p->instance,
        .domain = p->domain,
        .agent = p->agent,
    };
    memcpy(h.session, p->session, sizeof h.session);
    encode_hello(&p->control, &h);
    if (p->control.failed)
        return -ERR_NOMEM;
    p->state = PRODUCER_GREETING;
    p->retry_ms = 0; /* what was said before holds no more */
    return 0;
}

/* At most once: the daemon takes the updates of a frame as they come, so that those that are
 * out are not sent again with what is left of it. */
static void forget_written(struct producer *p)
{
    if (!p->no_ack || p->sent <= FRAME_HEAD || p->sending->type != FRAME_UPDATE)
        return;
    struct producer_frame *f = p->sending;
    const uint32_t out = (uint32_t)((p->sent - FRAME_HEAD) / PROTO_UPDATE);
    const size_t bytes = (size_t)out * PROTO_UPDATE;
    char *items = f->body.p + FRAME_HEAD;
    memmove(items, items + bytes, f->body.n - FRAME_HEAD - bytes);
    f->body.n -= bytes;
    f->count -= out;
    p->next += out;
    p->unsent = p->next;
    p->acknowledged += out;
}

void producer_disconnected(struct producer *p)
{
    forget_written(p);
    p->state = PRODUCER_OFF;
    p->sending = p->head;
    p->sent = 0;
    p->defined = 0;
    buf_fini(&p->control);
    p->controlled = 0;
    frame_reader_fini(&p->reader);
}

/* What goes out next. A frame that has begun goes on; definitions come before the
 * items that use them; totals before the items they belong to. */
enum source { SOURCE_NONE, SOURCE_CONTROL, SOURCE_DEFINITIONS, SOURCE_QUEUE };

static enum source source(const struct producer *p)
{
    if (p->state == PRODUCER_OFF)
        return SOURCE_NONE;
    if (p->sent > 0)
        return SOURCE_QUEUE;
    if (p->controlled > 0 || p->state == PRODUCER_GREETING)
        return p->control.n > p->controlled ? SOURCE_CONTROL : SOURCE_NONE;
    if (p->defined < p->definitions.n)
        return SOURCE_DEFINITIONS;
    if (p->control.n > 0)
        return SOURCE_CONTROL;
    return p->sending ? SOURCE_QUEUE : SOURCE_NONE;
}

/* Puts into `control` what is due when no frame is half sent. */
static void add_control(struct producer *p)
{
    if (p->state != PRODUCER_OPEN || p->control.n > 0)
        return;
    if (p->lost_changed) {
        struct lost since = p->lost;
        for (unsigned i = 0; i < LOST_MAX; i++)
            since.total[i] -= p->told_ago.total[i];
        encode_lost(&p->control, &since);
        p->told = p->lost;
        p->lost_changed = p->control.failed;
    }
    if (p->bye && !p->sending) {
        encode_bye(&p->control);
        p->bye = p->control.failed;
    }
    p->control.failed = false; /* memory was out: it is tried again */
}

/* Writes what is known of a frame only now; from here on it does not change. */
static void begin(struct producer_frame *f)
{
    encode_batch_end(&f->body, 0, f->count);
    put_u64(f->body.p + PROTO_HEADER, f->first);
    f->begun = true;
}

static void add_piece(struct str *to, const struct buf *b, size_t at)
{
    *to = (struct str){b->p + at, b->n - at};
}

/* Whether something has come that goes before the next frame. */
static bool is_preceded(const struct producer *p)
{
    return p->defined < p->definitions.n || p->control.n > 0;
}

/* Frames of few items are many where kinds take turns: they go out together; behind one that
 * has begun no others that may need what has come since. */
static unsigned queue_output(struct producer *p, struct str *to, unsigned most)
{
    uint64_t first = p->next; /* without ACK numbers are given where they are sent */
    size_t bytes = 0;
    unsigned n = 0;
    if (is_preceded(p) && most > 1)
        most = 1;
    for (struct producer_frame *f = p->sending; f && n < most && bytes < PRODUCER_FRAME;
         f = f->next, n++) {
        if (p->no_ack)
            f->first = first;
        if (!f->begun || p->no_ack)
            begin(f);
        add_piece(to + n, &f->body, n == 0 ? p->sent : 0);
        bytes += to[n].n;
        first += f->count;
    }
    return n;
}

unsigned producer_output(struct producer *p, struct str *to, unsigned most)
{
    add_control(p);
    switch (source(p)) {
    case SOURCE_NONE:
        break;
    case SOURCE_CONTROL:
        add_piece(to, &p->control, p->controlled);
        return 1;
    case SOURCE_DEFINITIONS:
        add_piece(to, &p->definitions, p->defined);
        return 1;
    case SOURCE_QUEUE:
        return queue_output(p, to, most);
    }
    return 0;
}

static void frame_sent(struct producer *p, size_t n)
{
    struct producer_frame *f = p->sending;
    p->sent += n;
    if (!p->no_ack && p->unsent <= last_of(f))
        p->unsent = last_of(f) + 1;
    if (p->sent < f->body.n)
        return;
    p->sending = f->next;
    p->sent = 0;
    if (!p->no_ack) {
        forget_settled(p);
        return;
    }
    p->next += f->count;
    p->unsent = p->next;
    p->acknowledged += f->count;
    drop_head(p);
}

static void queue_sent(struct producer *p, size_t n)
{
    while (n > 0) {
        assert(p->sending && p->sending->begun);
        const size_t left = p->sending->body.n - p->sent, now = n < left ? n : left;
        frame_sent(p, now);
        n -= now;
    }
}

void producer_sent(struct producer *p, size_t n)
{
    if (n == 0)
        return;
    switch (source(p)) {
    case SOURCE_NONE:
        assert(0 && "nothing was to be sent");
        break;
    case SOURCE_CONTROL:
        p->controlled += n;
        assert(p->controlled <= p->control.n);
        if (p->controlled == p->control.n) {
            buf_fini(&p->control);
            p->controlled = 0;
        }
        break;
    case SOURCE_DEFINITIONS:
        p->defined += n;
        assert(p->defined <= p->definitions.n);
        break;
    case SOURCE_QUEUE:
        queue_sent(p, n);
        break;
    }
}

/* ---- what the daemon says ---- */

/* Nothing up to `applied` will be sent again. */
static void settle(struct producer *p, uint64_t applied)
{
    if (applied <= p->acked)
        return;
    p->acknowledged += applied - p->acked;
    p->acked = applied;
    forget_settled(p);
}

/* The range of numbers that a WELCOME may name, by what it knew of the session. */
static bool applied_fits(const struct producer *p, const struct welcome *w)
{
    const uint64_t first = p->no_ack ? p->next : p->acked + 1;
    const uint64_t next = p->no_ack ? p->next : p->unsent;
    switch (w->known) {
    case SESSION_NEW:
        return w->applied == first - 1;
    case SESSION_EXPIRED:
        return w->applied == next - 1;
    default:
        return w->applied < next && (p->no_ack || w->applied + 1 >= first);
    }
}

static int take_welcome(struct producer *p, const struct frame *f)
{
    struct welcome w;
    const int e = decode_welcome(f->payload, f->size, &w);
    if (e < 0 || p->state != PRODUCER_GREETING || p->control.n > 0)
        return -ERR_SYNTAX;
    if (w.version != PROTO_VERSION)
        return -ERR_VERSION;
    if (!applied_fits(p, &w))
        return -ERR_DAMAGED;
    if (w.known != SESSION_KNOWN) /* an expired session's totals are counted already */
        p->told_ago = w.known == SESSION_EXPIRED ? p->told : (struct lost){0};
    if (p->no_ack) {
        p->next = p->unsent = w.applied + 1;
    } else if (w.known == SESSION_EXPIRED) {
        const uint64_t items = w.applied - p->acked;
        producer_lose(p, LOST_EXPIRED, items);
        settle(p, w.applied);
        p->acknowledged -= items;
        p->expired += items;
    } else {
        settle(p, w.applied);
    }
    p->store_id = w.store_id;
    p->max_ids = w.max_ids;
    p->max_rings = p->wants_rings ? w.max_rings : 0;
    p->known = (enum session_known)w.known;
    for (unsigned i = 0; i < LOST_MAX; i++)
        p->lost_changed = p->lost_changed || p->lost.total[i] > 0;
    p->state = PRODUCER_OPEN;
    return 0;
}

/* The highest number that the daemon can have taken, on this connection or on one
 * before: what was written to that may be read after this one's WELCOME. */
static uint64_t highest_out(const struct producer *p)
{
    return (p->no_ack ? p->next : p->unsent) - 1;
}

static int take_ack(struct producer *p, const struct frame *f)
{
    uint64_t applied;
    const int e = decode_ack(f->payload, f->size, &applied);
    if (e < 0 || p->state != PRODUCER_OPEN || p->no_ack || applied > highest_out(p))
        return -ERR_SYNTAX;
    settle(p, applied);
    return 0;
}

/* A frame is taken as a whole and for good before anything is said of it. The
 * items that a REJECT counts need not be adjacent, but the last of them is at
 * least count - 1 after the first: all up to there are used up, and are not sent
 * again even to a new store. */
static int take_reject(struct producer *p, const struct frame *f)
{
    struct reject r;
    if (decode_reject(f->payload, f->size, &r) < 0)
        return -ERR_SYNTAX;
    p->last_reject = r.reason;
    if (r.reason == REJECT_DOMAIN)
        p->retry_ms = r.first < PRODUCER_RETRY_MS ? (uint32_t)r.first : PRODUCER_RETRY_MS;
    if (r.count == 0 || reject_closes(r.reason))
        return 0;
    if (r.type == FRAME_RING) { /* which was settled when its reader passed over it */
        p->rejected += r.count;
        return 0;
    }
    const uint64_t last = r.first + r.count - 1;
    if (p->state != PRODUCER_OPEN || r.first == 0 || last < r.first || last > highest_out(p))
        return -ERR_SYNTAX;
    p->rejected += r.count;
    if (!p->no_ack)
        settle(p, last);
    return 0;
}

static int take_ring(struct producer *p, const struct frame *f)
{
    struct ring_ready r;
    if (decode_ring_ready(f->payload, f->size, &r) < 0 || p->state != PRODUCER_OPEN ||
        !p->max_rings)
        return -ERR_SYNTAX;
    p->heard(p->heard_arg, &r, 0);
    return 0;
}

static int take_bell(struct producer *p, const struct frame *f)
{
    uint64_t token;
    if (decode_bell(f->payload, f->size, &token) < 0 || p->state != PRODUCER_OPEN || !p->max_rings)
        return -ERR_SYNTAX;
    p->heard(p->heard_arg, NULL, token);
    return 0;
}

static int take_frame(struct producer *p, const struct frame *f)
{
    switch (f->type) {
    case FRAME_WELCOME:
        return take_welcome(p, f);
    case FRAME_ACK:
        return take_ack(p, f);
    case FRAME_REJECT:
        return take_reject(p, f);
    case FRAME_RING_READY:
        return take_ring(p, f);
    case FRAME_BELL:
        return take_bell(p, f);
    default:
        return -ERR_SYNTAX;
    }
}

int producer_feed(struct producer *p, const uint8_t *in, size_t n)
{
    struct frame f;
    int e;
    while ((e = frame_reader_next(&p->reader, &in, &n, &f)) == 1) {
        e = take_frame(p, &f);
        if (e < 0)
            return e;
    }
    return e == 0 || e == -ERR_NOMEM ? e : -ERR_SYNTAX;
}

/* ---- rings ---- */

bool producer_between(const struct producer *p)
{
    return p->state == PRODUCER_OPEN && p->sent == 0 && p->controlled == 0 &&
           p->defined == p->definitions.n;
}

/* Adds a frame to `control`, which may be half sent. */
static bool add_frame(struct producer *p, const struct buf *frame)
{
    if (p->state != PRODUCER_OPEN || frame->failed)
        return false;
    buf_add(&p->control, frame->p, frame->n);
    const bool added = !p->control.failed;
    p->control.failed = false;
    return added;
}

bool producer_ring_ended(struct producer *p, uint32_t stream)
{
    struct buf frame;
    buf_init(&frame, LIMIT_FRAME);
    encode_ring(&frame, &(struct ring_offer){.stream = stream});
    const bool added = add_frame(p, &frame);
    buf_fini(&frame);
    return added;
}

bool producer_bell(struct producer *p, uint64_t token)
{
    struct buf frame;
    buf_init(&frame, LIMIT_FRAME);
    encode_bell(&frame, token);
    const bool added = add_frame(p, &frame);
    buf_fini(&frame);
    return added;
}

void producer_bye(struct producer *p)
{
    p->bye = true;
}
