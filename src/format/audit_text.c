#include "format/audit_text.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/iso.h"
#include "base/sha256.h"
#include "format/json.h"
#include "model/text.h"

enum { TEXT_MAX = 512 }; /* bytes of each text, before quotes are escaped */

void audit_hash(char to[AUDIT_HASH], struct str line)
{
    uint8_t digest[SHA256_SIZE];
    sha256(digest, line.p, line.n);
    for (unsigned i = 0; i < SHA256_SIZE; i++)
        snprintf(to + (size_t)2 * i, 3, "%02x", digest[i]);
}

/* As it goes into a line: cut, what is no UTF-8 left out, control characters made blanks. */
static void put(struct json_writer *j, const char *key, const char *text)
{
    char clean[TEXT_MAX];
    size_t n = 0;
    if (!text)
        return;
    for (const char *p = text; *p && n < sizeof clean;) {
        size_t k = 1;
        while (k <= 4 && !text_utf8((struct str){p, strnlen(p, k)}))
            k++;
        if (k > 4) {
            p++;
            continue;
        }
        if (n + k > sizeof clean)
            break;
        memcpy(clean + n, (unsigned char)*p < ' ' ? " " : p, k);
        n += k;
        p += k;
    }
    json_put_str(j, key, (struct str){clean, n});
}

void audit_write(struct buf *to, const struct audit_record *r)
{
    char time[ISO_TEXT];
    struct json_writer j = json_begin(to);
    iso_write(time, r->wall);
    json_put_object(&j, NULL);
    json_put_text(&j, "time", time);
    json_put_u64(&j, "seq", r->seq);
    json_put_text(&j, "prev", r->prev);
    json_put_object(&j, "who");
    if (!r->who.peer)
        json_put_bool(&j, "daemon", true);
    json_put_u64(&j, "uid", r->who.uid);
    put(&j, "user", r->user);
    json_put_u64(&j, "pid", r->who.pid);
    put(&j, "exe", r->exe);
    put(&j, "comm", r->comm);
    json_end_object(&j);
    put(&j, "what", r->what);
    put(&j, "object", r->object);
    put(&j, "outcome", r->outcome);
    json_end_object(&j);
    buf_addc(to, '\n');
}

/* ---- reading ---- */

/* Of a time as iso_write() writes it. */
static bool read_time(const char *text, uint64_t *out)
{
    return text && strlen(text) == ISO_TEXT - 1 && iso_read(text, out);
}

static bool read_number(const json_t *in, const char *key, uint64_t most, uint64_t *out)
{
    const json_t *v = json_object_get(in, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return *out <= most;
}

static const char *text_of(const json_t *in, const char *key)
{
    return json_string_value(json_object_get(in, key));
}

static bool take(const json_t *doc, struct audit_record *out)
{
    uint64_t uid, pid;
    const json_t *who = json_object_get(doc, "who");
    const char *prev = text_of(doc, "prev");
    if (!prev || strlen(prev) != AUDIT_HASH - 1 || !read_time(text_of(doc, "time"), &out->wall) ||
        !read_number(doc, "seq", INT64_MAX, &out->seq) ||
        !read_number(who, "uid", UINT32_MAX, &uid) || !read_number(who, "pid", UINT32_MAX, &pid))
        return false;
    memcpy(out->prev, prev, AUDIT_HASH);
    out->who = (struct audit_who){.peer = !json_is_true(json_object_get(who, "daemon")),
                                  .uid = (uint32_t)uid,
                                  .pid = (uint32_t)pid};
    out->user = text_of(who, "user");
    out->exe = text_of(who, "exe");
    out->comm = text_of(who, "comm");
    out->what = text_of(doc, "what");
    out->object = text_of(doc, "object");
    out->outcome = text_of(doc, "outcome");
    return out->what && out->object && out->outcome;
}

int audit_read(struct str line, struct audit_record *out, json_t **doc)
{
    *out = (struct audit_record){0};
    *doc =
        line.n < AUDIT_LINE_MAX ? json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (*doc && take(*doc, out))
        return 0;
    json_decref(*doc);
    *doc = NULL;
    return -ERR_SYNTAX;
}

/* ---- the chain ---- */

enum audit_link audit_chain_add(struct audit_chain *c, struct str line)
{
    struct audit_record r;
    json_t *doc;
    char hash[AUDIT_HASH];
    if (audit_read(line, &r, &doc) < 0) {
        c->unreadable++;
        return AUDIT_UNREADABLE;
    }
    json_decref(doc);
    audit_hash(hash, line);
    if (c->begun && strcmp(hash, c->hash) == 0) {
        c->repeated++;
        return AUDIT_REPEATED;
    }
    const bool fits = !c->begun || (r.seq == c->last + 1 && strcmp(r.prev, c->hash) == 0);
    if (!c->begun)
        c->first = r.seq;
    c->begun = true;
    c->last = r.seq;
    memcpy(c->hash, hash, sizeof hash);
    c->lines++;
    c->broken += !fits;
    return fits ? AUDIT_LINKED : AUDIT_BROKEN;
}
