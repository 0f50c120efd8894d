/* The budgets of domain.h. Each is one number: the time at which what was used would be
 * even with the rate. It may lie a second ahead of nothing used, which is the burst. */
#include <assert.h>

#include "pipeline/domain.h"
#include "pipeline/pipeline.h"

#define BURST NS_PER_S

static struct domain_now *now_of(struct pipeline *pl, unsigned d)
{
    assert(d < STORE_DOMAINS);
    return &pl->domains.now[d];
}

/* ns that n of a budget of `rate` a second take. */
static uint64_t time_of(uint64_t n, uint64_t rate)
{
    return n > UINT64_MAX / NS_PER_S ? UINT64_MAX / 2 : n * NS_PER_S / rate;
}

static void charge(uint64_t *even, uint64_t n, uint64_t rate, struct when now)
{
    if (rate == 0) {
        *even = 0;
        return;
    }
    const uint64_t least = now.mono > BURST ? now.mono - BURST : 0;
    *even = (*even > least ? *even : least) + time_of(n, rate);
}

void domain_read(struct pipeline *pl, unsigned d, uint64_t bytes, struct when now)
{
    charge(&now_of(pl, d)->bytes, bytes, pl->options.domain.bytes, now);
}

void domain_charge(struct pipeline *pl, unsigned d, uint64_t items, struct when now)
{
    charge(&now_of(pl, d)->items, items, pl->options.domain.items, now);
}

bool domain_span(struct pipeline *pl, unsigned d, struct when now)
{
    struct domain_now *n = now_of(pl, d);
    if (pl->options.domain.spans && n->spans > now.mono)
        return false;
    charge(&n->spans, 1, pl->options.domain.spans, now);
    return true;
}

uint64_t domain_even(const struct pipeline *pl, unsigned d)
{
    const struct domain_now *n = &pl->domains.now[d];
    return n->bytes > n->items ? n->bytes : n->items;
}

enum domain_pace domain_pace(struct pipeline *pl, unsigned d, struct when now)
{
    struct domain_now *n = now_of(pl, d);
    const uint64_t even = domain_even(pl, d);
    if (even <= now.mono) {
        if (now.mono - even >= BURST / 2)
            n->pressed = 0;
        return DOMAIN_GO;
    }
    if (!n->pressed)
        n->pressed = now.mono ? now.mono : 1;
    return now.mono - n->pressed < pl->options.domain.defer ? DOMAIN_LATER : DOMAIN_DROP;
}

void domain_relieved(struct pipeline *pl, unsigned d)
{
    now_of(pl, d)->pressed = 0;
}

/* ---- turns ---- */

void domain_spend(struct pipeline *pl, unsigned d, uint64_t cost)
{
    int64_t *credit = &pl->domains.credit[d];
    assert(d <= STORE_DOMAINS);
    *credit -= cost < 2 * DOMAIN_DEBT ? (int64_t)cost : 2 * DOMAIN_DEBT;
    if (*credit < -DOMAIN_DEBT)
        *credit = -DOMAIN_DEBT;
}

bool domain_has_turn(const struct pipeline *pl, unsigned d)
{
    return pl->domains.credit[d] > 0;
}

void domain_next_round(struct pipeline *pl)
{
    for (unsigned d = 0; d <= pl->options.domains; d++) {
        int64_t *credit = &pl->domains.credit[d];
        *credit = *credit < 0 ? *credit + DOMAIN_QUANTUM : DOMAIN_QUANTUM;
    }
}
