/* redact_otlp: takes secrets out of OTLP messages. Floor 3.
 *
 * Every string of an item, its resource and its scope is judged as redact.h judges
 * attributes and texts: attributes by key and content at any depth of arrays and
 * maps, under all the keys around them; names, bodies, status messages, tracestates and
 * URLs as texts. Ids, numbers and fields that are not known stay as they are, byte for
 * byte. Tool arguments and results go whatever they are, unless they are to be kept.
 *
 * It looks first, without allocating anything; only where there is a secret is the
 * message written anew, and then its lengths may be padded varints. */
#ifndef MCPTALLY_PIPELINE_REDACT_OTLP_H
#define MCPTALLY_PIPELINE_REDACT_OTLP_H

#include "pipeline/redact.h"
#include "otlp/otlp.h"

enum otlp_part { OTLP_PART_RESOURCE, OTLP_PART_SCOPE, OTLP_PART_ITEM };

/* 0: it holds none, and nothing was appended; 1: the rewritten message was appended;
 * -ERR_SYNTAX when it cannot be read, -ERR_NOMEM: it must not be stored. The bytes have
 * passed the trust line. r may be NULL: 0. */
int redact_otlp(const struct redact *r, enum otlp_signal signal, enum otlp_part part,
                struct str bytes, struct buf *to, struct redact_count *count);

#endif
