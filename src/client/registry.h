/* registry: the metrics and series of a session. Handles live as long as it does.
 *
 * Any thread defines; the sending one imports what is new into the producer. The
 * lock is held for a look into a hash table, never while anything is sent. */
#ifndef MCPTALLY_CLIENT_REGISTRY_H
#define MCPTALLY_CLIENT_REGISTRY_H

#include <pthread.h>

#include "client/waker.h"
#include "mcptally.h"
#include "wire/producer.h"

enum { REGISTRY_MAX = 65536 }; /* metrics and series of a session; bounds its memory */

/* What a metric and a series begin with: their place in the table, and in the
 * order of definition. */
struct definition {
    uint64_t hash;
    struct definition *chain;
    struct definition *next;
    bool is_series;
};

struct mcptally_metric {
    struct definition d;
    struct registry *g;
    uint32_t id;           /* 0: not a good definition; what it is given is invalid */
    struct metric_def def; /* its text lies behind the struct */
};

struct mcptally_series {
    struct definition d;
    struct mcptally *m;
    struct mcptally_metric *metric;
    uint32_t id;    /* likewise */
    uint32_t word;  /* of an update in a ring, without its value, */
    uint32_t below; /* if that is less; 0: always needs more words */
    uint8_t kind;   /* enum metric_kind; 0 when id is */
    uint8_t type;   /* enum value_type */
    unsigned nlabels;
    struct label *labels; /* they and their text lie behind the struct */
};

struct registry {
    struct mcptally *m;
    struct waker *eager; /* woken for a new series, whose updates the daemon may read at once;
                            NULL: definitions go before what uses them anyway */
    pthread_mutex_t lock;
    struct definition **slots; /* hash table with chains */
    uint32_t nslots, count;
    size_t bytes; /* of all definitions as frames, roughly */
    uint32_t metrics, series;
    struct definition *first, *last; /* in order */
    struct definition *imported;     /* newest that the producer has; the sender's */
    struct mcptally_metric no_metric;
    struct mcptally_series no_series;
};

void registry_init(struct registry *g, struct mcptally *m);
void registry_fini(struct registry *g);

/* The metric of that name; the first definition stays. Never NULL: one that is
 * malformed, contradicts the first, or for which there is no memory leads to a
 * handle whose items count as invalid. */
struct mcptally_metric *registry_metric(struct registry *g, const struct metric_def *def);

/* The series with these labels, in this order; likewise. */
struct mcptally_series *registry_series(struct mcptally_metric *metric, const struct label *labels,
                                        unsigned n);

/* Hands definitions that are new to the producer; false when it has no memory. */
bool registry_import(struct registry *g, struct producer *p);

#endif
