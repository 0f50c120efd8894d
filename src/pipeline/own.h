/* own: the one table of metrics that the daemon declares about itself. Floor 3.
 *
 * They are ordinary series of the store, pinned, so they survive a restart, are
 * rendered by the ordinary code and change inside the same batches as what they
 * count. man/mcptally-metrics.7 comes from this table. A producer cannot define
 * a metric that has one of these names. */
#ifndef MCPTALLY_PIPELINE_OWN_H
#define MCPTALLY_PIPELINE_OWN_H

#include <stdint.h>

#include "base/str.h"
#include "model/drop.h"
#include "store/store.h"
#include "wire/proto.h"

/* Label dimensions: what the index of a series means, and its label key. */
enum own_label {
    OWN_NONE,
    OWN_DOMAIN,   /* domain="0".. */
    OWN_WINDOW,   /* domain=,window= domain_window_name(): index domain * DOMAIN_WINDOWS + window */
    OWN_DROP,     /* domain="0"..,reason= drop_name(): index domain * DROP_MAX + reason */
    OWN_REJECT,   /* reason= reject_name(): items' and frames' reasons, see own_reject_index() */
    OWN_LOST,     /* reason= lost_name() */
    OWN_CONSUMER, /* consumer= consumer_name(),ring=: index consumer * RING_MAX + ring */
    OWN_RING,     /* ring= events, spans, points */
    OWN_PORT,     /* port= metrics, health, otlp_http */
    OWN_STATE,    /* state= health_name() */
    OWN_REDACT,   /* place=,rule= redact_place_name(), secret_rule_name() */
    OWN_TIER,     /* tier= sample_tier_name() */
    OWN_VERDICT,  /* verdict= by what a trace was decided */
    OWN_INFO,     /* labels given at declaration (build_info, target_info) */
    OWN_LANE,     /* destination=,signal=: own_lane_index() */
    OWN_OUTCOME,  /* and outcome= own_outcome_name(): lane * OWN_OUTCOMES + outcome */
    OWN_ANSWER,   /* and result= own_answer_name(): lane * OWN_ANSWERS + result */
    OWN_OTLP,     /* code=,protocol=,signal=: own_otlp_index() */
    OWN_PROTOCOL, /* protocol= grpc, http: enum otlp_protocol */
    OWN_LIMIT,    /* limit= enum own_limit */
    OWN_LEVEL,    /* level= log_level_name() */
    OWN_RESULT,   /* result= ok, error */
    OWN_HTTP,     /* port=,reason= enum own_http_reason: own_http_index() */
    OWN_CHECK,    /* check=,kind=: a slot of own_name() */
    OWN_CHECKED,  /* and result=: slot * OWN_RESULTS + result */
    OWN_ACTION,   /* action=,outcome=: slot * OWN_ACTION_OUTCOMES + outcome */
    OWN_PROCESS,  /* pid=,service=: a slot */
};

/* What became of an item that a destination is done with. X(SYMBOL, "word") */
#define OWN_OUTCOME_TABLE(X)                                                                       \
    X(DELIVERED, "delivered")         /* taken by the other side */                                \
    X(SAMPLED, "sampled")             /* left out by sampling */                                   \
    X(SKIPPED, "skipped")             /* no OTLP item: health reports */                           \
    X(UNREADABLE, "unreadable")       /* cannot be written as OTLP, or is too large */             \
    X(REFUSED, "refused")             /* in a request that is not to be sent again */              \
    X(REJECTED, "rejected")           /* by a partial success */                                   \
    X(SPOOL_SIZE, "spool_size")       /* dropped from the spool: it was full */                    \
    X(SPOOL_AGE, "spool_age")         /* or the record too old */                                  \
    X(SPOOL_DAMAGED, "spool_damaged") /* or it could not be read back */                           \
    X(SPOOL_MISSING, "spool_missing") /* or somebody has removed it */

enum own_outcome {
#define X(sym, word) OWN_OUT_##sym,
    OWN_OUTCOME_TABLE(X)
#undef X
        OWN_OUTCOMES
};
/* What came of an active check. X(SYMBOL, "word") */
#define OWN_RESULT_TABLE(X)                                                                        \
    X(OK, "ok")                   /* it is as it should be */                                      \
    X(FAILED, "failed")           /* it answered otherwise, or is not there */                     \
    X(TIMEOUT, "timeout")         /* no answer in time */                                          \
    X(UNREACHABLE, "unreachable") /* no connection, no address, no command */                      \
    X(UNKNOWN, "unknown")         /* we may not see it */                                          \
    X(NOT_RUN, "not_run")         /* for want of our own means */

enum own_result {
#define X(sym, word) OWN_RESULT_##sym,
    OWN_RESULT_TABLE(X)
#undef X
        OWN_RESULTS
};

/* What came of a recovery action. X(SYMBOL, "word") */
#define OWN_ACTION_TABLE(X)                                                                        \
    X(DONE, "done")       /* carried out, a command with status 0 */                               \
    X(FAILED, "failed")   /* it could not be, or its command ended otherwise */                    \
    X(TIMEOUT, "timeout") /* its command was ended, for it took too long */                        \
    X(LIMITED, "limited") /* put off: recovery.hourly was used up */                               \
    X(GAVE_UP, "gave_up") /* it had used up its runs, and gave up */

enum own_action {
#define X(sym, word) OWN_ACTION_##sym,
    OWN_ACTION_TABLE(X)
#undef X
        OWN_ACTION_OUTCOMES
};

/* Things of which there are as many as there are configured, or as are seen, each with series
 * of its own while it is there. X(SYMBOL, most of them) */
#define OWN_KIND_TABLE(X)                                                                          \
    X(CHECKS, 256)                                                                                 \
    X(ACTIONS, 16)                                                                                 \
    X(PROCESSES, 64)

enum own_kind {
#define X(sym, most) OWN_KIND_##sym,
    OWN_KIND_TABLE(X)
#undef X
        OWN_KINDS
};
enum {
#define X(sym, most) OWN_MOST_##sym = most,
    OWN_KIND_TABLE(X)
#undef X
        OWN_TEXT = 224, /* bytes of the labels that tell one of them from another */
};

enum own_answer { OWN_ANSWER_OK, OWN_ANSWER_RETRY, OWN_ANSWER_REFUSED, OWN_ANSWERS };

enum {
    OWN_DESTINATIONS = 8, /* that may be forwarded to at one time */
    OWN_SIGNALS = 3,      /* enum otlp_signal */
    OWN_LANES = OWN_DESTINATIONS * OWN_SIGNALS,
    OWN_NAME = CONSUMER_NAME - 6, /* a destination's name and its NUL; "export/" comes before it */
};

/* Answers of the OTLP ports that are counted, by gRPC's code. X(word, code) */
#define OWN_CODE_TABLE(X)                                                                          \
    X("OK", 0)                                                                                     \
    X("CANCELLED", 1)                                                                              \
    X("INVALID_ARGUMENT", 3)                                                                       \
    X("DEADLINE_EXCEEDED", 4)                                                                      \
    X("RESOURCE_EXHAUSTED", 8)                                                                     \
    X("UNIMPLEMENTED", 12)                                                                         \
    X("INTERNAL", 13)                                                                              \
    X("UNAVAILABLE", 14)                                                                           \
    X("UNAUTHENTICATED", 16)

/* The limits of the OTLP ports. X(SYMBOL, "word") */
#define OWN_LIMIT_TABLE(X)                                                                         \
    X(BUFFER_FULL, "buffer")        /* the budget of messages is used up */                        \
    X(MESSAGE_SIZE, "message")      /* a message is too large, or would be unpacked */             \
    X(HEADER_SIZE, "headers")       /* or its headers are */                                       \
    X(CONNECTIONS, "connections")   /* there are as many as there may be */                        \
    X(DESCRIPTORS, "descriptors")   /* none is left */                                             \
    X(SLOW, "time")                 /* a request, or the reading of its answer, takes too long */  \
    X(FLOOD, "flood")               /* resets, pings or settings without end */                    \
    X(PROTOCOL, "protocol")         /* what HTTP/2 does not allow */                               \
    X(METHOD, "method")             /* a method that is not served */                              \
    X(UNAUTHORIZED, "unauthorized") /* no right password or token */                               \
    X(GATE, "tls")                  /* the process that speaks TLS is not there or too busy */

enum own_limit {
#define X(sym, word) OWN_LIMIT_##sym,
    OWN_LIMIT_TABLE(X)
#undef X
        OWN_LIMITS
};

/* Why an HTTP port did not serve a request or a connection. X(SYMBOL, "word") */
#define OWN_HTTP_REASON_TABLE(X)                                                                   \
    X(RATE, "rate_limit")           /* too many from this address, or too many at all */           \
    X(UNAUTHORIZED, "unauthorized") /* no right password or token */                               \
    X(CHECKS, "checks")             /* too many passwords are being checked */                     \
    X(METHOD, "method")             /* one that is not served */                                   \
    X(BODY, "body")                 /* where none is meant */                                      \
    X(SLOW, "time")               /* a head, a body or the reading of an answer takes too long */  \
    X(CROWD, "connections")       /* gave way to a newcomer: there are as many as may be */        \
    X(DESCRIPTORS, "descriptors") /* none is left */                                               \
    X(GATE, "tls")                /* the process that speaks TLS is not there or too busy */

enum own_http_reason {
#define X(sym, word) OWN_HTTP_##sym,
    OWN_HTTP_REASON_TABLE(X)
#undef X
        OWN_HTTP_REASONS
};

/* X(SYMBOL, "name", kind, type, "unit", label, "help") */
#define OWN_TABLE(X)                                                                               \
    X(BUILD_INFO, "mcptally_build_info", GAUGE, U64, "", OWN_INFO,                                 \
      "Version of the daemon; always 1.")                                                          \
    X(TARGET_INFO, "target_info", GAUGE, U64, "", OWN_INFO,                                        \
      "The resource that this daemon runs on; always 1.")                                          \
    X(RECEIVED, "mcptally_items_received", COUNTER, U64, "", OWN_DOMAIN,                           \
      "Items received from producers, duplicates left out: applied plus dropped.")                 \
    X(APPLIED, "mcptally_items_applied", COUNTER, U64, "", OWN_DOMAIN,                             \
      "Items applied to the store.")                                                               \
    X(DROPPED, "mcptally_items_dropped", COUNTER, U64, "", OWN_DROP,                               \
      "Items received and not applied, by reason.")                                                \
    X(DUPLICATES, "mcptally_items_duplicate", COUNTER, U64, "", OWN_DOMAIN,                        \
      "Items sent again after a reconnect that had been applied already.")                         \
    X(REJECTED, "mcptally_frames_rejected", COUNTER, U64, "", OWN_REJECT,                          \
      "REJECT frames sent to producers, by reason.")                                               \
    X(PRODUCER_LOST, "mcptally_producer_lost_items", COUNTER, U64, "", OWN_LOST,                   \
      "Items that producers report to have dropped themselves, by reason.")                        \
    X(REDACTED, "mcptally_redactions", COUNTER, U64, "", OWN_REDACT,                               \
      "Values replaced by [REDACTED], by place and rule.")                                         \
    X(SAMPLING_RATIO, "mcptally_sampling_ratio", GAUGE, F64, "", OWN_TIER,                         \
      "Share of a tier's traces that is kept now, the tail decision left out.")                    \
    X(SPANS_SAMPLED, "mcptally_spans_sampled", COUNTER, U64, "", OWN_TIER,                         \
      "Spans that sampling looked at, by the tier of the rule that each matched.")                 \
    X(TRACES_SAMPLED, "mcptally_traces_sampled", COUNTER, U64, "", OWN_VERDICT,                    \
      "Traces decided, by what decided.")                                                          \
    X(SPANS_PARTIAL, "mcptally_spans_partial", COUNTER, U64, "", OWN_NONE,                         \
      "Spans that came after their trace was decided.")                                            \
    X(SAMPLING_AT_ONCE, "mcptally_sampling_at_once", COUNTER, U64, "", OWN_NONE,                   \
      "Decisions that did not wait for the window: the span ring or the table of traces was "      \
      "full.")                                                                                     \
    X(TRACES_HELD, "mcptally_traces_remembered", GAUGE, U64, "", OWN_NONE,                         \
      "Traces that are held or whose decision is remembered.")                                     \
    X(SERIES_OVERFLOW, "mcptally_series_overflow", COUNTER, U64, "", OWN_DOMAIN,                   \
      "Series definitions led to an overflow series by the cardinality limit.")                    \
    X(SERIES_EXPIRED, "mcptally_series_expired", COUNTER, U64, "", OWN_NONE,                       \
      "Series removed because they were idle.")                                                    \
    X(RULE_MATCHES, "mcptally_rule_matches", COUNTER, U64, "", OWN_NONE,                           \
      "Metric updates made from events by rules.")                                                 \
    X(RULE_FAILURES, "mcptally_rule_failures", COUNTER, U64, "", OWN_NONE,                         \
      "Rule applications that failed: measurement missing, or no room for the series.")            \
    X(OTLP_STREAMS, "mcptally_otlp_streams", GAUGE, U64, "", OWN_NONE,                             \
      "Cumulative OTLP streams whose newest value is kept.")                                       \
    X(OTLP_BASELINES, "mcptally_otlp_baseline_points", COUNTER, U64, "", OWN_NONE,                 \
      "Cumulative points that only said where their stream goes on from.")                         \
    X(OTLP_STALE, "mcptally_otlp_stale_points", COUNTER, U64, "", OWN_NONE,                        \
      "Cumulative points that were not newer than what was kept, and added nothing.")              \
    X(OTLP_RESETS, "mcptally_otlp_stream_resets", COUNTER, U64, "", OWN_NONE,                      \
      "Times that a cumulative stream began anew.")                                                \
    X(OTLP_UNFORWARDED, "mcptally_otlp_unforwarded_metrics", COUNTER, U64, "", OWN_NONE,           \
      "OTLP metrics that were applied and could not be kept for sending on.")                      \
    X(RING_APPENDED, "mcptally_ring_records_appended", COUNTER, U64, "", OWN_RING,                 \
      "Records appended to a ring.")                                                               \
    X(RING_READ, "mcptally_ring_records_read", COUNTER, U64, "", OWN_CONSUMER,                     \
      "Ring records read by a consumer: delivered plus filtered plus failed plus in flight.")      \
    X(RING_OVERRUN, "mcptally_ring_records_overrun", COUNTER, U64, "", OWN_CONSUMER,               \
      "Ring records overwritten before a consumer read them.")                                     \
    X(RING_WAITING, "mcptally_ring_records_waiting", GAUGE, U64, "", OWN_CONSUMER,                 \
      "Ring records that a consumer has still to read.")                                           \
    X(RING_DELIVERED, "mcptally_ring_records_delivered", COUNTER, U64, "", OWN_CONSUMER,           \
      "Ring records that a consumer has dealt with.")                                              \
    X(RING_FILTERED, "mcptally_ring_records_filtered", COUNTER, U64, "", OWN_CONSUMER,             \
      "Ring records read that did not concern the consumer.")                                      \
    X(RING_FAILED, "mcptally_ring_records_failed", COUNTER, U64, "", OWN_CONSUMER,                 \
      "Ring records that a consumer could not deal with.")                                         \
    X(CONNECTIONS, "mcptally_connections", GAUGE, U64, "", OWN_DOMAIN,                             \
      "Producer connections that are open.")                                                       \
    X(ACCEPTED, "mcptally_connections_accepted", COUNTER, U64, "", OWN_NONE,                       \
      "Producer connections accepted.")                                                            \
    X(REFUSED, "mcptally_connections_refused", COUNTER, U64, "", OWN_NONE,                         \
      "Producer connections refused by a budget or for want of descriptors.")                      \
    X(USER_DEFERRED, "mcptally_user_reads_deferred", COUNTER, U64, "", OWN_NONE,                   \
      "Times that input was read later because its user was over his bytes or items a second.")    \
    X(PARTIAL_BYTES, "mcptally_partial_frame_bytes", GAUGE, U64, "By", OWN_NONE,                   \
      "Memory held by frames that have begun and not ended.")                                      \
    X(RINGS, "mcptally_shared_rings", GAUGE, U64, "", OWN_NONE,                                    \
      "Rings of producers that are read in shared memory.")                                        \
    X(SESSIONS, "mcptally_sessions", GAUGE, U64, "", OWN_NONE,                                     \
      "Producer sessions in the store, connected or kept for their return.")                       \
    X(DOMAIN_SERIES, "mcptally_domain_series", GAUGE, U64, "", OWN_DOMAIN,                         \
      "Series of a domain, counted as its budget does.")                                           \
    X(DOMAIN_METRICS, "mcptally_domain_metrics", GAUGE, U64, "", OWN_DOMAIN,                       \
      "Metrics that a domain was the first to define.")                                            \
    X(DOMAIN_STREAMS, "mcptally_domain_streams", GAUGE, U64, "", OWN_DOMAIN,                       \
      "Cumulative OpenTelemetry streams that are kept for a domain.")                              \
    X(DOMAIN_HEAP, "mcptally_domain_heap_bytes", GAUGE, U64, "By", OWN_DOMAIN,                     \
      "Bytes of the store's heap that metrics, series and streams of a domain have.")              \
    X(DOMAIN_ACCEPTED, "mcptally_domain_connections_accepted", COUNTER, U64, "", OWN_DOMAIN,       \
      "Producer connections that were welcome in a domain.")                                       \
    X(DOMAIN_REFUSED, "mcptally_domain_connections_refused", COUNTER, U64, "", OWN_DOMAIN,         \
      "Producer connections and OTLP requests that a domain's budget, breaker or drain has "       \
      "refused, or ended.")                                                                        \
    X(DOMAIN_DEFERRED, "mcptally_domain_reads_deferred", COUNTER, U64, "", OWN_DOMAIN,             \
      "Times that input of a domain was read later because it was over its bytes or items a "      \
      "second.")                                                                                   \
    X(DOMAIN_RING, "mcptally_domain_ring_bytes", GAUGE, U64, "By", OWN_DOMAIN,                     \
      "Bytes of all rings that records of a domain have.")                                         \
    X(DOMAIN_BREAKER, "mcptally_domain_breaker_state", GAUGE, U64, "", OWN_DOMAIN,                 \
      "Breaker of a domain: 0 closed, 1 half-open, 2 open.")                                       \
    X(DOMAIN_OPENED, "mcptally_domain_breaker_opened", COUNTER, U64, "", OWN_DOMAIN,               \
      "Times that it opened.")                                                                     \
    X(DOMAIN_RESTARTS, "mcptally_domain_restarts", COUNTER, U64, "", OWN_DOMAIN,                   \
      "Times that a domain came back into service: its breaker closed, or it was reset.")          \
    X(DOMAIN_CRASHES, "mcptally_domain_crashes", COUNTER, U64, "", OWN_DOMAIN,                     \
      "Daemons that died with input of the domain in hand.")                                       \
    X(DOMAIN_ASIDE, "mcptally_domain_set_aside", GAUGE, U64, "", OWN_DOMAIN,                       \
      "1 while a domain is set aside because daemons died of its input.")                          \
    X(DOMAIN_DRAINED, "mcptally_domain_drained", GAUGE, U64, "", OWN_DOMAIN,                       \
      "1 while a domain is drained.")                                                              \
    X(DOMAIN_RECOVERY, "mcptally_domain_recovery_seconds", GAUGE, F64, "s", OWN_DOMAIN,            \
      "Time from the opening of a domain's breaker to its closing, the last time.")                \
    X(DOMAIN_AVAILABLE, "mcptally_domain_availability_ratio", GAUGE, F64, "", OWN_WINDOW,          \
      "Share of the newest hour, day or 30 days in which a domain was closed and served.")         \
    X(OWN_MISSING, "mcptally_own_series_missing", GAUGE, U64, "", OWN_NONE,                        \
      "The daemon's own metrics and series that the store had no room for.")                       \
    X(SERIES, "mcptally_series", GAUGE, U64, "", OWN_NONE, "Series in the store.")                 \
    X(STORE_BYTES, "mcptally_store_size_bytes", GAUGE, U64, "By", OWN_NONE,                        \
      "Configured size of the store.")                                                             \
    X(STORE_RESERVED, "mcptally_store_reserved_bytes", GAUGE, U64, "By", OWN_NONE,                 \
      "Bytes of the store that have memory behind them.")                                          \
    X(STARTS, "mcptally_starts", COUNTER, U64, "", OWN_NONE,                                       \
      "Times that a daemon attached to this store.")                                               \
    X(ROLLBACKS, "mcptally_rollbacks", COUNTER, U64, "", OWN_NONE,                                 \
      "Open batches that were rolled back at start.")                                              \
    X(STORES_SET_ASIDE, "mcptally_stores_set_aside", COUNTER, U64, "", OWN_NONE,                   \
      "Stores that could not be gone on from and that gave way to this one.")                      \
    X(COMPONENTS, "mcptally_components", GAUGE, U64, "", OWN_STATE,                                \
      "Watched components by health state.")                                                       \
    X(CHECK_RESULTS, "mcptally_check_results", COUNTER, U64, "", OWN_CHECKED,                      \
      "Runs of an active check, by what came of them.")                                            \
    X(CHECK_DURATION, "mcptally_check_duration_seconds", HISTOGRAM, F64, "s", OWN_CHECK,           \
      "Time that a run of an active check took.")                                                  \
    X(CHECK_STATE, "mcptally_check_state", GAUGE, U64, "", OWN_CHECK,                              \
      "Health of what is checked: 0 unknown, 1 healthy, 2 degraded, 3 unhealthy.")                 \
    X(CHECK_DETECT, "mcptally_check_detection_seconds", HISTOGRAM, F64, "s", OWN_CHECK,            \
      "Time from the newest good run of an active check to unhealthy.")                            \
    X(CHECK_RECOVER, "mcptally_check_recovery_seconds", HISTOGRAM, F64, "s", OWN_CHECK,            \
      "Time from unhealthy to healthy again of what is checked.")                                  \
    X(CHECKS_RUNNING, "mcptally_checks_running", GAUGE, U64, "", OWN_NONE,                         \
      "Active checks that run now.")                                                               \
    X(CHECKS_DELAYED, "mcptally_checks_delayed", COUNTER, U64, "", OWN_NONE,                       \
      "Runs of active checks that had to wait because as many ran as may.")                        \
    X(ACTIONS, "mcptally_recovery_actions", COUNTER, U64, "", OWN_ACTION,                          \
      "Recovery actions by what came of them.")                                                    \
    X(SYSTEM_CPU, "mcptally_system_cpu_utilization_ratio", GAUGE, F64, "", OWN_NONE,               \
      "Share of the machine's, or the control group's, CPU time in use over the last minute.")     \
    X(SYSTEM_LOAD, "mcptally_system_cpu_load_average_1m", GAUGE, F64, "", OWN_NONE,                \
      "Load average of the last minute.")                                                          \
    X(SYSTEM_RUNNABLE, "mcptally_system_runnable_tasks", GAUGE, U64, "", OWN_NONE,                 \
      "Tasks that run or wait for a CPU.")                                                         \
    X(SYSTEM_CPUS, "mcptally_system_cpus", GAUGE, U64, "", OWN_NONE, "CPUs that are online.")      \
    X(SYSTEM_MEMORY, "mcptally_system_memory_usage_bytes", GAUGE, U64, "By", OWN_NONE,             \
      "Memory in use, of the control group when it has a limit, else of the machine.")             \
    X(SYSTEM_MEMORY_LIMIT, "mcptally_system_memory_limit_bytes", GAUGE, U64, "By", OWN_NONE,       \
      "What there is of it.")                                                                      \
    X(SYSTEM_FILES, "mcptally_system_open_files", GAUGE, U64, "", OWN_NONE,                        \
      "Open files of the machine.")                                                                \
    X(SYSTEM_FILES_MAX, "mcptally_system_open_files_limit", GAUGE, U64, "", OWN_NONE,              \
      "Most open files that the machine allows.")                                                  \
    X(STATE_DISK, "mcptally_state_filesystem_size_bytes", GAUGE, U64, "By", OWN_NONE,              \
      "Bytes of the file system of the state directory, without what is kept for root.")           \
    X(STATE_DISK_AVAIL, "mcptally_state_filesystem_avail_bytes", GAUGE, U64, "By", OWN_NONE,       \
      "What is left of it for the daemon.")                                                        \
    X(OBSERVED, "mcptally_observed_processes", GAUGE, U64, "", OWN_NONE,                           \
      "Producers' processes whose figures are read.")                                              \
    X(OBSERVED_HIDDEN, "mcptally_observed_processes_hidden", GAUGE, U64, "", OWN_NONE,             \
      "Producers' processes whose figures may not be read.")                                       \
    X(OBSERVED_CPU, "mcptally_observed_process_cpu_seconds", COUNTER, F64, "s", OWN_PROCESS,       \
      "CPU time that a producer's process has used.")                                              \
    X(OBSERVED_RSS, "mcptally_observed_process_resident_memory_bytes", GAUGE, U64, "By",           \
      OWN_PROCESS, "Its resident memory.")                                                         \
    X(OBSERVED_FDS, "mcptally_observed_process_open_fds", GAUGE, U64, "", OWN_PROCESS,             \
      "Its open file descriptors, where the daemon may see them.")                                 \
    X(OBSERVED_THREADS, "mcptally_observed_process_threads", GAUGE, U64, "", OWN_PROCESS,          \
      "Its threads.")                                                                              \
    X(OBSERVED_START, "mcptally_observed_process_start_time_seconds", GAUGE, F64, "s",             \
      OWN_PROCESS, "When it started, since 1970.")                                                 \
    X(HTTP_REQUESTS, "mcptally_http_requests", COUNTER, U64, "", OWN_PORT,                         \
      "HTTP requests answered, by port.")                                                          \
    X(LOG_LINES, "mcptally_log_lines", COUNTER, U64, "", OWN_LEVEL,                                \
      "Log lines of the daemon that were written, by level.")                                      \
    X(LOG_SUPPRESSED, "mcptally_log_suppressed", COUNTER, U64, "", OWN_NONE,                       \
      "Log lines that were held back, since too many of one kind came at once.")                   \
    X(LOG_LOST, "mcptally_log_lost", COUNTER, U64, "", OWN_NONE,                                   \
      "Log lines that were given up, since nobody took them.")                                     \
    X(LOG_FALLBACKS, "mcptally_log_fallbacks", COUNTER, U64, "", OWN_NONE,                         \
      "Times that the journal or the log file failed and lines went to stderr instead.")           \
    X(AUDIT_RECORDS, "mcptally_audit_records", COUNTER, U64, "", OWN_NONE,                         \
      "Acts that were recorded for the audit log.")                                                \
    X(AUDIT_FAILURES, "mcptally_audit_failures", COUNTER, U64, "", OWN_NONE,                       \
      "Times that the audit log could not be opened or written.")                                  \
    X(AUDIT_LOST, "mcptally_audit_lost", COUNTER, U64, "", OWN_NONE,                               \
      "Acts that have no record of their own, since the audit log could not be written for long.") \
    X(CONTROL_REFUSED, "mcptally_control_refused", COUNTER, U64, "", OWN_NONE,                     \
      "Requests to the control socket by whom they are not allowed to.")                           \
    X(UNINVITED, "mcptally_uninvited_descriptors", COUNTER, U64, "", OWN_NONE,                     \
      "Connections ended because they passed descriptors that nobody had asked for.")              \
    X(HTTP_REFUSED, "mcptally_http_refused", COUNTER, U64, "", OWN_HTTP,                           \
      "HTTP requests and connections that were not served, by port and reason.")                   \
    X(HTTP_CONNECTIONS, "mcptally_http_connections", GAUGE, U64, "", OWN_PORT,                     \
      "HTTP connections that are open, by port.")                                                  \
    X(TLS_FAILED, "mcptally_tls_handshakes_failed", COUNTER, U64, "", OWN_NONE,                    \
      "TLS handshakes that came to nothing, on all ports.")                                        \
    X(PASSWORD_CHECKS, "mcptally_password_checks", COUNTER, U64, "", OWN_NONE,                     \
      "Passwords whose hash was computed; others are remembered.")                                 \
    X(WEB_READ, "mcptally_web_config_reads", COUNTER, U64, "", OWN_RESULT,                         \
      "Times that a changed web configuration was read, by result; error: the one before stayed.") \
    X(OTLP_REQUESTS, "mcptally_otlp_requests", COUNTER, U64, "", OWN_OTLP,                         \
      "OTLP requests answered, by protocol, signal and gRPC code.")                                \
    X(OTLP_BYTES, "mcptally_otlp_received_bytes", COUNTER, U64, "By", OWN_PROTOCOL,                \
      "Bytes of OTLP messages received, as they came.")                                            \
    X(OTLP_REFUSED, "mcptally_otlp_refused", COUNTER, U64, "", OWN_LIMIT,                          \
      "OTLP requests and connections that a limit has stopped, by limit.")                         \
    X(OTLP_CONNECTIONS, "mcptally_otlp_connections", GAUGE, U64, "", OWN_PROTOCOL,                 \
      "Connections to the OTLP ports that are open.")                                              \
    X(OTLP_BUFFER, "mcptally_otlp_buffer_bytes", GAUGE, U64, "By", OWN_NONE,                       \
      "Memory held by OTLP messages that are being received or applied.")                          \
    X(SCRAPE_SECONDS, "mcptally_scrape_duration_seconds", GAUGE, F64, "s", OWN_NONE,               \
      "Time it took to render the newest metrics page.")                                           \
    X(CALLBACK, "mcptally_callback_duration_seconds", HISTOGRAM, F64, "s", OWN_NONE,               \
      "Time that one callback of the event loop held it.")                                         \
    X(EXPORT_ITEMS, "mcptally_export_items", COUNTER, U64, "", OWN_OUTCOME,                        \
      "Items that a destination is done with, by what became of them.")                            \
    X(EXPORT_SPOOLED, "mcptally_export_spooled_items", COUNTER, U64, "", OWN_LANE,                 \
      "Items written to a destination's spool.")                                                   \
    X(EXPORT_FOUND, "mcptally_export_spool_found_items", COUNTER, U64, "", OWN_LANE,               \
      "Items found in a spool when it was opened that were not accounted for: of before a boot, "  \
      "or written just before a crash.")                                                           \
    X(EXPORT_PUSHED, "mcptally_export_pushed_items", COUNTER, U64, "", OWN_LANE,                   \
      "Metrics of the store pushed to a destination at intervals.")                                \
    X(EXPORT_SPOOL_ITEMS, "mcptally_export_spool_items", GAUGE, U64, "", OWN_LANE,                 \
      "Items in a destination's spool.")                                                           \
    X(EXPORT_SPOOL_BYTES, "mcptally_export_spool_bytes", GAUGE, U64, "By", OWN_LANE,               \
      "Bytes of a destination's spool.")                                                           \
    X(EXPORT_SPOOL_AGE, "mcptally_export_spool_age_seconds", GAUGE, U64, "s", OWN_LANE,            \
      "Age of the oldest record of a destination's spool.")                                        \
    X(EXPORT_SPOOL_FAILURES, "mcptally_export_spool_failures", COUNTER, U64, "", OWN_LANE,         \
      "Spool operations that failed.")                                                             \
    X(EXPORT_QUEUED, "mcptally_export_queued_items", GAUGE, U64, "", OWN_LANE,                     \
      "Items that were read for a destination and are not done with.")                             \
    X(EXPORT_QUEUED_BYTES, "mcptally_export_queued_bytes", GAUGE, U64, "By", OWN_LANE,             \
      "Memory of the requests that they make.")                                                    \
    X(EXPORT_REQUESTS, "mcptally_export_requests", COUNTER, U64, "", OWN_ANSWER,                   \
      "Requests answered by a destination, by result; retry: sent again later.")                   \
    X(EXPORT_BREAKER, "mcptally_export_breaker_state", GAUGE, U64, "", OWN_LANE,                   \
      "Breaker of a destination: 0 closed, 1 half-open, 2 open.")                                  \
    X(EXPORT_BREAKER_OPENED, "mcptally_export_breaker_opened", COUNTER, U64, "", OWN_LANE,         \
      "Times that it opened.")                                                                     \
    X(PROCESS_CPU, "process_cpu_seconds", COUNTER, F64, "s", OWN_NONE,                             \
      "CPU time used by the daemon.")                                                              \
    X(PROCESS_RSS, "process_resident_memory_bytes", GAUGE, U64, "By", OWN_NONE,                    \
      "Resident memory of the daemon.")                                                            \
    X(PROCESS_VIRTUAL, "process_virtual_memory_bytes", GAUGE, U64, "By", OWN_NONE,                 \
      "Virtual memory of the daemon.")                                                             \
    X(PROCESS_FDS, "process_open_fds", GAUGE, U64, "", OWN_NONE, "Open file descriptors.")         \
    X(PROCESS_MAX_FDS, "process_max_fds", GAUGE, U64, "", OWN_NONE,                                \
      "Largest number of file descriptors.")                                                       \
    X(PROCESS_START, "process_start_time_seconds", GAUGE, F64, "s", OWN_NONE,                      \
      "Start time of the daemon since 1970.")

enum own_metric {
#define X(sym, name, kind, type, unit, label, help) OWN_##sym,
    OWN_TABLE(X)
#undef X
        OWN_MAX
};

struct own {
    struct store *st;
    unsigned domains;
    char destination[OWN_DESTINATIONS][OWN_NAME]; /* empty: none */
    char (*names[OWN_KINDS])[OWN_TEXT];           /* by slot; empty: free */
    uint32_t metric[OWN_MAX];                     /* ids in the store */
    uint64_t *cells[OWN_MAX]; /* offsets of the value cells by index; 0: not there yet */
    unsigned missing;         /* for which there was no room */
};

/* Declares every metric of the table, and the series of those without a domain, as far
 * as the store has room: what is missing counts nothing, and is told. A domain's come
 * with own_domain(). Commits. 0, -ERR_NOMEM, -ERR_DAMAGED. */
int own_init(struct own *o, struct store *st, unsigned domains, struct when now);
void own_fini(struct own *o);

/* Tries again to make what is missing. Commits. */
void own_complete(struct own *o, struct when now);

/* Makes the series of a domain that has its first session: its ledger. Idempotent.
 * Commits. 0, or -ERR_FULL when it has no ledger; what else is missing counts nothing. */
int own_domain(struct own *o, unsigned domain, struct when now);

/* Makes the series of a destination for the signals of a mask (1 << enum otlp_signal), or
 * goes on with those that it had. Commits. 0 or -ERR_FULL: those that are missing count
 * nothing. */
int own_destination(struct own *o, unsigned slot, struct str name, unsigned signals,
                    struct when now);

/* Its series age from now on, and the slot is free. Commits. */
void own_forget_destination(struct own *o, unsigned slot);

/* Makes the series of a thing, told from others of its kind by `labels` (canonical, as
 * `check="disk",kind="tcp"`), or goes on with those that it had. Commits. 0 or -ERR_FULL: those
 * that are missing count nothing. */
int own_name(struct own *o, enum own_kind kind, unsigned slot, struct str labels, struct when now);

/* Its series age from now on, or end at once if `end`, and the slot is free. Commits. */
void own_forget_name(struct own *o, enum own_kind kind, unsigned slot, bool end);

/* At the start: series of things of before that are not there any more end. Commits. */
void own_sweep_names(struct own *o, enum own_kind kind);

/* As own_setf() and own_observe(), of one of several series. */
void own_setf_at(struct own *o, enum own_metric m, unsigned index, double v);
void own_observe_at(struct own *o, enum own_metric m, unsigned index, double v);

const char *own_outcome_name(unsigned outcome); /* "unknown" outside */
const char *own_answer_name(unsigned answer);
const char *own_result_name(unsigned result);
const char *own_action_name(unsigned outcome);

/* Makes the series of the consumers that the store names, for the rings that each
 * reads; after consumer_claim(). Idempotent. Commits. 0 or -ERR_FULL. */
int own_consumers(struct own *o, struct when now);

/* Adds what was taken out; and how often by all rules together in a place (enum
 * redact_place). */
struct redact_count;
void own_add_redacted(struct own *o, const struct redact_count *n);
uint64_t own_redacted(const struct own *o, unsigned place);

/* Items dropped in a domain; in a store without room for the reason it is series_full. */
void own_dropped(struct own *o, unsigned domain, unsigned reason, uint64_t n);

/* Of OWN_OTLP; a code that is not in OWN_CODE_TABLE counts as INTERNAL. */
unsigned own_otlp_index(unsigned protocol, unsigned signal, unsigned code);

/* Of OWN_HTTP. */
static inline unsigned own_http_index(unsigned port, enum own_http_reason reason)
{
    return port * OWN_HTTP_REASONS + reason;
}

/* Adds to a counter, sets a gauge or a counter, inside the open batch. */
void own_add(struct own *o, enum own_metric m, unsigned index, uint64_t n);
void own_set(struct own *o, enum own_metric m, unsigned index, uint64_t v);
void own_setf(struct own *o, enum own_metric m, double v);
void own_observe(struct own *o, enum own_metric m, double v);
uint64_t own_get(const struct own *o, enum own_metric m, unsigned index);

/* Gives an OWN_INFO metric its one series, {labels} 1, in place of older ones. */
void own_info(struct own *o, enum own_metric m, struct str canonical_labels, struct when now);

static inline unsigned own_drop_index(unsigned domain, unsigned reason)
{
    return domain * DROP_MAX + reason;
}

static inline unsigned own_lane_index(unsigned slot, unsigned signal)
{
    return slot * OWN_SIGNALS + signal;
}

/* Index of a REJECT reason: the drop reasons, then the frames' from 256 on. */
unsigned own_reject_index(unsigned reason);

#endif
