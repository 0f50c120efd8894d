/* otlp_budget: the bytes of all OTLP messages that are received or applied. Floor 4. No I/O.
 *
 * A message holds what it takes in memory, which follows what has arrived and never what was
 * announced. When the budget is used up, the one that wants more takes the place of messages
 * that have not ended and began before it, oldest first. So half messages cannot keep others
 * out, whether they stand still or drip: one that takes a time T to arrive is refused for want
 * of room only when others have brought more than the budget within T. */
#ifndef MCPTALLY_INTAKE_OTLP_BUDGET_H
#define MCPTALLY_INTAKE_OTLP_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* What a message has of the budget; embedded, and not to be copied while it has any. */
struct otlp_hold {
    TAILQ_ENTRY(otlp_hold) link; /* among those that gather, oldest first */
    uint64_t bytes;
    uint64_t order; /* of its first byte among all messages' */
    bool gathers;   /* its message has not ended */
    /* Has to end this hold, and to tell the sender; called from within another's call. */
    void (*refuse)(void *arg);
    void *arg;
};

TAILQ_HEAD(otlp_holds, otlp_hold);

struct otlp_budget {
    uint64_t limit, used, gathered; /* bytes; `gathered` by messages that have not ended */
    uint64_t begun;                 /* messages */
    uint64_t peak;                  /* of `used`; whoever reads it may set it anew */
    struct otlp_holds gathering;
};

void otlp_budget_init(struct otlp_budget *b, uint64_t limit);

/* Sets what a message that is being gathered, or that is whole, holds. False when that is more
 * than before and there is no room for it: it is as before then. */
bool otlp_budget_hold(struct otlp_budget *b, struct otlp_hold *h, uint64_t bytes);

/* Its message is whole: what `from` holds is held by `to` now, and nobody can take it. */
void otlp_budget_pass(struct otlp_budget *b, struct otlp_hold *from, struct otlp_hold *to);

#endif
