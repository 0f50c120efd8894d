/* otlp: an OTLP request into the store, in bounded steps. Floor 3. No I/O, no clock.
 *
 * The receivers hand over a whole message; its items are counted, judged and
 * applied one by one as those of frames are, under the service of their resource
 * and the domain that it hashes to (as for a producer, with uid OTLP_UID). Law 3
 * holds here too: received = applied + dropped by reason, in items: spans, log
 * records, data points. */
#ifndef MCPTALLY_PIPELINE_OTLP_H
#define MCPTALLY_PIPELINE_OTLP_H

#include "pipeline/pipeline.h"
#include "otlp/otlp.h"

#define OTLP_UID UINT32_C(0xfffffffe) /* an OTLP sender has no uid */

struct otlp_request; /* a message that is being applied */

/* Takes the message's bytes (malloc'ed). NULL when memory is out; they are freed then. */
struct otlp_request *otlp_request_new(struct pipeline *pl, enum otlp_signal signal, uint8_t *bytes,
                                      size_t n);

/* Applies items until about `bytes` of the message are done, and commits; true
 * while there is more. */
bool otlp_request_step(struct otlp_request *r, size_t bytes, struct when now);

struct otlp_result {
    uint64_t accepted, rejected; /* items; what sampling left out counts as accepted */
    bool unreadable;             /* nothing of it could be read: the request is malformed */
    struct str message;          /* why, for the sender; empty when nothing was rejected */
    uint64_t retry; /* ns after which to send all of it again: its domain takes nothing now; 0 */
    bool over;      /* and that is because of its rate */
};
/* After the last step. The message lives as long as the request. */
void otlp_request_result(const struct otlp_request *r, struct otlp_result *out);

/* The domain of the items in hand, -1 before the first. */
int otlp_request_domain(const struct otlp_request *r);

void otlp_request_free(struct otlp_request *r);

#endif
