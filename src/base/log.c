#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const key_names[LOG_KEYS] = {
#define X(sym, key) key,
    LOG_KEY_TABLE(X)
#undef X
};

const char *log_level_name(enum log_level level)
{
    static const char *const names[LOG_LEVELS] = {"error", "warning", "info", "debug"};
    return names[level];
}

int log_level_priority(enum log_level level)
{
    static const int priorities[LOG_LEVELS] = {3, 4, 6, 7};
    return priorities[level];
}

enum log_key log_key_of(const char *key)
{
    unsigned k = 0;
    while (k < LOG_KEYS && strcmp(key, key_names[k]) != 0)
        k++;
    return (enum log_key)k;
}

static void to_stderr(void *arg, const struct log_line *line)
{
    (void)arg;
    fprintf(stderr, "mcptallyd: %s: %s: %.*s\n", log_level_name(line->level), line->component,
            STR_ARG(line->message));
}

/* The one piece of process-wide state: where lines go. Set by daemon/ only. */
static log_sink *current_sink = to_stderr;
static void *current_arg;
static enum log_level current_level = LOG_LEVEL_INFO;

void log_set_sink(log_sink *sink, void *arg)
{
    current_sink = sink ? sink : to_stderr;
    current_arg = arg;
}

void log_set_level(enum log_level level)
{
    current_level = level;
}

static void emit(enum log_level level, const char *component, const struct log_field *fields,
                 const char *fmt, va_list ap)
{
    char text[LOG_MESSAGE_MAX];
    struct log_line line = {.level = level, .component = component, .fmt = fmt, .fields = fields};
    if (level > current_level)
        return;
    const int n = vsnprintf(text, sizeof text, fmt, ap);
    line.message = (struct str){text, n < 0 ? 0 : (size_t)n};
    if (line.message.n >= sizeof text)
        line.message.n = sizeof text - 1;
    while (fields && line.nfields < LOG_FIELDS_MAX && fields[line.nfields].key)
        line.nfields++;
    current_sink(current_arg, &line);
}

void log_with(enum log_level level, const char *component, const struct log_field *fields,
              const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    emit(level, component, fields, fmt, ap);
    va_end(ap);
}

#define DEFINE_LOG(name, level)                                                                    \
    void name(const char *component, const char *fmt, ...)                                         \
    {                                                                                              \
        va_list ap;                                                                                \
        va_start(ap, fmt);                                                                         \
        emit(level, component, NULL, fmt, ap);                                                     \
        va_end(ap);                                                                                \
    }

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warn, LOG_LEVEL_WARN)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)
