/* Weekly, and `mcptally verify`: everything that is kept is read and checked. */
#include <glob.h>
#include <stdio.h>

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

int upkeep_weekly(const struct upkeep *u)
{
    char pattern[PLACE_MAX + 16];
    glob_t found;
    int status = verify_store(u->place.store, CLI_OK);
    snprintf(pattern, sizeof pattern, "%s/spool/*", u->state);
    if (glob(pattern, GLOB_ONLYDIR, NULL, &found) != 0)
        return status;
    for (size_t i = 0; i < found.gl_pathc; i++)
        status = verify_spool(found.gl_pathv[i], status);
    globfree(&found);
    return status;
}
