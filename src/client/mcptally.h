/* mcptally.h: count, time and trace from inside a program. libmcptally(3) is
 * the reference.
 *
 * Every call is safe from any thread, never blocks, never prints, never raises
 * a signal and never fails for want of a daemon: what cannot be kept is counted
 * and reported when the daemon is back. After fork() the child gets a session
 * of its own. Handles stay valid until mcptally_close(); a NULL handle is
 * accepted everywhere and does nothing. Text is UTF-8 and copied. */
#ifndef MCPTALLY_H
#define MCPTALLY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MCPTALLY_API __attribute__((visibility("default")))
#else
#define MCPTALLY_API
#endif

#define MCPTALLY_VERSION "0.1.0"

typedef struct mcptally mcptally;               /* a session with the daemon */
typedef struct mcptally_metric mcptally_metric; /* a metric's definition */
typedef struct mcptally_series mcptally_series; /* a metric with its labels */

/* ---- session ---- */

enum {
    MCPTALLY_NO_THREAD = 1, /* the host drives mcptally_poll() itself */
    MCPTALLY_NO_ACK = 2,    /* at most once: less memory, no exactly-once */
    MCPTALLY_RING = 4,      /* the buffers are shared with the daemon, which reads them itself,
                               where it offers that; also MCPTALLY_TRANSPORT=ring */
};

typedef struct mcptally_options {
    size_t size;          /* sizeof(mcptally_options) */
    const char *socket;   /* path of events.sock; NULL: MCPTALLY_SOCKET, else the one in
                             MCPTALLY_RUNTIME_DIR, else the first that answers in
                             $XDG_RUNTIME_DIR/mcptally, /run/mcptally, /dev/shm/mcptally-UID */
    const char *service;  /* label service_name; NULL: OTEL_SERVICE_NAME, then the program's name */
    const char *instance; /* service.instance.id; NULL: the pid */
    const char *domain;   /* asks for a failure domain; NULL: the daemon decides */
    unsigned flags;       /* MCPTALLY_NO_*, MCPTALLY_RING */
    uint32_t buffer_bytes; /* per thread; 0: 65536, or 262144 when shared; a power of two */
    uint32_t queue_bytes;  /* unacknowledged data kept; 0: 4 MiB */
    uint32_t flush_ms;     /* longest stay in a buffer; 0: 100 */
} mcptally_options;

/* Opens a session; options may be NULL. No system call waits for the daemon.
 * NULL only when memory is out (errno ENOMEM) or options->size is unknown (EINVAL). */
MCPTALLY_API mcptally *mcptally_open(const mcptally_options *options);

/* Flushes for at most timeout_ms, says BYE and frees everything. No other thread
 * may use the session or its handles any more, and its spans have ended. */
MCPTALLY_API void mcptally_close(mcptally *m, int timeout_ms);

/* Waits until everything emitted before the call is acknowledged: 0, or -1 with
 * errno ETIMEDOUT, EPROTO or ENOBUFS. The last two come when all the rest was
 * acknowledged: the daemon rejected items, or items were lost here, by one of the
 * reasons in mcptally_stats, such as a full buffer; in any thread, since the last
 * flush that did not time out. The one call that may block, for at most timeout_ms. */
MCPTALLY_API int mcptally_flush(mcptally *m, int timeout_ms);

/* For MCPTALLY_NO_THREAD: a descriptor that turns readable when there is work,
 * and the work. mcptally_poll returns the milliseconds until it wants to be
 * called again at the latest, -1 for never. A forked child asks for its own. */
MCPTALLY_API int mcptally_fd(mcptally *m);
MCPTALLY_API int mcptally_poll(mcptally *m);

typedef struct mcptally_stats {
    size_t size;           /* sizeof(mcptally_stats), set by the caller */
    uint64_t emitted;      /* items that callers gave; what is none of the below waits */
    uint64_t acknowledged; /* items the daemon has applied or rejected */
    uint64_t rejected;     /* items the daemon rejected */
    uint64_t lost_buffer, lost_queue, lost_expired, lost_invalid; /* given up, by reason */
    uint32_t connected;                                           /* 1 while welcome */
    uint32_t last_reject; /* reason number of the newest REJECT; see mcptally_reject_name */
} mcptally_stats;

MCPTALLY_API void mcptally_get_stats(mcptally *m, mcptally_stats *out);
MCPTALLY_API const char *mcptally_reject_name(uint32_t reason);

/* ---- metrics ---- */

/* A label or attribute with a text value. Arrays of them end in {NULL, NULL}. */
typedef struct mcptally_label {
    const char *key;
    const char *value;
} mcptally_label;

/* Definitions are idempotent: the same name gives the same handle. unit is UCUM
 * ("s", "By", "1") or NULL; help may be NULL. A definition that is malformed, or
 * contradicts an earlier one, gives a handle whose items count as lost_invalid. */
MCPTALLY_API mcptally_metric *mcptally_counter(mcptally *m, const char *name, const char *unit,
                                               const char *help);
/* A counter of fractions (seconds, costs): add with mcptally_addf. */
MCPTALLY_API mcptally_metric *mcptally_counterf(mcptally *m, const char *name, const char *unit,
                                                const char *help);
/* join: "last" (or NULL), "sum", "min", "max" over the live sessions. */
MCPTALLY_API mcptally_metric *mcptally_gauge(mcptally *m, const char *name, const char *unit,
                                             const char *join, const char *help);
/* bounds: ascending; NULL for the OpenTelemetry MCP buckets in seconds. */
MCPTALLY_API mcptally_metric *mcptally_histogram(mcptally *m, const char *name, const char *unit,
                                                 const double *bounds, size_t nbounds,
                                                 const char *help);
MCPTALLY_API mcptally_metric *mcptally_summary(mcptally *m, const char *name, const char *unit,
                                               const char *help);

/* The series with these labels (NULL: none); idempotent. */
MCPTALLY_API mcptally_series *mcptally_with(mcptally_metric *metric, const mcptally_label *labels);

/* The hot path: a few nanoseconds, no system call, no lock, no allocation after a
 * thread's first call. */
MCPTALLY_API void mcptally_add(mcptally_series *counter, uint64_t n);
MCPTALLY_API void mcptally_addf(mcptally_series *counter, double n);
MCPTALLY_API void mcptally_set(mcptally_series *gauge, double value);
MCPTALLY_API void mcptally_observe(mcptally_series *histogram_or_summary, double value);

/* ---- events, logs, health ---- */

typedef struct mcptally_measure {
    const char *key; /* arrays end in {NULL, 0} */
    double value;
} mcptally_measure;

/* A named event with measurements (numbers) and metadata (text); either may be NULL. */
MCPTALLY_API void mcptally_event(mcptally *m, const char *name,
                                 const mcptally_measure *measurements,
                                 const mcptally_label *metadata);

enum {
    MCPTALLY_TRACE = 1,
    MCPTALLY_DEBUG = 5,
    MCPTALLY_INFO = 9,
    MCPTALLY_WARN = 13,
    MCPTALLY_ERROR = 17,
    MCPTALLY_FATAL = 21,
};

MCPTALLY_API void mcptally_log(mcptally *m, int severity, const char *message,
                               const mcptally_label *attributes);

enum { MCPTALLY_UNKNOWN = 0, MCPTALLY_HEALTHY = 1, MCPTALLY_DEGRADED = 2, MCPTALLY_UNHEALTHY = 3 };

/* The state of a named component; message may be NULL. */
MCPTALLY_API void mcptally_health(mcptally *m, const char *component, int state,
                                  const char *message);

/* The correlation id that this thread's events, logs and spans carry from now
 * on; NULL for none. */
MCPTALLY_API void mcptally_correlation(mcptally *m, const char *id);

/* ---- spans ---- */

typedef struct mcptally_span mcptally_span;

enum { MCPTALLY_SPAN_INTERNAL = 1, MCPTALLY_SPAN_SERVER = 2, MCPTALLY_SPAN_CLIENT = 3 };

/* Begins a span as a child of the W3C traceparent (NULL: of this thread's
 * innermost open span, whose tracestate and baggage it takes over, else a new
 * root). tracestate may be NULL. NULL when memory is out. */
MCPTALLY_API mcptally_span *mcptally_span_start(mcptally *m, const char *name, int kind,
                                                const char *traceparent, const char *tracestate);
MCPTALLY_API void mcptally_span_attr(mcptally_span *s, const char *key, const char *value);
MCPTALLY_API void mcptally_span_attr_i64(mcptally_span *s, const char *key, int64_t value);
MCPTALLY_API void mcptally_span_attr_f64(mcptally_span *s, const char *key, double value);
MCPTALLY_API void mcptally_span_event(mcptally_span *s, const char *name);
/* Marks it failed; type goes into error.type, message is its description (NULL: none). */
MCPTALLY_API void mcptally_span_error(mcptally_span *s, const char *type, const char *message);
/* Replaces the times that start and end took: ns since 1970, 0 leaves one as it is. */
MCPTALLY_API void mcptally_span_times(mcptally_span *s, uint64_t start, uint64_t end);
/* The W3C traceparent of this span (55 bytes and a NUL). */
MCPTALLY_API void mcptally_span_context(const mcptally_span *s, char traceparent[56]);
/* Its W3C tracestate and baggage, for whoever is asked next; empty when there is
 * none. Good until the span ends or its baggage is set. */
MCPTALLY_API const char *mcptally_span_tracestate(const mcptally_span *s);
MCPTALLY_API const char *mcptally_span_baggage(const mcptally_span *s);
/* The baggage that came with the request, or NULL for none: it is carried on, to
 * spans inside this one as well, and not recorded. 0, or -1 with errno EINVAL (longer
 * than 8192 bytes, or no baggage) or ENOMEM; the span then has none. */
MCPTALLY_API int mcptally_span_set_baggage(mcptally_span *s, const char *baggage);
/* Ends, emits and frees it. */
MCPTALLY_API void mcptally_span_end(mcptally_span *s);

/* ---- one line for one operation ---- */

/* Counts, times and traces a call: histogram NAME.duration (s) and a span NAME,
 * both with `error.type` when it failed.
 *
 *     mcptally_track t = mcptally_track_start(m, "memory.search", NULL);
 *     ...
 *     mcptally_track_end(&t, ok ? NULL : "timeout");
 *
 * In GNU C and C++ the scoped form ends by itself:
 *
 *     MCPTALLY_TRACK(m, "memory.search");
 */
typedef struct mcptally_track {
    mcptally_series *duration;
    mcptally_span *span;
    uint64_t start; /* CLOCK_BOOTTIME, ns */
    mcptally *m;
} mcptally_track;

MCPTALLY_API mcptally_track mcptally_track_start(mcptally *m, const char *name,
                                                 const mcptally_label *labels);
MCPTALLY_API void mcptally_track_end(mcptally_track *t, const char *error_type);
MCPTALLY_API void mcptally_track_leave(mcptally_track *t); /* end without an error, once */

#if defined(__GNUC__)
#define MCPTALLY_TRACK_NAME2(line) mcptally_track_##line
#define MCPTALLY_TRACK_NAME(line)  MCPTALLY_TRACK_NAME2(line)
#define MCPTALLY_TRACK(m, name)                                                                    \
    __attribute__((cleanup(mcptally_track_leave), unused)) mcptally_track MCPTALLY_TRACK_NAME(     \
        __LINE__) = mcptally_track_start((m), (name), NULL)
#endif

#ifdef __cplusplus
}
#endif
#endif
