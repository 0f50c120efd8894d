/* sender: a simulated OTLP sender that tries again when it gets no answer, and what the
 * store must hold of what it sent. */
#ifndef MCPTALLY_SIM_SENDER_H
#define MCPTALLY_SIM_SENDER_H

#include "machine.h"
#include "pipeline/otlp.h"

enum { SENDER_BUCKETS = 3 };

/* What it has counted since it began, or since it last began anew. */
struct sender_values {
    uint64_t count;
    double cost; /* in halves, so that no order of adding matters */
    uint64_t bucket[SENDER_BUCKETS];
    uint64_t scaled; /* observations of an exponential histogram */
};

struct sender {
    struct rng *rng;
    unsigned number;
    uint64_t start, time;             /* of the process that it is, and of its newest point */
    struct sender_values v, before;   /* before: of all processes that have ended */
    bool changed;                     /* since the newest answer */
    enum otlp_signal signal;          /* of the request in hand */
    struct buf bytes;                 /* of it; kept until there is an answer */
    unsigned items;                   /* in it */
    struct otlp_request *request;     /* NULL: the daemon has none of it */
    uint64_t kills;                   /* of the daemon, when it got the request */
    uint64_t answered[OTLP_SIGNALS];  /* items that an answer says were taken or refused */
    uint64_t attempted[OTLP_SIGNALS]; /* items of all requests, those sent again too */
};

void sender_init(struct sender *s, struct rng *rng, unsigned number);
void sender_fini(struct sender *s);

/* It counts, begins a request, or the daemon goes on with one by up to `bytes`. */
void sender_step(struct sender *s, struct machine *m, uint32_t bytes);

/* Sends all that it has. The daemon may not be killed meanwhile. */
void sender_drain(struct sender *s, struct machine *m);

/* Family of one of its metrics: "total", "cost", "size" or "scaled". */
void sender_family(const struct sender *s, const char *metric, char *to, size_t size);

#endif
