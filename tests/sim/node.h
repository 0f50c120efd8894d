/* node: a simulated producer that remembers every item it ever emitted, so that
 * what the store must hold follows from the sequence number that it has applied. */
#ifndef MCPTALLY_SIM_NODE_H
#define MCPTALLY_SIM_NODE_H

#include "machine.h"
#include "wire/producer.h"
#include "wire/shm_ring.h"

/* What a number of items amount to, by the series that they go to. */
struct totals {
    uint64_t items;
    uint64_t count;     /* sim_count_total */
    uint64_t tally;     /* sim_tally_total */
    double sum;         /* sim_cost_total, in halves, so that no order of adding matters */
    uint64_t bucket[4]; /* sim_size */
    uint64_t events, spans;
    uint64_t named;   /* of the events: those that rules match */
    uint64_t secrets; /* events and spans with something to redact */
    uint64_t bad;     /* not finite: dropped */
};

/* A node has two cables: it may come back by one while the daemon has not read all
 * that it wrote to the other. */
enum { NODE_CABLES = MACHINE_CABLES / 2 };

enum item_kind {
    ITEM_COUNT,
    ITEM_TALLY, /* another counter of the same kind: sums are of several words */
    ITEM_SUM,
    ITEM_SIZE,
    ITEM_GAUGE,
    ITEM_STORM, /* one of many series that come and go */
    ITEM_BAD,
    ITEM_EVENT,
    ITEM_SPAN,
    ITEM_KINDS
};

struct item {
    uint8_t kind;
    uint8_t amount;
};

struct node {
    struct rng *rng;
    unsigned cable; /* the one in use; cable ^ NODE_CABLES is the other */
    bool connected;
    bool dead; /* it will not come back, whatever it had not sent */
    struct producer p;
    uint32_t metrics[ITEM_KINDS], series[ITEM_KINDS]; /* ids */
    uint32_t storms;                                  /* series of ITEM_STORM defined so far */
    struct item *log;                                 /* item of sequence number i + 1 */
    uint64_t nlog, caplog;

    /* A ring that it shares, if it does, beside what it queues. */
    bool shares;
    bool offered; /* on this connection */
    bool ringing; /* the item in hand goes into it */
    struct shm_ring ring;
    struct shm_ring_slot slot;
    struct item *ring_log; /* what lies in it, or has */
    uint64_t *ring_end;    /* and where each item ends */
    uint64_t nring, capring;
};

enum { NODE_STREAM = 1 };

void node_init(struct node *n, struct rng *rng, unsigned cable);
void node_fini(struct node *n);

/* Emits up to `most` items. */
void node_emit(struct node *n, uint32_t most);

/* Connects if it can; notices that the daemon has gone. */
void node_connect(struct node *n, struct machine *m);

/* Its connection is lost, all behind the first n bytes that the daemon has not read. */
void node_lose(struct node *n, struct machine *m, size_t bytes);
/* Closes the connection from this side. */
void node_leave(struct node *n, struct machine *m);

/* It is killed, and nobody starts it again. */
void node_die(struct node *n, struct machine *m);

/* Moves up to `most` bytes up, or down. */
void node_send(struct node *n, struct machine *m, size_t most);
void node_receive(struct node *n, struct machine *m, size_t most);

/* From now on it has a ring, too. */
void node_share(struct node *n);

/* Whether all that lies in its ring is read. */
bool node_ring_read(const struct node *n);

/* What the items of its ring amount to that lie before a position; added to *t. False when
 * no item ends there. */
bool node_ring_totals(const struct node *n, uint64_t position, struct totals *t);

/* What the items up to sequence number `applied` amount to; added to *t. */
void node_totals(const struct node *n, uint64_t applied, struct totals *t);

#endif
