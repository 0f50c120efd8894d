/* log: one line a change of state, to stderr or wherever log_set_sink() says. Floor 0.
 *
 * Never per event: what a peer does is counted, not logged. A line is
 * "mcptallyd: level: component: message"; under systemd it has the "<N>"
 * priority prefix that the journal reads. */
#ifndef MCPTALLY_BASE_LOG_H
#define MCPTALLY_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

typedef void log_sink(enum log_level level, const char *component, const char *message, void *arg);

/* NULL restores the default, which writes to stderr. */
void log_set_sink(log_sink *sink, void *arg);

/* Lines above this level are not made. INFO at the start. */
void log_set_level(enum log_level level);

void log_error(const char *component, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_warn(const char *component, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_info(const char *component, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_debug(const char *component, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
