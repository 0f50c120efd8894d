/* domains: which failure domain a producer belongs to. Floor 5.
 *
 * The first entry of domains.mapping that agrees decides; then the name in the
 * producer's HELLO, where domains.choosers lets its user choose; then a hash of
 * user and service name. The executable is looked up only for entries that name
 * one; it is what the peer's pid showed at HELLO, so it tells apart, but it is no
 * proof of identity. */
#ifndef MCPTALLY_DAEMON_DOMAINS_H
#define MCPTALLY_DAEMON_DOMAINS_H

#include "daemon/config.h"
#include "pipeline/pipeline.h"

/* For pipeline_options.choose_domain; arg is a struct config. */
unsigned domains_choose(void *arg, const struct peer *peer, struct str service, struct str asked);

#endif
