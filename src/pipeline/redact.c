#include "pipeline/redact.h"

#include <stdlib.h>

#include "model/text.h"
#include "pipeline/secret_text.h"

struct redact {
    bool enabled;
    struct secret_keys *keys;
    struct secret_tokens tokens;
};

struct redact *redact_new(const struct redact_options *o)
{
    struct redact *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->enabled = o->enabled;
    secret_tokens_init(&r->tokens);
    r->keys = secret_keys_new(o->keys, o->nkeys, o->allow, o->nallow);
    if (!r->keys) {
        free(r);
        return NULL;
    }
    return r;
}

void redact_free(struct redact *r)
{
    if (!r)
        return;
    secret_keys_free(r->keys);
    free(r);
}

static bool holds_secret(const struct redact *r, struct str text)
{
    struct secret_text t;
    struct secret_place place;
    if (secret_text_init(&t, r->keys, &r->tokens, text) != 0)
        return true;
    const bool found = secret_text_next(&t, &place);
    secret_text_fini(&t);
    return found;
}

bool redact_value(const struct redact *r, struct str key, struct str value)
{
    if (!r || !r->enabled || value.n == 0)
        return false;
    return secret_value(secret_key_grade(r->keys, key), value) || holds_secret(r, value);
}

size_t redact_text(const struct redact *r, struct str text, struct buf *out)
{
    struct secret_text t;
    struct secret_place place;
    size_t found = 0, done = 0;
    if (!r || !r->enabled || text.n == 0)
        return 0;
    if (secret_text_init(&t, r->keys, &r->tokens, text) != 0) {
        buf_addstr(out, REDACTED);
        return 1;
    }
    for (; secret_text_next(&t, &place); found++) {
        buf_add(out, text.p + done, place.from - done);
        buf_addstr(out, REDACTED);
        done = place.to;
    }
    secret_text_fini(&t);
    if (found)
        buf_add(out, text.p + done, text.n - done);
    return found;
}

/* The texts of one event that were rewritten. They lie in a buffer that may
 * still move, so they are pointed there at the end. */
struct rewritten {
    struct {
        struct str *text;
        size_t at, n;
    } list[LIMIT_SPAN_EVENTS + 3];
    unsigned count;
};

static void rewrite(const struct redact *r, struct str *text, size_t most, struct buf *scratch,
                    struct rewritten *done, struct redact_count *count)
{
    const size_t at = scratch->n;
    const size_t found = redact_text(r, *text, scratch);
    if (found == 0)
        return;
    count->n[REDACT_TEXT] += (unsigned)found;
    if (scratch->failed) {
        scratch->n = at;
        *text = REDACTED;
        return;
    }
    const struct str whole = {scratch->p + at, scratch->n - at};
    done->list[done->count].text = text;
    done->list[done->count].at = at;
    done->list[done->count++].n = text_cut(whole, most).n;
}

static void redact_attrs(const struct redact *r, struct event *e, struct redact_count *count)
{
    for (unsigned i = 0; i < e->all_attrs; i++) {
        struct attr *a = &e->attrs[i];
        if (a->type != ATTR_STRING || !redact_value(r, a->key, a->s))
            continue;
        a->s = REDACTED;
        count->n[REDACT_ATTRIBUTE]++;
    }
}

void redact_event(const struct redact *r, struct event *e, struct buf *scratch,
                  struct redact_count *count)
{
    struct rewritten done = {.count = 0};
    if (!r || !r->enabled)
        return;
    redact_attrs(r, e, count);
    rewrite(r, &e->name, LIMIT_NAME, scratch, &done, count);
    rewrite(r, &e->text, e->kind == EVENT_LOG ? LIMIT_BODY : LIMIT_TEXT, scratch, &done, count);
    rewrite(r, &e->correlation, LIMIT_CORRELATION, scratch, &done, count);
    for (unsigned i = 0; e->kind == EVENT_SPAN && i < e->nevents; i++)
        rewrite(r, &e->events[i].name, LIMIT_NAME, scratch, &done, count);
    for (unsigned i = 0; i < done.count; i++)
        *done.list[i].text = (struct str){scratch->p + done.list[i].at, done.list[i].n};
}
