#include "cli/recording.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/err.h"

enum { BYTES_MAX = 1 << 20 }; /* of one line's data */

static int complain(struct recording_reader *r, const char *what)
{
    snprintf(r->why, sizeof r->why, "line %u: %s", r->line, what);
    return -ERR_SYNTAX;
}

/* The next line as JSON: 1, 0 at the end, or an error. */
static int next_line(struct recording_reader *r, json_t **root)
{
    json_error_t error;
    errno = 0;
    ssize_t n = getline(&r->text, &r->size, r->file);
    if (n < 0)
        return ferror(r->file) || errno == ENOMEM ? -ERR_IO : 0;
    r->line++;
    *root = json_loadb(r->text, (size_t)n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    if (!*root)
        return complain(r, error.text);
    if (json_is_object(*root))
        return 1;
    json_decref(*root);
    return complain(r, "not an object");
}

static int read_first(struct recording_reader *r)
{
    json_t *root;
    int n = next_line(r, &root);
    if (n <= 0)
        return n < 0 ? n : complain(r, "empty");
    const char *what = json_string_value(json_object_get(root, "mcptally"));
    const char *service = json_string_value(json_object_get(root, "service"));
    if (!what || strcmp(what, "recording") != 0)
        n = complain(r, "not a recording of mcptally");
    else if (json_integer_value(json_object_get(root, "version")) != 1)
        n = complain(r, "a version of recordings that this program does not read");
    else
        snprintf(r->service, sizeof r->service, "%s", service ? service : "");
    json_decref(root);
    return n < 0 ? n : 0;
}

int recording_read_open(struct recording_reader *r, const char *path)
{
    *r = (struct recording_reader){.file = fopen(path, "re")};
    return r->file ? read_first(r) : -ERR_IO;
}

void recording_read_close(struct recording_reader *r)
{
    if (r->file)
        fclose(r->file);
    free(r->text);
    *r = (struct recording_reader){0};
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool add_base64(struct buf *to, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        unsigned pads = 0;
        uint32_t v = 0;
        if (n - i < 4)
            return false;
        for (size_t k = 0; k < 4; k++) {
            int digit = base64_digit(p[i + k]);
            pads += p[i + k] == '=';
            if (digit < 0 && (p[i + k] != '=' || k < 2 || i + 4 < n))
                return false;
            if (digit >= 0 && pads)
                return false;
            v = v << 6 | (digit < 0 ? 0 : (uint32_t)digit);
        }
        const char bytes[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};
        buf_add(to, bytes, 3 - pads);
    }
    return true;
}

static bool find_stream(const json_t *from, enum tee_stream *stream)
{
    static const char *const names[TEE_STREAMS] = {"client", "server", "stderr"};
    const char *name = json_string_value(from);
    for (unsigned s = 0; name && s < TEE_STREAMS; s++) {
        if (strcmp(names[s], name) == 0) {
            *stream = (enum tee_stream)s;
            return true;
        }
    }
    return false;
}

static const char *read_stream(const json_t *root, struct recorded *out)
{
    const json_t *text = json_object_get(root, "text"), *data = json_object_get(root, "base64");
    const json_t *lost = json_object_get(root, "lost");
    if (!find_stream(json_object_get(root, "from"), &out->stream))
        return "\"from\" is not client, server or stderr";
    if (json_is_true(json_object_get(root, "end"))) {
        out->kind = RECORDED_EOF;
    } else if (json_is_integer(lost) && json_integer_value(lost) >= 0) {
        out->kind = RECORDED_LOST;
        out->lost = (uint64_t)json_integer_value(lost);
    } else if (json_is_string(text)) {
        out->kind = RECORDED_DATA;
        buf_add(&out->bytes, json_string_value(text), json_string_length(text));
    } else if (json_is_string(data)) {
        out->kind = RECORDED_DATA;
        if (!add_base64(&out->bytes, json_string_value(data), json_string_length(data)))
            return "bad base64";
    } else {
        return "neither text, base64, lost nor end";
    }
    return out->bytes.failed ? "too large" : NULL;
}

static const char *read_entry(const json_t *root, struct recorded *out)
{
    const json_t *us = json_object_get(root, "us");
    const json_t *code = json_object_get(root, "exit"), *signal = json_object_get(root, "signal");
    if (!json_is_integer(us) || json_integer_value(us) < 0)
        return "\"us\" is no number of microseconds";
    out->time = (uint64_t)json_integer_value(us) * NS_PER_US;
    if (!code && !signal)
        return read_stream(root, out);
    json_int_t n = json_integer_value(code ? code : signal);
    if (n < 0 || n > (code ? 255 : 64))
        return "no exit status";
    out->kind = RECORDED_EXIT;
    out->status = code ? (int)n << 8 : (int)n;
    return NULL;
}

int recording_read(struct recording_reader *r, struct recorded *out)
{
    json_t *root;
    int n = next_line(r, &root);
    buf_reset(&out->bytes);
    if (n <= 0)
        return n;
    const char *wrong = read_entry(root, out);
    json_decref(root);
    return wrong ? complain(r, wrong) : 1;
}

void recorded_init(struct recorded *e)
{
    *e = (struct recorded){0};
    buf_init(&e->bytes, BYTES_MAX);
}

void recorded_fini(struct recorded *e)
{
    buf_fini(&e->bytes);
}
