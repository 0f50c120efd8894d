/* log: one line a change of state, to stderr or wherever log_set_sink() says. Floor 0.
 *
 * Never per event: what a peer does is counted, not logged. What a line says in words may
 * come with fields, for programs to search by:
 *
 *     log_warn("store", "%s is full", name);
 *     log_with(LOG_LEVEL_WARN, "store", LOG_FIELDS(LOG_TEXT("table", name), LOG_U64("rows", n)),
 *              "a table is full");
 *
 * Fields whose keys are in LOG_KEY_TABLE stand beside the message wherever lines have a
 * form; the others are lower case words with _. component and fmt are literals: lines that
 * come again and again are told apart by them. */
#ifndef MCPTALLY_BASE_LOG_H
#define MCPTALLY_BASE_LOG_H

#include <stdint.h>

#include "base/str.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVELS };

const char *log_level_name(enum log_level level); /* "error", "warning", "info", "debug" */
int log_level_priority(enum log_level level);     /* of syslog(3): 3, 4, 6, 7 */

/* X(SYMBOL, "key") */
#define LOG_KEY_TABLE(X)                                                                           \
    X(DOMAIN, "domain")                                                                            \
    X(SESSION, "session")                                                                          \
    X(CORRELATION, "correlation_id")                                                               \
    X(TRACE, "trace_id")

enum log_key {
#define X(sym, key) LOG_KEY_##sym,
    LOG_KEY_TABLE(X)
#undef X
        LOG_KEYS
};

/* Of that key: enum log_key, or LOG_KEYS for another. */
enum log_key log_key_of(const char *key);

enum { LOG_MESSAGE_MAX = 2048, LOG_FIELDS_MAX = 16 };

struct log_field {
    const char *key;  /* NULL: the end of the fields */
    const char *text; /* NULL: a number */
    uint64_t number;
};

#define LOG_TEXT(key, text)                                                                        \
    {                                                                                              \
        (key), (text), 0                                                                           \
    }
#define LOG_U64(key, number)                                                                       \
    {                                                                                              \
        (key), NULL, (number)                                                                      \
    }
#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {NULL, NULL, 0}})

struct log_line {
    enum log_level level;
    const char *component;
    const char *fmt; /* as the caller gave it, to tell lines apart by */
    struct str message;
    const struct log_field *fields; /* at most LOG_FIELDS_MAX */
    unsigned nfields;
};

typedef void log_sink(void *arg, const struct log_line *line);

/* NULL restores the default, which writes "mcptallyd: level: component: message" to stderr. */
void log_set_sink(log_sink *sink, void *arg);

/* Lines above this level are not made. INFO at the start. */
void log_set_level(enum log_level level);

void log_with(enum log_level level, const char *component, const struct log_field *fields,
              const char *fmt, ...) __attribute__((format(printf, 4, 5)));

void log_error(const char *component, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_warn(const char *component, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_info(const char *component, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_debug(const char *component, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
