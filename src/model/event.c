#include "model/event.h"

#include "base/err.h"
#include "base/num.h"

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

struct str attr_text(const struct attr *a, char *digits)
{
    switch (a->type) {
    case ATTR_STRING:
        return a->s;
    case ATTR_BOOL:
        return a->i ? STR("true") : STR("false");
    case ATTR_F64:
        return (struct str){digits, num_f64(digits, a->d)};
    case ATTR_I64:
        break;
    }
    const bool negative = a->i < 0;
    const uint64_t size = negative ? -(uint64_t)a->i : (uint64_t)a->i;
    digits[0] = '-';
    return (struct str){digits, negative + num_u64(digits + negative, size)};
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
