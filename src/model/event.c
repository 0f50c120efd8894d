#include "model/event.h"

#include "base/err.h"

static const char *const severities[] = {"trace", "debug", "info", "warn", "error", "fatal"};
static const char *const states[] = {"unknown", "healthy", "degraded", "unhealthy"};

const char *severity_name(unsigned severity)
{
    return severity >= 1 && severity <= 24 ? severities[(severity - 1) / 4] : "unspecified";
}

unsigned severity_of(struct str name)
{
    for (unsigned i = 0; i < sizeof severities / sizeof *severities; i++)
        if (str_eq(name, str_of(severities[i])))
            return 4 * i + 1;
    return 0;
}

const char *health_name(unsigned state)
{
    return states[state <= HEALTH_UNHEALTHY ? state : HEALTH_UNKNOWN];
}

int health_of(struct str name)
{
    for (int i = 0; i <= HEALTH_UNHEALTHY; i++)
        if (str_eq(name, str_of(states[i])))
            return i;
    return -ERR_NOTFOUND;
}

const char *event_kind_name(unsigned kind)
{
    switch (kind) {
    case EVENT_SPAN:
        return "span";
    case EVENT_NAMED:
        return "event";
    case EVENT_LOG:
        return "log";
    case EVENT_HEALTH:
        return "health";
    default:
        return "unknown";
    }
}
