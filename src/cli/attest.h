/* attest: whether the audit log is whole, which `mcptally audit --verify` and the weekly
 * maintenance ask: no record changed or taken out, and none taken off the end. */
#ifndef MCPTALLY_CLI_ATTEST_H
#define MCPTALLY_CLI_ATTEST_H

#include "cli/trail.h"

/* What the daemon knows of its log; empty when none runs. */
struct attest_head {
    char path[TRAIL_PATH], hash[AUDIT_HASH];
    uint64_t seq, waiting;
};

/* Asks the daemon at this control socket. */
void attest_ask(const char *control, struct attest_head *h);

/* Reads the trail to its end. Says on stderr all that is wrong; when nothing is, that, on
 * stdout. An exit code. */
int attest(struct trail *t, const struct attest_head *h);

#endif
