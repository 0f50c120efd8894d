/* gather: what surrounds the children of a message, in bounded steps. Floor 1. Private to
 * otlp/.
 *
 * A message may have millions of fields, children and others in any order, and what lies
 * around a child has to be known before it is handed out. So all of them are passed over
 * once, children by their length; the rest is copied, up to LIMIT_ORIGIN bytes of it. */
#ifndef MCPTALLY_OTLP_GATHER_H
#define MCPTALLY_OTLP_GATHER_H

#include "base/buf.h"
#include "base/str.h"
#include "otlp/limits.h"

struct gather {
    struct str left;   /* of the message */
    int err;           /* why that cannot be read */
    const char *run;   /* where the fields begin that are not copied yet */
    uint32_t numbers;  /* of fields that are children: a mask, as in fields_unknown() */
    bool over;         /* more than `to` may hold: it has what came before */
    struct buf *to;    /* borrowed */
    uint64_t children; /* so far, and the newest of them: */
    uint32_t number;
    struct str child;
};

/* The message is borrowed until the last step. */
void gather_begin(struct gather *g, struct str message, uint32_t numbers, struct buf *to);

/* Reads at most `fields` fields; true when there may be more. *work grows by one for each,
 * and for each 64 bytes that were copied. */
bool gather_step(struct gather *g, unsigned fields, size_t *work);

/* After the last step: 0; -ERR_RANGE when it was over; -ERR_NOMEM; -ERR_SYNTAX or
 * -ERR_SHORT for a message that cannot be read, or a child that is no bytes. */
int gather_result(const struct gather *g);

#endif
