/* grpc_client: OTLP/gRPC to one host. Floor 4.
 *
 * One connection takes new calls; one that the collector is leaving stays until its calls are
 * answered. There are never more of those than open calls. */
#ifndef MCPTALLY_EXPORT_GRPC_CLIENT_H
#define MCPTALLY_EXPORT_GRPC_CLIENT_H

#include "export/setup.h"

extern const struct client_ops grpc_client;

#endif
