/* system: figures of the machine for the health page. Floor 4. */
#ifndef MCPTALLY_SERVE_SYSTEM_H
#define MCPTALLY_SERVE_SYSTEM_H

#include "format/health_doc.h"

#include "helper/helper.h"
#include "pipeline/own.h"

enum { SYSTEM_MINUTE = 60 }; /* readings that the share of CPU time is taken over */

struct system {
    struct system_figures now;
    struct helper_call *disk; /* being asked */
    uint64_t asked;           /* mono ns when the disk was asked for last; 0: never */
    unsigned n;               /* readings */
    struct {
        uint64_t used, all; /* units of CPU time */
    } cpu[SYSTEM_MINUTE + 1];
};

/* Reads them from the kernel, once a second: what a control group limits is the group's, else
 * the machine's. How full the disk of the state directory is tells the helper. What cannot be
 * read stays 0. Takes about 0.2 ms. */
void system_tick(struct system *s, struct helper *helper, struct when now);
void system_fini(struct system *s);

/* Brings the own metrics up to date, inside the open batch. */
void system_refresh(const struct system *s, struct own *o);

#endif
