/* config_table: the one table of configuration keys. Floor 5.
 *
 * From it come struct config, the parser, defaults and range checks, the sample
 * configuration (conf/mcptallyd.yaml) and section KEYS of mcptallyd.yaml(5). A
 * new key is a new row here and a use in options.c. Rows of one section stand
 * together. */
#ifndef MCPTALLY_DAEMON_CONFIG_TABLE_H
#define MCPTALLY_DAEMON_CONFIG_TABLE_H

#include "base/clock.h"
#include "pipeline/pipeline.h"
#include "store/store.h"
#include "watch/recovery.h"

/* X(TYPE, "what is expected") */
#define CONFIG_TYPE_TABLE(X)                                                                       \
    X(BOOL, "true or false")                                                                       \
    X(COUNT, "a whole number")                                                                     \
    X(SIZE, "a size such as 65536, 64KiB, 8MiB or 1GiB")                                           \
    X(DURATION, "a duration such as 500ms, 30s, 5m, 1h, 1d or 0")                                  \
    X(RATIO, "a percentage such as 85% or a ratio such as 0.85")                                   \
    X(MODE, "an octal file mode such as 0660")                                                     \
    X(LEVEL, "error, warning, info or debug")                                                      \
    X(TEXT, "text")                                                                                \
    X(PATH, "a path")                                                                              \
    X(ADDRESS, "an IP address and a port such as 127.0.0.1:9090, [::1]:9090 or *:9090, or off")    \
    X(LIST, "a list of texts")                                                                     \
    X(MAPPING, "a list of maps with uid, exe, service and domain")                                 \
    X(RULES, "a list of maps, one a rule")                                                         \
    X(SAMPLES, "a list of maps with name, attribute, value, service, domain and tier")             \
    X(PATTERNS, "a list of maps with name and pattern")                                            \
    X(DESTINATIONS, "a list of maps, one a destination")                                           \
    X(CHECKS, "a list of maps, one a check")                                                       \
    X(ACTIONS, "a list of maps, one an action")                                                    \
    X(METRICS, "forward, cumulative, delta or off")                                                \
    X(FORMAT, "auto, plain, json or journal")

#define CONFIG_SPOOL_MIN (UINT64_C(16) << 20) /* segments for a few of the largest requests */

#define CONFIG_MINUTE (60 * NS_PER_S)
#define CONFIG_HOUR   (60 * CONFIG_MINUTE)
#define CONFIG_DAY    (24 * CONFIG_HOUR)

/* X(TYPE, field, "key", "default", least, most, RELOAD or RESTART, "help")
 * Durations are in ns, sizes in bytes, limits of ratios in percent. A RELOAD key takes
 * effect at SIGHUP; the others at the next start. */
#define CONFIG_TABLE(X)                                                                            \
    X(PATH, runtime_dir, "runtime_dir", "", 0, 0, RESTART,                                         \
      "Directory of the sockets and the store. Empty: $RUNTIME_DIRECTORY, /run/mcptally for "      \
      "root, $XDG_RUNTIME_DIR/mcptally, or /dev/shm/mcptally-UID.")                                \
    X(PATH, state_dir, "state_dir", "", 0, 0, RESTART,                                             \
      "Directory of what outlives a boot. Empty: $STATE_DIRECTORY, /var/lib/mcptally for root, "   \
      "$XDG_STATE_HOME/mcptally, or ~/.local/state/mcptally.")                                     \
    X(BOOL, start_ladder, "start.ladder", "true", 0, 0, RESTART,                                   \
      "Whether a daemon that is started again and again in a few seconds waits before it "         \
      "serves, and at last sets the store aside; and whether one that died of a failure domain's " \
      "input again and again sets that domain aside.")                                             \
    X(LEVEL, log_level, "log.level", "info", 0, 0, RELOAD,                                         \
      "Least important log lines that are written.")                                               \
    X(FORMAT, log_format, "log.format", "auto", 0, 0, RELOAD,                                      \
      "Form of log lines. auto: the journal's own under systemd, plain on a terminal, JSON "       \
      "elsewhere.")                                                                                \
    X(PATH, log_file, "log.file", "", 0, 0, RELOAD,                                                \
      "File that log lines are added to, an absolute path. Empty: the journal or stderr.")         \
    X(SIZE, log_file_bytes, "log.file_bytes", "64MiB", 0, UINT64_C(1) << 40, RELOAD,               \
      "Size from which the file is renamed to FILE.old, over the one of before, and begun anew, "  \
      "when nobody has rotated it. 0: never.")                                                     \
    X(PATH, log_journal_socket, "log.journal_socket", "/run/systemd/journal/socket", 0, 0, RELOAD, \
      "Where the journal takes lines in its own form.")                                            \
    X(COUNT, log_burst, "log.burst", "20", 0, 1000000, RELOAD,                                     \
      "Lines of one kind in ten seconds; further ones are held back, and counted in one line "     \
      "after that. 0: all are written.")                                                           \
    X(SIZE, audit_file_bytes, "audit.file_bytes", "64MiB", 0, UINT64_C(1) << 40, RELOAD,           \
      "Size from which audit.log is renamed to audit.log.old, over the one of before, when "       \
      "nobody "                                                                                    \
      "has rotated it. 0: never.")                                                                 \
    X(PATH, socket_path, "socket.path", "events.sock", 0, 0, RESTART,                              \
      "Socket that producers connect to; a relative path begins in the runtime directory.")        \
    X(MODE, socket_mode, "socket.mode", "0660", 0, 0777, RESTART, "Its file mode.")                \
    X(TEXT, socket_group, "socket.group", "", 0, 0, RESTART,                                       \
      "Its group, by name or number. Empty: the daemon's own.")                                    \
    X(LIST, socket_allow_uids, "socket.allow_uids", "", 0, 0, RELOAD,                              \
      "Users, by number, that may connect to it from now on. Empty: all.")                         \
    X(LIST, socket_allow_gids, "socket.allow_gids", "", 0, 0, RELOAD,                              \
      "Groups, by number, of which a producer has to have one. Empty: all.")                       \
    X(LIST, socket_allow_exes, "socket.allow_exes", "", 0, 0, RELOAD,                              \
      "Executables, by path, of which a producer has to run one when it connects. Empty: all. It " \
      "keeps mistakes out and no attacker of an allowed user: see mcptallyd(8).")                  \
    X(PATH, control_path, "control.path", "control.sock", 0, 0, RESTART,                           \
      "Socket that answers mcptally(1).")                                                          \
    X(MODE, control_mode, "control.mode", "0660", 0, 0777, RESTART, "Its file mode.")              \
    X(TEXT, control_group, "control.group", "", 0, 0, RESTART,                                     \
      "Its group, by name or number. Empty: the daemon's own.")                                    \
    X(LIST, control_admin_uids, "control.admin_uids", "", 0, 0, RELOAD,                            \
      "Users, by number, whose requests may change something; root and the daemon's own user may " \
      "always. What only shows something is for everybody who can connect.")                       \
    X(LIST, control_admin_gids, "control.admin_gids", "", 0, 0, RELOAD,                            \
      "Groups, by number, whose members may. With neither of the two: the members of the "         \
      "socket's group.")                                                                           \
    X(ADDRESS, listen_metrics, "listen.metrics", "127.0.0.1:9090", 0, 0, RESTART,                  \
      "Where /metrics is served. Port 0 picks a free one, which mcptally status shows.")           \
    X(ADDRESS, listen_health, "listen.health", "127.0.0.1:9091", 0, 0, RESTART,                    \
      "Where /health and its kin are served.")                                                     \
    X(ADDRESS, listen_otlp_grpc, "listen.otlp_grpc", "127.0.0.1:4317", 0, 0, RESTART,              \
      "Where OTLP over gRPC is received.")                                                         \
    X(ADDRESS, listen_otlp_http, "listen.otlp_http", "127.0.0.1:4318", 0, 0, RESTART,              \
      "Where OTLP over HTTP is received: /v1/traces, /v1/metrics and /v1/logs.")                   \
    X(PATH, web_config_file, "web.config_file", "", 0, 0, RELOAD,                                  \
      "File that says how TLS is spoken at the HTTP ports and who may ask; see "                   \
      "mcptallyd-web.yaml(5). A relative path begins in the directory of the configuration file. " \
      "Empty: plain HTTP, and everybody may.")                                                     \
    X(BOOL, web_health_authentication, "web.health_authentication", "false", 0, 0, RELOAD,         \
      "Whether the health port asks for a password or token as well.")                             \
    X(BOOL, web_health_tls, "web.health_tls", "true", 0, 0, RELOAD,                                \
      "Whether the health port speaks TLS when web.config_file says how.")                         \
    X(SIZE, store_size, "store.size", "64MiB", STORE_MIN, STORE_LARGEST, RESTART,                  \
      "Size of the shared memory that holds all state. Memory follows use. A store that is there " \
      "keeps its size until it is removed or the machine boots.")                                  \
    X(COUNT, limits_connections, "limits.connections", "20000", 1, 1000000, RELOAD,                \
      "Producer connections at one time.")                                                         \
    X(COUNT, limits_connections_per_domain, "limits.connections_per_domain", "2000", 1, 1000000,   \
      RELOAD, "The same in one failure domain.")                                                   \
    X(COUNT, limits_connections_per_user, "limits.connections_per_user", "15000", 1, 1000000,      \
      RELOAD, "The same of one user, over all domains.")                                           \
    X(SIZE, limits_bytes_per_second, "limits.bytes_per_second", "1GiB", 0, UINT64_C(1) << 40,      \
      RELOAD,                                                                                      \
      "Bytes a second that one failure domain may send. Above it the domain is read later. 0: no " \
      "limit.")                                                                                    \
    X(COUNT, limits_items_per_second, "limits.items_per_second", "100000000", 0,                   \
      UINT64_C(1000000000), RELOAD, "The same of items. 0: no limit.")                             \
    X(COUNT, limits_spans_per_second, "limits.spans_per_second", "1000000", 0,                     \
      UINT64_C(1000000000), RELOAD,                                                                \
      "Spans a second of one failure domain that are kept for sending on; further ones are "       \
      "counted and timed, and dropped as rate_limited. 0: no limit.")                              \
    X(SIZE, limits_bytes_per_second_per_user, "limits.bytes_per_second_per_user", "4GiB", 0,       \
      UINT64_C(1) << 40, RELOAD,                                                                   \
      "Bytes a second that the producers of one user may send, over all domains. Above it they "   \
      "are read later, and nothing is dropped for it. 0: no limit.")                               \
    X(COUNT, limits_items_per_second_per_user, "limits.items_per_second_per_user", "400000000", 0, \
      UINT64_C(1000000000), RELOAD, "The same of items. 0: no limit.")                             \
    X(DURATION, limits_defer, "limits.defer", "5s", 0, CONFIG_HOUR, RELOAD,                        \
      "Time that a failure domain which sends more than it may is read later, which loses "        \
      "nothing; after that what is above the limit is dropped as rate_limited.")                   \
    X(SIZE, limits_partial_frame_bytes, "limits.partial_frame_bytes", "8MiB", 1 << 20,             \
      UINT64_C(1) << 32, RELOAD,                                                                   \
      "Memory of frames that have begun and not ended, all connections together.")                 \
    X(DURATION, limits_partial_frame_timeout, "limits.partial_frame_timeout", "5s", NS_PER_S,      \
      CONFIG_HOUR, RELOAD,                                                                         \
      "Time from the first byte of a frame to its last, and from connecting to HELLO, after "      \
      "which the connection is closed.")                                                           \
    X(SIZE, limits_reply_bytes, "limits.reply_bytes", "4MiB", 64 << 10, UINT64_C(1) << 32, RELOAD, \
      "Memory of answers that producers do not take, all connections together; one has at most "   \
      "16KiB of it. A producer that lets more pile up is disconnected.")                           \
    X(COUNT, limits_rings, "limits.rings", "16384", 0, 30000, RELOAD,                              \
      "Rings in shared memory that are read, of all producers together. 0: none are; producers "   \
      "then use their sockets.")                                                                   \
    X(COUNT, limits_rings_per_user, "limits.rings_per_user", "8192", 1, 30000, RELOAD,             \
      "The same of one user, so that nobody can take the rings of all others.")                    \
    X(COUNT, limits_rings_per_session, "limits.rings_per_session", "64", 0, 4096, RELOAD,          \
      "The same of one producer, which has a ring for each of its threads.")                       \
    X(COUNT, limits_ids_per_connection, "limits.ids_per_connection", "4096", 16, 1 << 20, RELOAD,  \
      "Series, and metrics, that one connection may define.")                                      \
    X(COUNT, limits_ids, "limits.ids", "4000000", 1000, UINT64_C(4000000000), RELOAD,              \
      "The same of all connections together.")                                                     \
    X(COUNT, domains_count, "domains.count", "10", 1, DOMAINS_MAX, RESTART,                        \
      "Failure domains. Each has its own budgets; a flood in one loses nothing of the others.")    \
    X(MAPPING, domains_mapping, "domains.mapping", "", 0, 0, RELOAD,                               \
      "Which producers belong to which domain. A producer that no entry names goes by a hash of "  \
      "its uid and service name.")                                                                 \
    X(LIST, domains_choosers, "domains.choosers", "", 0, 0, RELOAD,                                \
      "Uids whose producers may name their domain themselves; producers that name the same one "   \
      "share it.")                                                                                 \
    X(BOOL, domains_breaker, "domains.breaker", "true", 0, 0, RELOAD,                              \
      "Whether a failure domain that sends too much that cannot be read is refused for a while.")  \
    X(COUNT, domains_breaker_faults, "domains.breaker_faults", "1000", 1, 1000000000, RELOAD,      \
      "Malformed items in one window from which its breaker opens; an error of the protocol "      \
      "counts as ten.")                                                                            \
    X(RATIO, domains_breaker_share, "domains.breaker_share", "50%", 0, 100, RELOAD,                \
      "Share of all items of the window that these have to be as well.")                           \
    X(DURATION, domains_breaker_window, "domains.breaker_window", "10s", NS_PER_S, CONFIG_HOUR,    \
      RELOAD, "That window.")                                                                      \
    X(DURATION, domains_breaker_rest, "domains.breaker_rest", "10s", 100 * NS_PER_MS, CONFIG_DAY,  \
      RELOAD, "Time that an open breaker refuses the domain; twice as long each time in a row.")   \
    X(DURATION, domains_breaker_rest_most, "domains.breaker_rest_most", "5m", 100 * NS_PER_MS,     \
      CONFIG_DAY, RELOAD, "Where that growth ends.")                                               \
    X(DURATION, domains_breaker_probe, "domains.breaker_probe", "10s", 100 * NS_PER_MS,            \
      CONFIG_DAY, RELOAD,                                                                          \
      "Time after that in which a few connections may try; without a tenth of the faults that "    \
      "open it, it closes.")                                                                       \
    X(COUNT, domains_breaker_probes, "domains.breaker_probes", "8", 1, 100000, RELOAD,             \
      "How many connections may try.")                                                             \
    X(COUNT, domains_crashes, "domains.crashes", "3", 0, 15, RELOAD,                               \
      "Daemons that die in a row, less than a minute apart, with input of one domain in hand, "    \
      "from which the next one sets the domain aside as if its breaker had opened. 0: never.")     \
    X(COUNT, series_cardinality, "series.cardinality", "100", 1, 1000000, RELOAD,                  \
      "Label sets of one metric in one domain and service; further ones go to an overflow "        \
      "series.")                                                                                   \
    X(COUNT, series_per_domain, "series.per_domain", "0", 0, 100000000, RELOAD,                    \
      "Series of one domain, a service's place in a metric counting as one more. 0: half of what " \
      "the store has room for; nor may one domain have more than half of the heap.")               \
    X(DURATION, series_idle, "series.idle", "1h", NS_PER_S, 366 * CONFIG_DAY, RELOAD,              \
      "Time without an update after which a series is removed.")                                   \
    X(DURATION, gauge_grace, "gauge.grace", "30s", 0, CONFIG_DAY, RELOAD,                          \
      "Time that a sum, min or max gauge keeps the part of a session whose connection has "        \
      "ended, so that a restart makes no dip.")                                                    \
    X(DURATION, session_keep, "session.keep", "24h", CONFIG_MINUTE, 366 * CONFIG_DAY, RELOAD,      \
      "Time that a session without BYE is kept for its producer's return.")                        \
    X(COUNT, metrics_per_domain, "metrics.per_domain", "0", 0, 100000000, RELOAD,                  \
      "Metrics that producers of one domain may define first. 0: half of what the store has room " \
      "for.")                                                                                      \
    X(DURATION, metrics_cache_ttl, "metrics.cache_ttl", "0", 0, CONFIG_HOUR, RELOAD,               \
      "Time for which a rendered metrics page is served again. 0: every scrape is fresh.")         \
    X(COUNT, metrics_connections, "metrics.connections", "32", 1, 1000, RESTART,                   \
      "HTTP connections to the metrics port at one time.")                                         \
    X(COUNT, metrics_requests_per_minute, "metrics.requests_per_minute", "100", 0, 1000000,        \
      RELOAD,                                                                                      \
      "Requests to the metrics port that one client address may make within a minute; more are "   \
      "answered with 429 and Retry-After. An IPv6 network of 64 bits is one client. 0: any "       \
      "number.")                                                                                   \
    X(SIZE, metrics_page_bytes, "metrics.page_bytes", "64MiB", 1 << 20, UINT64_C(1) << 32, RELOAD, \
      "Memory of rendered pages, all scrapes together.")                                           \
    X(BOOL, metrics_target_info, "metrics.target_info", "true", 0, 0, RELOAD,                      \
      "Whether the resources of OTLP metrics are shown as target_info.")                           \
    X(LIST, metrics_resource_labels, "metrics.resource_labels", "", 0, 0, RELOAD,                  \
      "Attributes of OTLP resources that become labels of their metrics, such as "                 \
      "service.instance.id; at most 16.")                                                          \
    X(BOOL, metrics_scope_labels, "metrics.scope_labels", "false", 0, 0, RELOAD,                   \
      "Whether OTLP metrics get the labels otel_scope_name and otel_scope_version.")               \
    X(BOOL, spans_metrics, "spans.metrics", "true", 0, 0, RELOAD,                                  \
      "Whether spans are counted and timed: traces_span_metrics_calls_total and "                  \
      "traces_span_metrics_duration_seconds, and the mcp metrics of those that come by OTLP.")     \
    X(LIST, spans_dimensions, "spans.dimensions", "", 0, 0, RELOAD,                                \
      "Attributes of spans, or else of their resource, that are labels of these metrics beside "   \
      "service.name, span.name, span.kind and status.code; at most 16.")                           \
    X(SIZE, otlp_buffer, "otlp.buffer", "32MiB", 1 << 20, UINT64_C(1) << 36, RELOAD,               \
      "Memory of OTLP messages that are being received or applied, all together; at least "        \
      "twice the largest one. Beyond it senders are told to come back in a second.")               \
    X(SIZE, otlp_message_bytes, "otlp.message_bytes", "4MiB", 64 << 10, 256 << 20, RELOAD,         \
      "Size of one OTLP message, before and after decompression.")                                 \
    X(SIZE, otlp_json_bytes, "otlp.json_bytes", "1MiB", 64 << 10, 64 << 20, RELOAD,                \
      "The same of one in JSON.")                                                                  \
    X(COUNT, otlp_connections, "otlp.connections", "256", 1, 100000, RESTART,                      \
      "Connections to each of the OTLP ports at one time.")                                        \
    X(BOOL, otlp_web, "otlp.web", "false", 0, 0, RELOAD,                                           \
      "Whether web.config_file holds for the OTLP ports, too.")                                    \
    X(COUNT, otlp_streams, "otlp.streams", "16", 1, 1000, RELOAD,                                  \
      "Requests that one gRPC connection may have open, from the next connection on.")             \
    X(DURATION, otlp_receive_timeout, "otlp.receive_timeout", "10s", 100 * NS_PER_MS, CONFIG_HOUR, \
      RESTART,                                                                                     \
      "Time from the head of an OTLP request to its last byte, and to fetch a gRPC answer.")       \
    X(DURATION, otlp_idle_timeout, "otlp.idle_timeout", "5m", NS_PER_S, CONFIG_DAY, RESTART,       \
      "Time without a request after which a connection to an OTLP port is closed.")                \
    X(COUNT, health_connections, "health.connections", "32", 1, 1000, RESTART,                     \
      "HTTP connections to the health port at one time.")                                          \
    X(DURATION, health_interval, "health.interval", "30s", NS_PER_S, CONFIG_DAY, RELOAD,           \
      "How often a component is expected to report.")                                              \
    X(DURATION, health_timeout, "health.timeout", "5s", 0, CONFIG_DAY, RELOAD,                     \
      "Time beyond the interval after which a missing report is a failure.")                       \
    X(COUNT, health_failures, "health.failures", "3", 1, 1000, RELOAD,                             \
      "Failures in a row that make a component unhealthy.")                                        \
    X(DURATION, health_recovery, "health.recovery", "10s", 0, CONFIG_DAY, RELOAD,                  \
      "Time that good reports must last before an unhealthy component is healthy again.")          \
    X(DURATION, health_expire, "health.expire", "24h", CONFIG_MINUTE, 366 * CONFIG_DAY, RELOAD,    \
      "Silence after which a component is forgotten.")                                             \
    X(COUNT, health_per_domain, "health.per_domain", "256", 1, 100000, RELOAD,                     \
      "Components that one failure domain may have.")                                              \
    X(RATIO, health_memory_warning, "health.memory_warning", "85%", 1, 100, RELOAD,                \
      "Use of the machine's or the control group's memory that is a warning.")                     \
    X(RATIO, health_memory_critical, "health.memory_critical", "95%", 1, 100, RELOAD,              \
      "The same for a failure.")                                                                   \
    X(RATIO, health_cpu_warning, "health.cpu_warning", "95%", 0, 100, RELOAD,                      \
      "Use of the machine's or the control group's CPU time over a minute that is a warning. 0: "  \
      "never.")                                                                                    \
    X(RATIO, health_cpu_critical, "health.cpu_critical", "0%", 0, 100, RELOAD,                     \
      "The same for a failure.")                                                                   \
    X(COUNT, health_load_warning, "health.load_warning", "8", 0, 100000, RELOAD,                   \
      "Load average of a minute, for each CPU, that is a warning. 0: never.")                      \
    X(COUNT, health_load_critical, "health.load_critical", "0", 0, 100000, RELOAD,                 \
      "The same for a failure.")                                                                   \
    X(RATIO, health_files_warning, "health.files_warning", "85%", 0, 100, RELOAD,                  \
      "Use of the daemon's descriptors, or of the machine's open files, that is a warning. 0: "    \
      "never.")                                                                                    \
    X(RATIO, health_files_critical, "health.files_critical", "0%", 0, 100, RELOAD,                 \
      "The same for a failure.")                                                                   \
    X(RATIO, health_disk_warning, "health.disk_warning", "90%", 0, 100, RELOAD,                    \
      "Use of the file system of the state directory that is a warning. 0: never.")                \
    X(RATIO, health_disk_critical, "health.disk_critical", "98%", 0, 100, RELOAD,                  \
      "The same for a failure.")                                                                   \
    X(COUNT, health_observed, "health.observed", "64", 0, OWN_MOST_PROCESSES, RELOAD,              \
      "Processes of producers whose CPU time, memory, descriptors and threads are shown.")         \
    X(COUNT, health_checks_at_once, "health.checks_at_once", "16", 1, 16, RELOAD,                  \
      "Active checks that run at one time.")                                                       \
    X(LIST, health_readiness, "health.readiness", "", 0, 0, RELOAD,                                \
      "Components, as name or service/name, that have to be healthy or degraded for "              \
      "/health/ready to pass. Empty: readiness is the daemon's own alone.")                        \
    X(CHECKS, checks, "checks", "", 0, 0, RELOAD,                                                  \
      "Active checks: what the daemon itself asks, and how often. Section CHECKS says what an "    \
      "entry has.")                                                                                \
    X(BOOL, recovery_enabled, "recovery.enabled", "false", 0, 0, RELOAD,                           \
      "Whether recovery actions are carried out.")                                                 \
    X(COUNT, recovery_hourly, "recovery.hourly", "12", 1, RECOVERY_HOURLY, RELOAD,                 \
      "Actions in an hour, all together.")                                                         \
    X(ACTIONS, recovery_actions, "recovery.actions", "", 0, 0, RELOAD,                             \
      "What is done when a component becomes unhealthy. Section ACTIONS says what an entry has.")  \
    X(BOOL, redaction_enabled, "redaction.enabled", "true", 0, 0, RELOAD,                          \
      "Whether what looks like a secret is replaced by [REDACTED] before it is stored.")           \
    X(LIST, redaction_keys, "redaction.keys", "", 0, 0, RELOAD,                                    \
      "Keys whose values are secret, beside the built-in ones.")                                   \
    X(LIST, redaction_allow, "redaction.allow", "", 0, 0, RELOAD,                                  \
      "Whole keys whose values are not secret although the key looks like it.")                    \
    X(LIST, redaction_disable, "redaction.disable", "", 0, 0, RELOAD,                              \
      "Rules that are switched off, by name.")                                                     \
    X(PATTERNS, redaction_patterns, "redaction.patterns", "", 0, 0, RELOAD,                        \
      "Further patterns whose matches in any text are secret: extended regular expressions "       \
      "without back-references.")                                                                  \
    X(BOOL, redaction_keep_tool_content, "redaction.keep_tool_content", "false", 0, 0, RELOAD,     \
      "Whether the arguments and results of tool calls are kept, judged like every other value. "  \
      "If not, they are replaced whatever they hold, also when redaction.enabled is false.")       \
    X(BOOL, sampling_enabled, "sampling.enabled", "true", 0, 0, RELOAD,                            \
      "Whether traces are sampled. If not, every span is sent on as it came.")                     \
    X(RATIO, sampling_critical, "sampling.critical", "100%", 0, 100, RELOAD,                       \
      "Share of the traces of the tier critical that is kept.")                                    \
    X(RATIO, sampling_normal, "sampling.normal", "10%", 0, 100, RELOAD,                            \
      "The same of the tier normal.")                                                              \
    X(RATIO, sampling_debug, "sampling.debug", "1%", 0, 100, RELOAD,                               \
      "The same of the tier debug.")                                                               \
    X(SAMPLES, sampling_rules, "sampling.rules", "", 0, 0, RELOAD,                                 \
      "Which spans are in which tier: the first rule that matches counts, and none is normal.")    \
    X(DURATION, sampling_window, "sampling.window", "5s", 0, 5 * CONFIG_MINUTE, RELOAD,            \
      "Time that a trace is held for the tail decision: with an error, a slow span or a forced "   \
      "flag in it, it is kept. 0: none is made, and nothing is held.")                             \
    X(DURATION, sampling_late, "sampling.late", "1m", 0, CONFIG_HOUR, RELOAD,                      \
      "Time after that in which the decision is remembered for spans that come late.")             \
    X(DURATION, sampling_slow, "sampling.slow", "1s", 0, CONFIG_DAY, RELOAD,                       \
      "Duration from which a span is slow. 0: none is.")                                           \
    X(BOOL, sampling_slow_by_name, "sampling.slow_by_name", "false", 0, 0, RELOAD,                 \
      "Whether a span is slow, too, when it is above the 99th percentile of its service and "      \
      "name, as every hundredth is.")                                                              \
    X(COUNT, sampling_traces, "sampling.traces", "16384", 16, 1 << 24, RELOAD,                     \
      "Traces that are held or remembered. One domain has at most as many as are free, half of "   \
      "them when it is alone; above that its new ones are decided at once. A change forgets "      \
      "those that are held.")                                                                      \
    X(COUNT, sampling_spans_per_second, "sampling.spans_per_second", "50000", 0, 1000000000,       \
      RELOAD,                                                                                      \
      "Spans a second above which the rates fall by themselves, debug before normal; critical "    \
      "stays. 0: never.")                                                                          \
    X(DESTINATIONS, export_destinations, "export.destinations", "", 0, 0, RELOAD,                  \
      "Where spans, logs and metrics are forwarded to, in OTLP; at most 8. Section "               \
      "DESTINATIONS says what an entry has. Without this key the OTEL_* variables of the "         \
      "environment make one.")                                                                     \
    X(COUNT, export_batch_items, "export.batch_items", "512", 1, 65536, RELOAD,                    \
      "Items of one request.")                                                                     \
    X(SIZE, export_batch_bytes, "export.batch_bytes", "1MiB", 4096, 4 << 20, RELOAD,               \
      "Bytes from which a request is sent before it has that many.")                               \
    X(DURATION, export_batch_delay, "export.batch_delay", "1s", NS_PER_MS, CONFIG_MINUTE, RELOAD,  \
      "Time that an item waits for others to be sent with.")                                       \
    X(SIZE, export_queue_bytes, "export.queue_bytes", "8MiB", 1 << 20, UINT64_C(1) << 30, RELOAD,  \
      "Memory of the requests of one signal to one destination that are not yet taken or in "      \
      "the spool, and again as much of those that come from there.")                               \
    X(DURATION, export_retry_first, "export.retry_first", "1s", 10 * NS_PER_MS, CONFIG_MINUTE,     \
      RELOAD,                                                                                      \
      "Time after a failure until a request is sent again; it grows by half with each failure, "   \
      "less a random part of up to a half.")                                                       \
    X(DURATION, export_retry_most, "export.retry_most", "30s", 100 * NS_PER_MS, CONFIG_HOUR,       \
      RELOAD, "Where that growth ends.")                                                           \
    X(COUNT, export_failures, "export.failures", "5", 1, 1000, RELOAD,                             \
      "Failures in a row from which one request at a time is tried.")                              \
    X(DURATION, export_spool_after, "export.spool_after", "5s", 0, CONFIG_HOUR, RELOAD,            \
      "Time of failing until requests go to the spool; under pressure they go at once.")           \
    X(COUNT, export_replay_rate, "export.replay_rate", "20000", 0, 100000000, RELOAD,              \
      "Items a second that are sent from a spool, beside those that come in. 0: no limit.")        \
    X(METRICS, export_metrics, "export.metrics", "forward", 0, 0, RELOAD,                          \
      "Which metrics destinations get. forward: those that came in OTLP, as they came; "           \
      "cumulative or delta: all of the store at intervals, and none as they came; off: none.")     \
    X(DURATION, export_metrics_interval, "export.metrics_interval", "60s", NS_PER_S, CONFIG_DAY,   \
      RELOAD, "Those intervals.")                                                                  \
    X(SIZE, spool_size, "spool.size", "256MiB", CONFIG_SPOOL_MIN, UINT64_C(1) << 40, RELOAD,       \
      "Disk space for the requests of one signal to one destination that is away; then the "       \
      "oldest go first.")                                                                          \
    X(DURATION, spool_age, "spool.age", "24h", 0, 366 * CONFIG_DAY, RELOAD,                        \
      "Time that a request is kept there. 0: no limit.")                                           \
    X(LIST, rules_files, "rules_files", "", 0, 0, RELOAD,                                          \
      "Files with event rules, each a list as under rules. A relative path begins in the "         \
      "directory of the configuration file; * and ? match.")                                       \
    X(RULES, rules, "rules", "", 0, 0, RELOAD,                                                     \
      "Event rules: which named events make which metrics.")

#endif
