#include "format/json.h"

#include <math.h>

static void add_char(struct buf *to, char c, bool escaped)
{
    static const char hex[] = "0123456789abcdef";
    if ((unsigned char)c < ' ') {
        const char u[] = {'\\', 'u', '0', '0', hex[c >> 4 & 15], hex[c & 15]};
        buf_add(to, u, sizeof u);
        return;
    }
    if (!escaped && (c == '"' || c == '\\'))
        buf_addc(to, '\\');
    buf_addc(to, c);
}

static void add_quoted(struct buf *to, struct str s, bool escaped)
{
    buf_addc(to, '"');
    for (size_t i = 0; i < s.n; i++)
        add_char(to, s.p[i], escaped);
    buf_addc(to, '"');
}

static void begin_value(struct json_writer *j)
{
    if (j->comma)
        buf_addc(j->to, ',');
    j->comma = true;
}

static void begin_member(struct json_writer *j, struct str key)
{
    begin_value(j);
    add_quoted(j->to, key, false);
    buf_addc(j->to, ':');
}

static void begin(struct json_writer *j, const char *key)
{
    if (key)
        begin_member(j, str_of(key));
    else
        begin_value(j);
}

void json_put_object(struct json_writer *j, const char *key)
{
    begin(j, key);
    buf_addc(j->to, '{');
    j->comma = false;
}

void json_put_array(struct json_writer *j, const char *key)
{
    begin(j, key);
    buf_addc(j->to, '[');
    j->comma = false;
}

void json_end_object(struct json_writer *j)
{
    buf_addc(j->to, '}');
    j->comma = true;
}

void json_end_array(struct json_writer *j)
{
    buf_addc(j->to, ']');
    j->comma = true;
}

void json_put_u64(struct json_writer *j, const char *key, uint64_t v)
{
    begin(j, key);
    buf_addu(j->to, v);
}

void json_put_i64(struct json_writer *j, const char *key, int64_t v)
{
    begin(j, key);
    if (v < 0)
        buf_addc(j->to, '-');
    buf_addu(j->to, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void json_put_f64(struct json_writer *j, const char *key, double v)
{
    begin(j, key);
    if (isfinite(v))
        buf_addd(j->to, v);
    else
        buf_adds(j->to, "null");
}

void json_put_bool(struct json_writer *j, const char *key, bool v)
{
    begin(j, key);
    buf_adds(j->to, v ? "true" : "false");
}

void json_put_null(struct json_writer *j, const char *key)
{
    begin(j, key);
    buf_adds(j->to, "null");
}

void json_put_str(struct json_writer *j, const char *key, struct str s)
{
    begin(j, key);
    add_quoted(j->to, s, false);
}

void json_put_text(struct json_writer *j, const char *key, const char *z)
{
    if (z)
        json_put_str(j, key, str_of(z));
    else
        json_put_null(j, key);
}

void json_put_escaped(struct json_writer *j, struct str key, struct str value)
{
    begin_member(j, key);
    add_quoted(j->to, value, true);
}
