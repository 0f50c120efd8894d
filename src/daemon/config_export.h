/* config_export: where to forward to, from YAML or from OTEL_* variables. Floor 5.
 *
 * Values of headers are secrets: nothing here quotes them. */
#ifndef MCPTALLY_DAEMON_CONFIG_EXPORT_H
#define MCPTALLY_DAEMON_CONFIG_EXPORT_H

#include "daemon/config_lists.h"
#include "otlp/otlp.h"
#include "pipeline/own.h"

enum config_metrics { METRICS_FORWARD, METRICS_CUMULATIVE, METRICS_DELTA, METRICS_OFF };

struct config_header {
    char *name, *value;
};

struct config_destination {
    char *name;                    /* [a-z0-9_-], shorter than OWN_NAME */
    bool grpc;                     /* else http/protobuf */
    char *endpoint;                /* "" when every signal has its own */
    char *endpoints[OTLP_SIGNALS]; /* after config_destinations_finish(): what is used, or "" */
    bool plain;                    /* grpc without a scheme: no TLS */
    bool gzip;
    uint64_t timeout, keepalive; /* ns */
    unsigned concurrent;
    char *ca_file, *cert_file, *key_file; /* "": none */
    bool insecure_skip_verify;
    unsigned signals; /* mask of 1 << enum otlp_signal */
    size_t nheaders;
    struct config_header *headers;
    bool spool;
    uint64_t spool_size, spool_age; /* 0: spool.size, spool.age */
    struct place at;
};

struct config_destinations {
    struct config_destination *all;
    size_t n;
};

/* Reads a list of maps. */
bool config_destinations_read(struct config_destinations *d, const struct tree_node *all,
                              struct faults *f);

/* The same from text, as after -o: YAML in one line. */
bool config_destinations_parse(struct config_destinations *d, const char *file, const char *text,
                               struct faults *f);

/* The destination "otel" of the environment, when that names an endpoint; several when
 * the signals differ in more than that. `lookup` is getenv(). */
typedef const char *config_lookup(const char *name);
bool config_destinations_environment(struct config_destinations *d, config_lookup *lookup,
                                     struct faults *f);

/* Makes the endpoints of each signal, and checks them. `own`: addresses that this
 * daemon listens on for OTLP; what is sent there would come back for ever. */
bool config_destinations_finish(struct config_destinations *d, const char *const *own, size_t nown,
                                struct faults *f);

void config_destinations_clear(struct config_destinations *d);

#endif
