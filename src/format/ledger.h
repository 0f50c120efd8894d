/* ledger: what became of every item, as the store's own metrics say. Floor 3.
 *
 * Read from the store alone, so that it can be shown with no daemon running. */
#ifndef MCPTALLY_FORMAT_LEDGER_H
#define MCPTALLY_FORMAT_LEDGER_H

#include "format/json.h"
#include "pipeline/pipeline.h"

/* received = applied + all of dropped; duplicates are counted beside it. */
struct account {
    uint64_t received, applied, duplicates, connections;
    uint64_t dropped[DROP_MAX];
};

struct ledger {
    struct account all;
    struct account domains[DOMAINS_MAX];
    bool used[DOMAINS_MAX];  /* domains that ever had a session */
    uint64_t lost[LOST_MAX]; /* dropped by the producers themselves */
    uint64_t starts, rollbacks, expired;
};

void ledger_read(const struct store *st, struct ledger *out);

/* {"received":..,"applied":..,"dropped":{reason:..},"duplicates":..} */
void ledger_put_account(struct json_writer *j, const char *key, const struct account *a);

/* An array of the used domains' accounts, each with "domain", "connections" and what may
 * keep it from being served. */
void ledger_put_domains(struct json_writer *j, const char *key, const struct store *st,
                        const struct ledger *l);

/* {reason:..} */
void ledger_put_lost(struct json_writer *j, const char *key, const struct ledger *l);

/* An array of the ledgers of the rings' consumers. */
void ledger_put_consumers(struct json_writer *j, const char *key, const struct store *st);

#endif
