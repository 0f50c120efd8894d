#include "base/storm.h"

#include <stdio.h>

static bool over(const struct storm *s, const struct storm_kind *k, uint64_t now)
{
    return now - k->began >= s->window;
}

/* A free place, or that of a kind that has nothing to tell any more, or the oldest. */
static struct storm_kind *make_room(struct storm *s, uint64_t now)
{
    struct storm_kind *oldest = s->kinds;
    for (struct storm_kind *k = s->kinds; k < s->kinds + STORM_KINDS; k++) {
        if (!k->fmt || (over(s, k, now) && !k->held))
            return k;
        if (k->began < oldest->began)
            oldest = k;
    }
    return oldest;
}

static struct storm_kind *find(struct storm *s, const struct log_line *line)
{
    for (struct storm_kind *k = s->kinds; k < s->kinds + STORM_KINDS; k++)
        if (k->fmt == line->fmt && k->component == line->component)
            return k;
    return NULL;
}

bool storm_admit(struct storm *s, const struct log_line *line, uint64_t now,
                 struct storm_kind *lost)
{
    struct storm_kind *k = find(s, line);
    lost->held = 0;
    if (s->burst == 0)
        return true;
    if (!k || over(s, k, now)) {
        k = k ? k : make_room(s, now);
        *lost = *k;
        *k = (struct storm_kind){.component = line->component,
                                 .fmt = line->fmt,
                                 .began = now,
                                 .passed = 1,
                                 .level = LOG_LEVEL_DEBUG};
        return true;
    }
    if (k->passed < s->burst) {
        k->passed++;
        return true;
    }
    k->held++;
    k->level = line->level < k->level ? line->level : k->level;
    snprintf(k->last, sizeof k->last, "%.*s", STR_ARG(line->message));
    return false;
}

bool storm_over(struct storm *s, uint64_t now, struct storm_kind *out)
{
    for (struct storm_kind *k = s->kinds; k < s->kinds + STORM_KINDS; k++) {
        if (!k->fmt || !k->held || !over(s, k, now))
            continue;
        *out = *k;
        k->fmt = NULL;
        return true;
    }
    return false;
}
