#include "mcp/inject.h"

#include <stdio.h>
#include <string.h>

#include "mcp/json.h"

enum { KEY_ROOM = 16 }; /* longer keys are none of ours */

/* Where the value in hand lies: its keys from the root down. */
enum place { ELSEWHERE, ROOT, PARAMS, META };

struct finder {
    enum place at[4]; /* of the container at each depth; [0]: of the root value */
    char key[KEY_ROOM];
    size_t nkey;
    bool in_key;
    enum place in; /* the container that the key or scalar in hand belongs to */
    bool id, method, traceparent;
    unsigned params, meta; /* members of that name */
    bool params_object, meta_object;
    size_t begins[META + 1]; /* bytes up to and with the opening bracket */
};

static bool key_is(const struct finder *f, const char *key)
{
    return f->nkey == strlen(key) && memcmp(f->key, key, f->nkey) == 0;
}

/* What a container is that opens at this depth, after the key in hand. */
static enum place place_of(const struct finder *f, unsigned depth)
{
    if (depth == 0)
        return ROOT;
    if (depth == 1 && f->at[0] == ROOT && key_is(f, "params"))
        return PARAMS;
    return depth == 2 && f->at[1] == PARAMS && key_is(f, "_meta") ? META : ELSEWHERE;
}

static void on_open(void *arg, bool object, unsigned depth, uint64_t offset)
{
    struct finder *f = arg;
    if (depth > 2)
        return;
    const enum place p = object ? place_of(f, depth) : ELSEWHERE;
    f->at[depth] = p;
    f->at[depth + 1] = ELSEWHERE;
    if (p != ELSEWHERE)
        f->begins[p] = (size_t)offset + 1;
    f->params_object |= p == PARAMS;
    f->meta_object |= p == META;
}

static void on_close(void *arg, unsigned depth, uint64_t offset)
{
    (void)arg;
    (void)depth;
    (void)offset;
}

static void note_scalar(struct finder *f, enum json_scalar kind)
{
    if (f->in != ROOT)
        return;
    f->id |= key_is(f, "id") && kind != JSON_LITERAL;
    f->method |= key_is(f, "method") && kind == JSON_STRING;
}

static bool on_begin(void *arg, enum json_scalar kind, unsigned depth)
{
    struct finder *f = arg;
    f->in = depth >= 1 && depth <= 3 ? f->at[depth - 1] : ELSEWHERE;
    f->in_key = kind == JSON_KEY;
    if (f->in_key)
        f->nkey = 0;
    else
        note_scalar(f, kind);
    return f->in_key && f->in != ELSEWHERE;
}

static void on_text(void *arg, const char *p, size_t n)
{
    struct finder *f = arg;
    for (size_t i = 0; i < n && f->nkey < KEY_ROOM; i++)
        f->key[f->nkey++] = p[i];
}

static void on_end(void *arg)
{
    struct finder *f = arg;
    f->params += f->in == ROOT && key_is(f, "params");
    f->meta += f->in == PARAMS && key_is(f, "_meta");
    f->traceparent |= f->in == META && key_is(f, "traceparent");
}

static const struct json_listener listener = {
    .open = on_open, .close = on_close, .begin = on_begin, .text = on_text, .end = on_end};

/* Whether the object that begins before `at` has no members. */
static bool is_empty(const char *line, size_t n, size_t at)
{
    while (at < n && strchr(" \t\r\n", line[at]))
        at++;
    return at < n && line[at] == '}';
}

bool inject_find(const char *line, size_t n, struct inject_place *out)
{
    struct finder f = {.at = {ELSEWHERE}};
    struct json j;
    json_init(&j, &listener, &f);
    if (!json_feed(&j, line, n) || !json_finish(&j))
        return false;
    if (!f.id || !f.method || f.traceparent || f.params > 1 || f.meta > 1)
        return false;
    if ((f.params && !f.params_object) || (f.meta && !f.meta_object))
        return false;
    out->what = f.meta ? INJECT_MEMBER : f.params ? INJECT_META : INJECT_PARAMS;
    out->at = f.begins[f.meta ? META : f.params ? PARAMS : ROOT];
    out->last = is_empty(line, n, out->at);
    return true;
}

size_t inject_piece(char to[INJECT_MAX], const struct inject_place *place, const char *traceparent)
{
    static const char *const forms[] = {
        [INJECT_MEMBER] = "\"traceparent\":\"%s\"%s",
        [INJECT_META] = "\"_meta\":{\"traceparent\":\"%s\"}%s",
        [INJECT_PARAMS] = "\"params\":{\"_meta\":{\"traceparent\":\"%s\"}}%s",
    };
    char text[INJECT_MAX];
    const int n =
        snprintf(text, sizeof text, forms[place->what], traceparent, place->last ? "" : ",");
    memcpy(to, text, (size_t)n);
    return (size_t)n;
}
