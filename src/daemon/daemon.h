/* daemon: everything, put together. Floor 5.
 *
 * The order in which things start, and in reverse stop, is the table `steps` in
 * daemon.c; nothing else starts or stops them. One thread, one loop; all of this
 * is touched by its callbacks only. Nothing in the loop blocks: names, certificates and
 * disks are asked for from the helper process. */
#ifndef MCPTALLY_DAEMON_DAEMON_H
#define MCPTALLY_DAEMON_DAEMON_H

#include <event2/event.h>

#include "daemon/auditor.h"
#include "daemon/checking.h"
#include "daemon/config.h"
#include "daemon/forwarding.h"
#include "daemon/load.h"
#include "daemon/logger.h"
#include "daemon/notify.h"
#include "daemon/otlp_ports.h"
#include "daemon/paths.h"
#include "daemon/ports.h"
#include "daemon/resource.h"
#include "daemon/sockets.h"
#include "daemon/storefile.h"
#include "daemon/tick.h"
#include "daemon/web.h"
#include "intake/intake.h"
#include "pipeline/redact.h"
#include "pipeline/rules.h"
#include "pipeline/sampling.h"
#include "probe/observe.h"
#include "serve/system.h"
#include "watch/health.h"

/* sysexits(3), as far as systemd must not start us again for them. */
enum daemon_exit {
    DAEMON_OK = 0,
    DAEMON_USAGE = 64,  /* the command line */
    DAEMON_FAILED = 71, /* the system did not give what is needed */
    DAEMON_BUSY = 75,   /* another daemon has the store */
    DAEMON_PERM = 77,   /* owner or mode of a file or directory */
    DAEMON_CONFIG = 78, /* the configuration */
};

enum daemon_state {
    DAEMON_STARTING, /* before the loop */
    DAEMON_BRAKED,   /* in the loop, but waiting, because of a crash loop */
    DAEMON_SERVING,
    DAEMON_DRAINING, /* SIGTERM came; what was written is being read */
    DAEMON_LEAVING,  /* the loop is told to end */
};

struct daemon {
    struct load *load;
    struct config *config;
    enum daemon_state state;
    struct when started;
    struct logger logger;
    struct paths paths;
    struct auditor auditor;
    struct passed passed;
    struct notify notify;
    struct storefile file;
    uint64_t brake;       /* ns to wait before serving */
    unsigned connections; /* producers that the limit of descriptors leaves room for */
    struct event_base *base;
    struct tick tick;
    struct event *limit; /* of the brake, or of the drain */
    struct event *watch; /* pending while the ring has news for the watchers */
    struct event *sigterm, *sigint, *sighup, *sigusr1;
    struct pipeline pipeline;
    struct redact *redact;
    struct rules *rules;
    struct sampling *sampling;
    unsigned flood_level; /* of the sampling, as last logged */
    struct health_watch health;
    struct str *required; /* what its options borrow */
    uint64_t watched;     /* records of the event ring that the watchers have seen */
    struct verdict verdict;
    struct web web;
    struct ports ports;
    struct socket_place events;
    struct intake intake;
    struct otlp_ports otlp;
    unsigned undrained; /* of the intakes */
    struct resource resource;
    struct helper *helper;
    struct forwarding *forwarding; /* NULL: not yet */
    struct checking *checking;     /* likewise */
    struct system system;
    struct observed *observed; /* producers' processes */
};

/* Runs until a signal ends it; takes the configuration. Returns the exit status. */
int daemon_run(struct load *load, struct config *config);

/* SIGHUP: reads the configuration again and applies what can be applied; false, and the
 * log says why, when all stays as it was. */
bool daemon_reload(struct daemon *d);

#endif
