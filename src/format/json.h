/* json: writes JSON text straight into a buffer. Floor 3.
 *
 * Nothing is allocated but in the buffer, whose bound bounds the document; a
 * buffer that is full shows in its `failed`. Commas are put by themselves. Inside
 * an object every value has a key; inside an array, and at the top, key is NULL. */
#ifndef MCPTALLY_FORMAT_JSON_H
#define MCPTALLY_FORMAT_JSON_H

#include "base/buf.h"
#include "base/clock.h"

struct json_writer {
    struct buf *to;
    bool comma; /* the next value needs one */
};

/* Members of an object that whoever makes the document adds; put NULL: none. */
struct json_more {
    void (*put)(void *arg, struct json_writer *j, struct when now);
    void *arg;
};

static inline struct json_writer json_begin(struct buf *to)
{
    return (struct json_writer){.to = to};
}

void json_put_object(struct json_writer *j, const char *key); /* opens one */
void json_put_array(struct json_writer *j, const char *key);
void json_end_object(struct json_writer *j);
void json_end_array(struct json_writer *j);

void json_put_u64(struct json_writer *j, const char *key, uint64_t v);
void json_put_i64(struct json_writer *j, const char *key, int64_t v);
void json_put_f64(struct json_writer *j, const char *key, double v); /* null when not finite */
void json_put_bool(struct json_writer *j, const char *key, bool v);
void json_put_null(struct json_writer *j, const char *key);

/* UTF-8 text; a NULL string is null. */
void json_put_str(struct json_writer *j, const char *key, struct str s);
void json_put_text(struct json_writer *j, const char *key, const char *z);

/* Text with Prometheus' escapes still in, which mean the same in JSON. */
void json_put_escaped(struct json_writer *j, struct str key, struct str value);

#endif
