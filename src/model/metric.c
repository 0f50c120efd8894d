#include "model/metric.h"

#include <math.h>

#include "base/err.h"
#include "model/text.h"

const char *metric_kind_name(enum metric_kind kind)
{
    static const char *const names[] = {"unknown", "counter", "gauge", "histogram", "summary"};
    return names[kind <= METRIC_SUMMARY ? kind : 0];
}

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

bool metric_name_ok(struct str name)
{
    if (name.n == 0 || name.n > LIMIT_NAME || !letter(name.p[0]))
        return false;
    for (size_t i = 1; i < name.n; i++) {
        char c = name.p[i];
        if (!letter(c) && !digit(c) && c != '.' && c != ':' && c != '/' && c != '-')
            return false;
    }
    return true;
}

static bool bounds_ok(const struct metric_def *def)
{
    if (def->nbounds > LIMIT_BOUNDS)
        return false;
    for (unsigned i = 0; i < def->nbounds; i++)
        if (!isfinite(def->bounds[i]) || (i && def->bounds[i] <= def->bounds[i - 1]))
            return false;
    return true;
}

int metric_def_check(const struct metric_def *def)
{
    if (!metric_name_ok(def->name))
        return -ERR_NAME;
    if (def->unit.n > LIMIT_UNIT || def->help.n > LIMIT_HELP)
        return -ERR_SYNTAX;
    if (!text_utf8(def->unit) || !text_utf8(def->help))
        return -ERR_UTF8;
    if (def->kind < METRIC_COUNTER || def->kind > METRIC_SUMMARY)
        return -ERR_SYNTAX;
    if (def->type < VALUE_U64 || def->type > VALUE_F64)
        return -ERR_SYNTAX;
    if (def->kind >= METRIC_HISTOGRAM && def->type != VALUE_F64)
        return -ERR_SYNTAX;
    if (def->join > JOIN_MAX || (def->join != JOIN_LAST && def->kind != METRIC_GAUGE))
        return -ERR_SYNTAX;
    if ((def->flags & ~(unsigned)METRIC_QUANTILES) || (def->flags && def->kind != METRIC_HISTOGRAM))
        return -ERR_SYNTAX;
    if ((def->kind == METRIC_HISTOGRAM) != (def->nbounds > 0) || !bounds_ok(def))
        return -ERR_SYNTAX;
    return 0;
}

struct str metric_unit_word(struct str unit)
{
    static const struct {
        const char *ucum, *word;
    } units[] = {
        {"s", "seconds"},      {"ms", "milliseconds"}, {"us", "microseconds"},
        {"ns", "nanoseconds"}, {"min", "minutes"},     {"h", "hours"},
        {"d", "days"},         {"By", "bytes"},        {"KiBy", "kibibytes"},
        {"MiBy", "mebibytes"}, {"GiBy", "gibibytes"},  {"kBy", "kilobytes"},
        {"MBy", "megabytes"},  {"m", "meters"},        {"V", "volts"},
        {"A", "amperes"},      {"J", "joules"},        {"W", "watts"},
        {"g", "grams"},        {"Cel", "celsius"},     {"Hz", "hertz"},
        {"%", "percent"},      {"1", "ratio"},
    };
    if (unit.n == 0 || unit.p[0] == '{')
        return (struct str){0};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (str_eq(unit, str_of(units[i].ucum)))
            return str_of(units[i].word);
    return unit;
}

static void add_clean(struct buf *to, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        buf_addc(to, letter(c) || digit(c) || c == ':' ? c : '_');
    }
}

static bool ends_with(struct str s, struct str tail)
{
    return s.n >= tail.n && memcmp(s.p + s.n - tail.n, tail.p, tail.n) == 0;
}

void metric_family_name(struct buf *to, struct str name, struct str unit, enum metric_kind kind)
{
    if (kind == METRIC_COUNTER && name.n > 6 && ends_with(name, STR("_total")))
        name.n -= 6;
    size_t start = to->n;
    add_clean(to, name);
    struct str word = metric_unit_word(unit);
    if (word.n == 0 || (kind != METRIC_GAUGE && str_eq(word, STR("ratio"))) || to->failed)
        return;
    struct str sofar = {to->p + start, to->n - start};
    if (ends_with(sofar, word) && (sofar.n == word.n || sofar.p[sofar.n - word.n - 1] == '_'))
        return;
    buf_addc(to, '_');
    add_clean(to, word);
}
