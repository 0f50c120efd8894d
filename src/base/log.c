#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int level_priority[] = {3, 4, 6, 7};

static void to_stderr(enum log_level level, const char *component, const char *message, void *arg)
{
    (void)arg;
    if (getenv("JOURNAL_STREAM"))
        fprintf(stderr, "<%d>%s: %s\n", level_priority[level], component, message);
    else
        fprintf(stderr, "mcptallyd: %s: %s: %s\n", level_names[level], component, message);
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

static void emit(enum log_level level, const char *component, const char *fmt, va_list ap)
{
    if (level > current_level)
        return;
    char line[1024];
    vsnprintf(line, sizeof line, fmt, ap);
    current_sink(level, component, line, current_arg);
}

#define DEFINE_LOG(name, level)                                                                    \
    void name(const char *component, const char *fmt, ...)                                         \
    {                                                                                              \
        va_list ap;                                                                                \
        va_start(ap, fmt);                                                                         \
        emit(level, component, fmt, ap);                                                           \
        va_end(ap);                                                                                \
    }

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warn, LOG_LEVEL_WARN)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)
