/* lane: one signal on its way to one destination. Floor 3. No I/O, no clock.
 *
 * It follows a ring, makes requests of its records, and hands them to a transport, or,
 * while the destination is away, to a spool; the spool is sent first when it is back.
 * The ring's cursor moves when a request was taken, refused, or is durable in the
 * spool, so after a crash at most what was under way is sent again. Every signal has a
 * lane, a breaker and a spool of its own: a path that is missing, or a flood of logs,
 * does not hold up spans.
 *
 * Who is asked answers later, through lane_answer() and lane_spool_*(), never from
 * inside the call. The store's open batch must be empty when a function with a `now` is
 * called, and is when it returns. */
#ifndef MCPTALLY_FORWARD_LANE_H
#define MCPTALLY_FORWARD_LANE_H

#include "forward/bundle.h"
#include "forward/breaker.h"
#include "forward/outcome.h"
#include "format/otlp_batch.h"
#include "pipeline/own.h"
#include "pipeline/sampling.h"
#include "spool/spool.h"
#include "store/follow.h"

struct lane_options {
    unsigned batch_items;   /* of one request (512) */
    uint64_t batch_bytes;   /* from which it is closed (1 MiB) */
    uint64_t batch_delay;   /* ns that an item waits for others (1 s) */
    unsigned queue_batches; /* requests in memory (64) */
    uint64_t queue_bytes;   /* of all of them (8 MiB) */
    unsigned concurrent;    /* requests under way at one time (4) */
    bool spool;             /* whether it is written; what is in it is sent anyhow */
    uint64_t spool_after;   /* ns of failing until it is used (5 s) */
    uint64_t replay_rate;   /* items a second from the spool, beside those that come in; 0:
                               no limit (20000) */
    double pressed;         /* of the ring, from which nothing waits in it (0.5) */
    struct breaker_options breaker;
};

void lane_defaults(struct lane_options *o);

/* The world outside. Requests and payloads are copied, or used before they return. */
struct lane_io {
    void *arg;
    bool (*ready)(void *arg); /* whether another request may be sent */
    void (*send)(void *arg, enum otlp_signal signal, uint64_t id, struct str request);
    void (*spool_open)(void *arg, enum otlp_signal signal);
    void (*spool_append)(void *arg, enum otlp_signal signal, uint32_t items, struct str payload);
    void (*spool_read)(void *arg, enum otlp_signal signal, uint64_t seq);
    void (*spool_finish)(void *arg, enum otlp_signal signal, uint64_t seq);
    uint64_t (*random)(void *arg);
    /* As sampling_decide(); NULL: everything is kept. */
    void (*decide)(void *arg, const struct sample_span *span, uint64_t received, bool pressed,
                   struct when now, struct sample_decision *out);
    /* The attributes that decide() looks at, as sampling_keys(); NULL: it may look at all. */
    const struct str *(*keys)(void *arg, unsigned *n);
};

enum lane_spool_state {
    LANE_SPOOL_CLOSED,  /* to be opened when its breaker lets */
    LANE_SPOOL_OPENING, /* asked */
    LANE_SPOOL_OPEN,    /* what is in it is known */
};

/* What may fail without the others: a full disk is still read. The keeper is who has the
 * disk: the helper, which dies, and the one before it, which is slow to end. */
enum lane_spool_part {
    LANE_SPOOL_WRITES,
    LANE_SPOOL_READS,
    LANE_SPOOL_MARKS,
    LANE_SPOOL_KEEPER,
    LANE_SPOOL_PARTS
};

struct lane_spool {
    enum lane_spool_state state;
    struct breaker breakers[LANE_SPOOL_PARTS];
    bool appending, reading, finishing; /* asked and not answered */
    bool opened;                        /* ever */
    bool dropping;                      /* as the log last said */
    uint64_t read_at;                   /* number of the next record to read */
    uint64_t finish_at;                 /* what was asked for last */
    uint64_t dropped[3];                /* items, as told last: to see what is new */
    struct bundles replay;              /* read and not removed from it yet */
    unsigned window;                    /* of replay that may be under way */
    double tokens;                      /* items that may be sent from it now */
    uint64_t tokens_at;                 /* mono ns */
    struct spool_stats stats;
};

struct lane {
    struct store *st;
    struct own *own;
    enum otlp_signal signal;
    unsigned index;           /* own_lane_index() */
    char name[OWN_NAME + 16]; /* for log lines */
    struct lane_options options;
    struct lane_io io;
    enum store_ring_id ring; /* RING_MAX: what it sends is pushed */
    struct follow follow;
    struct follow closed; /* where the open batch begins */
    bool waits;           /* the next record's trace is not decided yet, or memory was out */
    bool pressed;         /* the ring was nearly full when last looked at */
    bool flushing;
    struct otlp_batch request; /* being filled */
    bool resize;               /* it is to have other bounds when it is empty */
    struct bundle open;        /* its counts and place */
    uint64_t open_since;       /* mono ns of its first record; 0: none */
    struct bundles queue;
    uint64_t next_id;
    struct breaker breaker;
    bool refusing, rejecting; /* as the log last said */
    uint64_t retries, sent_bytes;
    char error[192]; /* of the newest failure; empty: all is well */
    struct lane_spool spool;
    struct event event;
    struct buf scratch;
    uint64_t copy[RING_COPY / sizeof(uint64_t)];
};

/* consumer: of the destination. ring: RING_MAX when there is none. own: its series are
 * made. False when memory is out. */
bool lane_init(struct lane *l, struct store *st, struct own *own, unsigned slot,
               enum otlp_signal signal, enum store_ring_id ring, enum store_consumer consumer,
               const struct lane_options *o, const struct lane_io *io, const char *name);

/* What was under way is as after a crash: it will be sent again. */
void lane_fini(struct lane *l);

void lane_configure(struct lane *l, const struct lane_options *o);

/* Does what can be done, reading at most `records`. Mono ns when it wants to go on
 * (at most `now`: at once), UINT64_MAX: when something happens. */
uint64_t lane_turn(struct lane *l, unsigned records, struct when now);

/* Whether the queue has room for a request that is pushed. */
bool lane_has_room(const struct lane *l);

/* Our own metrics. False when memory is out. */
bool lane_push(struct lane *l, uint32_t items, struct str request, struct when now);

/* From here on nothing waits for others: what is read is sent, or put into the spool. */
void lane_flush(struct lane *l);

/* Whether nothing is in memory that is not delivered or durable. */
bool lane_idle(const struct lane *l);

/* Requests that were sent will not be answered: they are sent again. */
void lane_retract(struct lane *l);

/* What is not well, in a few words, or NULL. */
const char *lane_trouble(const struct lane *l);

/* Gauges, once a second. */
void lane_report(struct lane *l, struct when now);

/* ---- answers ---- */

void lane_answer(struct lane *l, uint64_t id, const struct outcome *o, struct when now);

/* error: 0 or a negative enum err; stats may be NULL when there is one. -ERR_CLOSED and
 * -ERR_BUSY say nothing of the disk: its keeper is away, and the spool is opened again. */
void lane_spool_opened(struct lane *l, int error, const struct spool_stats *stats, struct when now);
void lane_spool_kept(struct lane *l, int error, const struct spool_stats *stats, struct when now);
void lane_spool_was_read(struct lane *l, int error, const struct spool_record *record,
                         const struct spool_stats *stats, struct when now);
void lane_spool_finished(struct lane *l, int error, const struct spool_stats *stats,
                         struct when now);

#endif
