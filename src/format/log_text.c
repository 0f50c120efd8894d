#include "format/log_text.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>

#include "base/iso.h"
#include "format/json.h"
#include "model/text.h"

#define PREFIX "MCPTALLY_" /* of our fields in the journal */

/* Bytes of the character at p, 0 when it is none. */
static size_t character(const char *p, size_t n)
{
    for (size_t k = 1; k <= 4 && k <= n; k++)
        if (text_utf8((struct str){p, k}))
            return k;
    return 0;
}

void log_clean(struct buf *to, struct str s)
{
    for (size_t i = 0; i < s.n;) {
        const size_t k = character(s.p + i, s.n - i);
        const unsigned char c = (unsigned char)s.p[i];
        /* U+0080 to U+009F are control characters too. */
        const bool control =
            c < ' ' || c == 0x7f || (k == 2 && c == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0);
        if (k == 0)
            buf_addc(to, '?');
        else if (control)
            buf_addc(to, ' ');
        else
            buf_add(to, s.p + i, k);
        i += k ? k : 1;
    }
}

/* A clean copy, which lies in `room` if it is not the text itself. */
static struct str clean(struct buf *room, struct str s)
{
    bool good = text_utf8(s);
    for (size_t i = 0; good && i < s.n; i++)
        good = (unsigned char)s.p[i] >= ' ' && (unsigned char)s.p[i] != 0x7f &&
               (unsigned char)s.p[i] != 0xc2;
    if (good)
        return s;
    buf_reset(room);
    log_clean(room, s);
    return buf_str(room);
}

enum { CLEAN_MAX = 64 << 10 };

/* ---- JSON ---- */

static void put_field(struct json_writer *j, const struct log_field *f, struct buf *room)
{
    if (f->text)
        json_put_str(j, f->key, clean(room, str_of(f->text)));
    else
        json_put_u64(j, f->key, f->number);
}

/* Those of the keys that stand beside the message, or the others. */
static unsigned put_fields(struct json_writer *j, const struct log_line *line, bool known,
                           struct buf *room)
{
    unsigned n = 0;
    for (unsigned i = 0; i < line->nfields; i++) {
        if ((log_key_of(line->fields[i].key) < LOG_KEYS) != known)
            continue;
        if (!known && n == 0)
            json_put_object(j, "fields");
        put_field(j, &line->fields[i], room);
        n++;
    }
    return n;
}

void log_json(struct buf *to, const struct log_line *line, uint64_t wall)
{
    char time[ISO_TEXT];
    struct buf room;
    struct json_writer j = json_begin(to);
    buf_init(&room, CLEAN_MAX);
    iso_write(time, wall);
    json_put_object(&j, NULL);
    json_put_text(&j, "time", time);
    json_put_text(&j, "level", log_level_name(line->level));
    json_put_text(&j, "component", line->component);
    put_fields(&j, line, true, &room);
    json_put_str(&j, "message", clean(&room, line->message));
    if (put_fields(&j, line, false, &room))
        json_end_object(&j);
    json_end_object(&j);
    buf_addc(to, '\n');
    buf_fini(&room);
}

/* ---- plain ---- */

static void begin_plain(struct buf *to, enum log_level level, bool journal)
{
    if (journal)
        buf_addf(to, "<%d>", log_level_priority(level));
    else
        buf_addf(to, "mcptallyd: %s: ", log_level_name(level));
}

/* A value in quotes unless it is a plain word. */
static void add_value(struct buf *to, struct str s)
{
    bool word = s.n > 0;
    for (size_t i = 0; word && i < s.n; i++)
        word = (unsigned char)s.p[i] > ' ' && s.p[i] != '"' && s.p[i] != '=';
    if (!word)
        buf_addc(to, '"');
    log_clean(to, s);
    if (!word)
        buf_addc(to, '"');
}

void log_plain(struct buf *to, const struct log_line *line, bool journal)
{
    begin_plain(to, line->level, journal);
    buf_addf(to, "%s: ", line->component);
    log_clean(to, line->message);
    for (unsigned i = 0; i < line->nfields; i++) {
        const struct log_field *f = &line->fields[i];
        buf_addf(to, " %s=", f->key);
        if (f->text)
            add_value(to, str_of(f->text));
        else
            buf_addu(to, f->number);
    }
    buf_addc(to, '\n');
}

static void add_member(struct buf *to, const char *key, const json_t *v)
{
    const char *text = json_string_value(v);
    buf_addc(to, ' ');
    log_clean(to, str_of(key));
    buf_addc(to, '=');
    if (text)
        add_value(to, str_of(text));
    else
        buf_addu(to, (uint64_t)json_integer_value(v));
}

void log_plain_again(struct buf *to, struct str json, bool journal)
{
    json_t *doc = json_loadb(json.p, json.n, 0, NULL);
    const char *name = json_string_value(json_object_get(doc, "level"));
    const char *component = json_string_value(json_object_get(doc, "component"));
    const char *message = json_string_value(json_object_get(doc, "message"));
    unsigned level = LOG_LEVEL_ERROR;
    const char *key;
    json_t *v;
    while (name && level < LOG_LEVEL_DEBUG && strcmp(name, log_level_name(level)) != 0)
        level++;
    if (component && message) {
        begin_plain(to, level, journal);
        log_clean(to, str_of(component));
        buf_adds(to, ": ");
        log_clean(to, str_of(message));
        json_object_foreach(doc, key, v) if (log_key_of(key) < LOG_KEYS) add_member(to, key, v);
        json_object_foreach(json_object_get(doc, "fields"), key, v) add_member(to, key, v);
    } else {
        log_clean(to, json);
    }
    buf_addc(to, '\n');
    json_decref(doc);
}

/* ---- the journal ---- */

/* KEY=value, or KEY, the value's size and the value, when that has a line end in it. */
static void add_entry(struct buf *to, const char *key, struct str value)
{
    buf_adds(to, key);
    if (value.n == 0 || !memchr(value.p, '\n', value.n)) {
        buf_addc(to, '=');
    } else {
        uint8_t size[8];
        for (unsigned i = 0; i < sizeof size; i++)
            size[i] = (uint8_t)((uint64_t)value.n >> (8 * i));
        buf_addc(to, '\n');
        buf_add(to, size, sizeof size);
    }
    buf_addstr(to, value);
    buf_addc(to, '\n');
}

static void add_own_entry(struct buf *to, const struct log_field *f)
{
    char key[64] = PREFIX, number[24];
    size_t n = sizeof PREFIX - 1;
    for (const char *p = f->key; *p && n < sizeof key - 1; p++)
        key[n++] = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
    key[n] = '\0';
    snprintf(number, sizeof number, "%llu", (unsigned long long)f->number);
    add_entry(to, key, str_of(f->text ? f->text : number));
}

void log_journal(struct buf *to, const struct log_line *line)
{
    const char priority[] = {(char)('0' + log_level_priority(line->level)), 0};
    add_entry(to, "MESSAGE", line->message);
    add_entry(to, "PRIORITY", str_of(priority));
    add_entry(to, "SYSLOG_IDENTIFIER", STR("mcptallyd"));
    add_entry(to, PREFIX "COMPONENT", str_of(line->component));
    for (unsigned i = 0; i < line->nfields; i++)
        add_own_entry(to, &line->fields[i]);
}
