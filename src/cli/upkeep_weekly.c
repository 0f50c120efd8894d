/* Weekly, and `mcptally verify`: everything that is kept is read and checked. */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/attest.h"
#include "cli/cli.h"
#include "cli/inspect.h"
#include "cli/upkeep.h"

enum { COPIES = 50 }; /* of the store of a busy daemon, 20 ms apart */

static const char *const words[] = {
    [INSPECT_WHOLE] = "whole",
    [INSPECT_DAMAGED] = "DAMAGED",
    [INSPECT_ABSENT] = "absent",
    [INSPECT_BUSY] = "changing too fast to be copied",
    [INSPECT_UNREADABLE] = "cannot be read",
};

/* The worse of two exit codes: damage is worse than not being able to tell. */
static int worse(int status, enum inspect_verdict v)
{
    if (v == INSPECT_DAMAGED || status == CLI_FAILURE)
        return CLI_FAILURE;
    if (v == INSPECT_BUSY)
        return CLI_TIMEOUT;
    return v == INSPECT_UNREADABLE ? CLI_PERMISSION : status;
}

static int verify_store(const char *path, int status)
{
    struct inspect_store s;
    inspect_store(path, COPIES, &s);
    printf("store %s: %s", path, words[s.verdict]);
    if (s.verdict == INSPECT_WHOLE)
        printf(": %llu metrics, %llu series, %llu bytes%s", (unsigned long long)s.metrics,
               (unsigned long long)s.series, (unsigned long long)s.bytes,
               s.live ? ", of a running daemon" : "");
    else if (s.why[0] && s.verdict != INSPECT_ABSENT)
        printf(": %s", s.why);
    printf("\n");
    return worse(status, s.verdict);
}

static int verify_spool(const char *dir, int status)
{
    struct inspect_spool s;
    inspect_spool(dir, &s);
    printf("spool %s: %s: %llu records with %llu items", dir, words[s.verdict],
           (unsigned long long)s.records, (unsigned long long)s.items);
    if (s.damaged_records)
        printf(", %llu records lost", (unsigned long long)s.damaged_records);
    if (s.set_aside)
        printf(", %llu files set aside", (unsigned long long)s.set_aside);
    printf(s.why[0] ? ": %s\n" : "%s\n", s.why);
    return worse(status, s.verdict);
}

static int verify_spools(const char *state, int status)
{
    char pattern[PLACE_MAX + 16];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/spool/*", state);
    if (glob(pattern, GLOB_ONLYDIR, NULL, &found) != 0)
        return status;
    for (size_t i = 0; i < found.gl_pathc; i++)
        status = verify_spool(found.gl_pathv[i], status);
    globfree(&found);
    return status;
}

/* The daemon may be one that has been asked not to keep one. */
static int no_audit(const char *path, int r, int why)
{
    if (r == -ERR_IO && why == ENOENT) {
        printf("audit %s: absent\n", path);
        return CLI_OK;
    }
    cli_error("%s: %s", path, r == -ERR_IO ? strerror(why) : err_help(r));
    return r == -ERR_IO ? cli_exit_of(why) : CLI_FAILURE;
}

static int verify_audit(const struct upkeep *u)
{
    char path[PLACE_MAX + 16];
    struct attest_head head;
    struct trail *t = malloc(sizeof *t);
    snprintf(path, sizeof path, "%s/audit.log", u->state);
    attest_ask(u->place.control, &head); /* first: what comes later may be in a file of its own */
    const int r = t ? trail_open(t, path) : -ERR_NOMEM, why = errno;
    int status;
    if (r < 0) {
        status = no_audit(path, r, why);
    } else {
        printf("audit %s: ", path);
        fflush(stdout); /* before what is said on stderr */
        status = attest(t, &head);
        if (status != CLI_OK)
            puts("DAMAGED");
        trail_close(t);
    }
    free(t);
    return status;
}

int upkeep_weekly(const struct upkeep *u)
{
    const int status = verify_spools(u->state, verify_store(u->place.store, CLI_OK));
    const int audit = verify_audit(u);
    return status == CLI_FAILURE || audit == CLI_OK ? status : audit;
}
