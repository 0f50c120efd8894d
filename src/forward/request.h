/* request: ring records as one Export*ServiceRequest. Floor 3. No I/O, no clock. */
#ifndef MCPTALLY_FORWARD_REQUEST_H
#define MCPTALLY_FORWARD_REQUEST_H

#include "otlp/otlp.h"
#include "pipeline/sampling.h"
#include "store/read.h"

struct request {
    enum otlp_signal signal;
    uint32_t items;
    struct buf bytes;
};

void request_init(struct request *r, enum otlp_signal signal, size_t max);
void request_fini(struct request *r);

/* Begins anew, with another bound if it has changed. */
void request_reset(struct request *r, size_t max);

/* 1: added; 0: it is nothing of this signal; -ERR_FULL: it does not fit behind what
 * is there; -ERR_SYNTAX or -ERR_RANGE: it cannot be forwarded. */
int request_add(struct request *r, const struct ring_view *record,
                const struct sample_decision *decision);

/* What is to be sent; good until the next call. */
struct str request_bytes(struct request *r);

#endif
