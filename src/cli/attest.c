#include "cli/attest.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/ask.h"
#include "cli/cli.h"

enum { ANSWER_MAX = 1 << 18 };

static void take_head(struct attest_head *h, const struct buf *answer)
{
    json_t *doc = json_loadb(answer->p, answer->n, 0, NULL);
    const char *path = json_string_value(json_object_get(doc, "path"));
    const char *hash = json_string_value(json_object_get(doc, "hash"));
    if (path && hash && strlen(hash) == AUDIT_HASH - 1) {
        snprintf(h->path, sizeof h->path, "%s", path);
        memcpy(h->hash, hash, sizeof h->hash);
        h->seq = (uint64_t)json_integer_value(json_object_get(doc, "seq"));
        h->waiting = (uint64_t)json_integer_value(json_object_get(doc, "waiting"));
    }
    json_decref(doc);
}

void attest_ask(const char *control, struct attest_head *h)
{
    struct buf answer;
    *h = (struct attest_head){0};
    buf_init(&answer, ANSWER_MAX);
    if (ask(control, "{\"cmd\":\"audit\"}", 2 * NS_PER_S, &answer) == 0)
        take_head(h, &answer);
    buf_fini(&answer);
}

/* What was taken off the end is known to the daemon alone. */
static bool end_is_there(const struct attest_head *h, const struct trail *t,
                         const struct audit_chain *c)
{
    if (strcmp(h->path, t->path) != 0 || h->waiting > 0 || h->seq < c->last ||
        strcmp(h->hash, c->hash) == 0 || (h->seq == 0 && c->lines == 0))
        return true;
    if (h->seq == c->last)
        cli_error("%s: record %llu is not as the daemon has written it", t->path,
                  (unsigned long long)c->last);
    else
        cli_error("%s ends at record %llu, but the daemon has written %llu", t->path,
                  (unsigned long long)c->last, (unsigned long long)h->seq);
    return false;
}

static void report(const struct trail *t, enum audit_link link)
{
    if (link == AUDIT_UNREADABLE)
        cli_error("%s:%u: no record of an audit log", trail_file(t), t->line);
    else if (link == AUDIT_BROKEN)
        cli_error("%s:%u: what was before this record is missing or was changed", trail_file(t),
                  t->line);
}

int attest(struct trail *t, const struct attest_head *h)
{
    struct audit_chain c = {0};
    struct str line;
    while (trail_next(t, &line))
        report(t, audit_chain_add(&c, line));
    const bool good = !c.broken && !c.unreadable;
    if (!end_is_there(h, t, &c) || !good)
        return CLI_FAILURE;
    printf("%llu records in %u files: nothing is missing", (unsigned long long)c.lines, t->n);
    if (c.first > 1)
        printf(" since record %llu, the oldest that is kept", (unsigned long long)c.first);
    putchar('\n');
    return CLI_OK;
}
