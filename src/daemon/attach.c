#include "daemon/attach.h"

#include "base/audit.h"
#include "base/log.h"
#include "daemon/ladder.h"
#include "daemon/options.h"

static void tell_store(const struct storefile *f)
{
    static const char *const how[] = {
        [STOREFILE_NEW] = "new",
        [STOREFILE_CONTINUED] = "continued",
        [STOREFILE_COPIED] = "copied to another layout or size",
        [STOREFILE_REPLACED] = "new; the one before is set aside as store.damaged-*",
    };
    if (f->how == STOREFILE_REPLACED) {
        const struct audit_act act = {
            .what = "store.set_aside", .object = f->path, .outcome = "done"};
        audit_note(&act);
    }
    if (*f->why)
        log_warn("store", "%s", f->why);
    log_info("store", "%s: %s", f->path, how[f->how]);
}

/* The start times that the head remembers, oldest first; returns how many. */
static unsigned past_starts(const struct store_head *h, uint64_t out[START_SLOTS])
{
    unsigned n = 0;
    for (uint64_t i = h->starts > START_SLOTS ? h->starts - START_SLOTS : 0; i < h->starts; i++)
        if (h->start_at[i % START_SLOTS])
            out[n++] = h->start_at[i % START_SLOTS];
    return n;
}

/* An orderly stop ends the row of starts that the ladder looks at. */
static void forget_starts(struct store_head *h)
{
    const uint64_t newest = (h->starts - 1) % START_SLOTS;
    for (unsigned i = 0; i < START_SLOTS; i++)
        if (i != newest)
            h->start_at[i] = 0;
}

/* A daemon that died with input of a domain in hand may have died of it. When several have
 * the domain is set aside, and what they did is no reason to brake: the others are served
 * at once. */
static void judge_domain(struct daemon *d, struct when now)
{
    struct store_head *h = d->file.store.head;
    const uint64_t domain = h->domain_in_hand - 1;
    struct domain_options o;
    options_domain(d->config, &o);
    if (h->domain_in_hand && !d->file.clean && d->config->start_ladder &&
        domain < d->config->domains_count &&
        domain_crashed(&d->file.store, &o, (unsigned)domain, now))
        forget_starts(h);
    h->domain_in_hand = 0;
}

static int judge_start(struct daemon *d, struct when now)
{
    struct store_head *h = d->file.store.head;
    uint64_t starts[START_SLOTS];
    judge_domain(d, now);
    if (d->file.clean || !d->config->start_ladder)
        forget_starts(h);
    const struct ladder l = ladder_judge(starts, past_starts(h, starts));
    d->brake = l.set_aside ? 0 : l.wait;
    if (l.set_aside)
        return storefile_replace(&d->file, d->config->store_size,
                                 "every daemon that went on from this store has died", now);
    if (d->brake)
        log_warn("daemon", "%u starts in a row: serving in %llu s", l.starts,
                 (unsigned long long)(d->brake / NS_PER_S));
    return 0;
}

int attach_store(struct daemon *d)
{
    const struct when now = clock_now();
    int r = storefile_open(&d->file, d->paths.store, d->config->store_size, now);
    if (r == 0)
        r = judge_start(d, now);
    if (r == 0)
        tell_store(&d->file);
    else
        log_error("store", "%s", d->file.why);
    return r;
}
