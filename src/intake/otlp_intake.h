/* otlp_intake: what the two OTLP ports share. Floor 4.
 *
 * A port gathers a message, accounts for its bytes with otlp_hold(), and hands it
 * over whole. From there it is unpacked, converted and applied in turns of the
 * loop, about OTLP_TURN_BYTES a turn, one step from each connection that has any, so
 * that a large message delays the small ones of others by a step. The port is
 * told when the last item is applied and committed.
 *
 * All bytes of messages that are gathered or applied share one budget
 * (otlp_budget.h). What does not fit is refused with a hint to come back. */
#ifndef MCPTALLY_INTAKE_OTLP_INTAKE_H
#define MCPTALLY_INTAKE_OTLP_INTAKE_H

#include <event2/event.h>
#include <sys/queue.h>

#include "intake/otlp_budget.h"
#include "otlp/reply.h"
#include "pipeline/pipeline.h"

enum {
    OTLP_TURN_BYTES = 65536,              /* of messages that one turn of the loop deals with */
    OTLP_TURN_MOST = 4 * OTLP_TURN_BYTES, /* or, where those took no time to speak of */
    OTLP_TURN_JOBS = 16,                  /* messages that one turn ends at most */
};
#define OTLP_RETRY_NS NS_PER_S /* when to come back, for who is refused by the budget */

struct otlp_intake_options {
    uint64_t buffer;          /* bytes of all messages that are gathered or applied */
    uint64_t message;         /* of one, before and after decompression */
    uint64_t json;            /* of one in JSON, before it is converted */
    uint64_t receive_timeout; /* ns from the head of a request to its end */
    uint64_t idle_timeout;    /* ns that a connection may stay without a request */
    unsigned streams;         /* requests that one gRPC connection may have open */
};

struct otlp_job; /* a message that is being dealt with */
TAILQ_HEAD(otlp_jobs, otlp_job);

/* A connection's place in line. */
struct otlp_lane {
    TAILQ_ENTRY(otlp_lane) link;
    struct otlp_jobs jobs;
};
TAILQ_HEAD(otlp_lanes, otlp_lane);

typedef void otlp_hook(void *arg);

struct http_guard;

struct otlp_intake {
    struct event_base *base;
    struct pipeline *pl;
    struct otlp_intake_options options;
    const struct http_guard *guard; /* who may ask over gRPC; borrowed, NULL: everybody */
    struct otlp_budget budget;      /* of options.buffer */
    struct otlp_lanes lanes;
    struct otlp_lane orphans; /* jobs whose connection is gone */
    unsigned njobs;
    uint64_t trimmed; /* mono ns, when memory was last given back */
    struct event *turn;
    bool turning;       /* the turn is due */
    unsigned hurried;   /* turns before it was */
    bool draining;      /* new requests are refused */
    otlp_hook *settled; /* after each turn, for what its answers lead to; may be NULL */
    void *settled_arg;
    otlp_hook *turned; /* likewise, for the owner of the loop */
    void *turned_arg;
};

/* 0 or -ERR_NOMEM. */
int otlp_intake_init(struct otlp_intake *in, struct event_base *base, struct pipeline *pl,
                     const struct otlp_intake_options *o);

/* New limits; what has begun stays. */
void otlp_intake_configure(struct otlp_intake *in, const struct otlp_intake_options *o);

/* Gives memory back to the kernel behind many messages, when there are none and not often; from
 * turns, and to be called about once a second. */
void otlp_intake_trim(struct otlp_intake *in, uint64_t now);

/* Ends at once what is in line. The ports are gone by then. */
void otlp_intake_fini(struct otlp_intake *in);

/* ---- the budget ---- */

/* Sets what one message holds, like otlp_budget_hold(). */
bool otlp_hold(struct otlp_intake *in, struct otlp_hold *h, uint64_t bytes);

/* A hold has been refused to make room for another, which counts: there will be a turn, so
 * that what is said to its sender gets out. */
void otlp_displaced(struct otlp_intake *in);

/* Whether a sender may be told to go on: there is room to spare, or little in line
 * that could make any. */
bool otlp_go_on(const struct otlp_intake *in);

/* ---- messages ---- */

/* What a request is answered with. */
struct otlp_answer {
    enum rpc_code code;
    uint64_t rejected;  /* items; with RPC_OK */
    struct str message; /* borrowed until the call returns; may be empty */
    uint64_t retry;     /* ns; 0: no hint */
};

typedef void otlp_answered(void *arg, const struct otlp_answer *a);

struct otlp_message {
    enum otlp_signal signal;
    bool gzip, json;
    struct buf bytes;
    struct otlp_hold hold;
};

void otlp_lane_init(struct otlp_lane *lane);

/* Puts a message in line; takes its bytes and what it holds also when it fails:
 * NULL when memory is out. `answered` is called once, from a turn, and the job is
 * gone then. */
struct otlp_job *otlp_job_new(struct otlp_intake *in, struct otlp_lane *lane,
                              struct otlp_message *m, otlp_answered *answered, void *arg);

/* Whether its items are being applied already. */
bool otlp_job_begun(const struct otlp_job *job);

/* Nobody waits for the answer any more. What has begun is ended without one, so
 * that its items are applied and counted; what has not is forgotten. */
void otlp_job_abandon(struct otlp_job *job);

/* Behind bytes that a port has taken, and when it needs nothing of its connections any more: a
 * message that is whole is dealt with now, while it is in the caches and before others come to
 * lie beside it, a few times until the loop comes round. */
void otlp_intake_hurry(struct otlp_intake *in);

/* ---- counting ---- */

enum otlp_protocol { OTLP_GRPC, OTLP_HTTP };

/* A request that was answered; commits. */
void otlp_intake_count(struct otlp_intake *in, enum otlp_protocol p, enum otlp_signal signal,
                       enum rpc_code code);

/* Something that a limit has stopped (enum own_limit); commits. */
void otlp_refused(struct otlp_intake *in, unsigned why);

/* Time that a callback held the loop; commits. */
void otlp_spent(struct otlp_intake *in, uint64_t began_mono);

#endif
