#include "mcp/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "model/text.h"

/* Which container of a message we are in. */
enum place {
    NOWHERE,
    BATCH,
    ROOT,
    PARAMS,
    PARAMS_META,
    CLIENT_INFO,
    RESULT,
    RESULT_META,
    SERVER_INFO,
    TOOLS,
    ERROR,
};

enum field_kind { IS_TEXT, IS_ID, IS_TRUE, IS_CODE, IS_PLACE };

struct envelope_field {
    enum place in;
    const char *key;
    enum field_kind kind;
    size_t at;     /* IS_TEXT, IS_ID: offset in struct mcp_message */
    size_t room;   /* IS_TEXT: without the NUL */
    enum place to; /* IS_PLACE */
};

#define TEXT(place, key, member)                                                                   \
    {                                                                                              \
        place, key, IS_TEXT, offsetof(struct mcp_message, member),                                 \
            sizeof((struct mcp_message *)0)->member - 1, NOWHERE                                   \
    }
#define ID(place, key, member)                                                                     \
    {                                                                                              \
        place, key, IS_ID, offsetof(struct mcp_message, member), 0, NOWHERE                        \
    }
#define INTO(place, key, to)                                                                       \
    {                                                                                              \
        place, key, IS_PLACE, 0, 0, to                                                             \
    }

/* Everything that is looked for; nothing else of a message is kept. */
static const struct envelope_field fields[] = {
    ID(ROOT, "id", id),
    TEXT(ROOT, "method", method),
    INTO(ROOT, "params", PARAMS),
    INTO(ROOT, "result", RESULT),
    INTO(ROOT, "error", ERROR),
    TEXT(PARAMS, "name", name),
    TEXT(PARAMS, "uri", uri),
    TEXT(PARAMS, "protocolVersion", protocol_version),
    ID(PARAMS, "requestId", request_id),
    INTO(PARAMS, "_meta", PARAMS_META),
    INTO(PARAMS, "clientInfo", CLIENT_INFO),
    TEXT(PARAMS_META, "traceparent", traceparent),
    TEXT(PARAMS_META, "tracestate", tracestate),
    TEXT(PARAMS_META, "io.modelcontextprotocol/protocolVersion", protocol_version),
    INTO(PARAMS_META, "io.modelcontextprotocol/clientInfo", CLIENT_INFO),
    TEXT(CLIENT_INFO, "name", peer_name),
    TEXT(CLIENT_INFO, "version", peer_version),
    {RESULT, "isError", IS_TRUE, offsetof(struct mcp_message, is_error), 0, NOWHERE},
    TEXT(RESULT, "resultType", result_type),
    TEXT(RESULT, "protocolVersion", protocol_version),
    INTO(RESULT, "serverInfo", SERVER_INFO),
    INTO(RESULT, "tools", TOOLS),
    INTO(RESULT, "_meta", RESULT_META),
    INTO(RESULT_META, "io.modelcontextprotocol/serverInfo", SERVER_INFO),
    TEXT(SERVER_INFO, "name", peer_name),
    TEXT(SERVER_INFO, "version", peer_version),
    {ERROR, "code", IS_CODE, 0, 0, NOWHERE},
    TEXT(ERROR, "message", error_message),
};

static void *member(struct envelope *e, size_t at)
{
    return (char *)&e->message + at;
}

static enum place place_at(const struct envelope *e, unsigned depth)
{
    return depth >= 1 && depth <= ENVELOPE_LEVELS ? e->place[depth - 1] : NOWHERE;
}

static const struct envelope_field *find_field(enum place in, struct str key)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].in == in && str_eq(str_of(fields[i].key), key))
            return &fields[i];
    return NULL;
}

/* ---- the message in hand ---- */

static void begin_message(struct envelope *e)
{
    struct mcp_message *m = &e->message;
    m->id = m->request_id = (struct mcp_id){.type = MCP_ID_NONE};
    m->has_result = m->has_error = false;
    m->is_error = m->has_code = m->has_tools = false;
    m->code = 0;
    m->tools = 0;
    m->result_bytes = 0;
#define X(text, size) m->text[0] = 0;
    MCP_TEXT_TABLE(X)
#undef X
    e->open = true;
}

/* Lenient where receivers are: `"error": null` is no error. */
static enum mcp_kind kind_of(const struct mcp_message *m)
{
    bool id = m->id.type == MCP_ID_NUMBER || m->id.type == MCP_ID_STRING;
    if (m->id.type == MCP_ID_BAD)
        return MCP_INVALID;
    if (m->method[0]) {
        if (m->has_result || m->has_error)
            return MCP_INVALID;
        return id ? MCP_REQUEST : m->id.type == MCP_ID_NONE ? MCP_NOTIFICATION : MCP_INVALID;
    }
    if (m->has_error)
        return MCP_ERROR; /* the id of an answer to what could not be read is null or absent */
    return id && m->has_result ? MCP_RESULT : MCP_INVALID;
}

/* Bytes of the character at p, 0 when there is no good one. */
static size_t character(const char *p, size_t n)
{
    for (size_t k = 1; k <= 4 && k <= n; k++)
        if (text_utf8((struct str){p, k}))
            return k;
    return 0;
}

/* Makes a text valid in place: a bad byte or NUL becomes U+FFFD where there is
 * room for it, '?' where there is not. Returns the new size. */
static size_t repair(char *p, size_t n, size_t room)
{
    size_t i = 0;
    while (i < n) {
        size_t good = character(p + i, n - i);
        if (good) {
            i += good;
        } else if (n + 2 <= room) {
            memmove(p + i + 3, p + i + 1, n - i - 1);
            memcpy(p + i, "\xEF\xBF\xBD", 3);
            n += 2;
            i += 3;
        } else {
            p[i++] = '?';
        }
    }
    return n;
}

/* The size without the first part of a character that the cut went through. */
static size_t whole_characters(const char *p, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++)
        if ((unsigned char)p[n - back] >= 0xC0)
            return character(p + n - back, back) ? n : n - back;
    return n;
}

static void end_text(struct capture *c)
{
    size_t n = c->n == c->room ? whole_characters(c->to, c->n) : c->n;
    if (!text_utf8((struct str){c->to, n}))
        n = repair(c->to, n, c->room);
    c->to[n] = 0;
}

static void end_id(struct envelope *e)
{
    end_text(&e->capture);
    if (e->id->type == MCP_ID_BAD && strcmp(e->id->text, "null") == 0)
        e->id->type = MCP_ID_NULL;
}

/* error.code as an integer; a fraction or an exponent is no code. */
static void end_code(struct envelope *e)
{
    char *end;
    long long code = strtoll(e->scalar, &end, 10);
    e->message.has_code = *end == 0 && e->capture.n < e->capture.room;
    e->message.code = code;
}

/* ---- what the automaton tells ---- */

static void capture(struct envelope *e, char *to, size_t room)
{
    to[0] = 0;
    e->capture = (struct capture){.to = to, .room = (uint16_t)room};
}

static bool begin_id(struct envelope *e, struct mcp_id *id, enum json_scalar kind)
{
    /* FNV-1a's offset basis; the hash is continued byte by byte, in any split. */
    *id = (struct mcp_id){.hash = UINT64_C(0xcbf29ce484222325)};
    id->type = kind == JSON_STRING   ? MCP_ID_STRING
               : kind == JSON_NUMBER ? MCP_ID_NUMBER
                                     : MCP_ID_BAD;
    e->id = id;
    capture(e, id->text, MCP_ID_TEXT);
    return true;
}

static bool begin_field(struct envelope *e, enum json_scalar kind)
{
    const struct envelope_field *f = e->field;
    switch (f->kind) {
    case IS_TEXT:
        *(char *)member(e, f->at) = 0;
        if (kind != JSON_STRING)
            return false;
        capture(e, member(e, f->at), f->room);
        return true;
    case IS_ID:
        return begin_id(e, member(e, f->at), kind);
    case IS_TRUE:
        *(bool *)member(e, f->at) = false;
        capture(e, e->scalar, ENVELOPE_KEY);
        return kind == JSON_LITERAL;
    case IS_CODE:
        e->message.has_code = false;
        capture(e, e->scalar, ENVELOPE_KEY);
        return kind == JSON_NUMBER;
    case IS_PLACE:
        break;
    }
    return false;
}

/* A result counts, whatever its value is. */
static void note_result(struct envelope *e)
{
    e->message.has_result |= e->field && e->field->kind == IS_PLACE && e->field->to == RESULT;
}

static void count_tool(struct envelope *e, enum place in)
{
    if (in == TOOLS)
        e->message.tools++;
}

static bool on_begin(void *arg, enum json_scalar kind, unsigned depth)
{
    struct envelope *e = arg;
    enum place in = place_at(e, depth);
    e->id = NULL;
    if (in == NOWHERE || in == BATCH)
        return false;
    if (kind == JSON_KEY) {
        e->field = NULL;
        capture(e, e->scalar, ENVELOPE_KEY);
        return true;
    }
    count_tool(e, in);
    note_result(e);
    return e->field && begin_field(e, kind);
}

static void on_text(void *arg, const char *p, size_t n)
{
    struct envelope *e = arg;
    struct capture *c = &e->capture;
    size_t take = n < (size_t)(c->room - c->n) ? n : (size_t)(c->room - c->n);
    memcpy(c->to + c->n, p, take);
    c->n = (uint16_t)(c->n + take);
    if (!e->id)
        return;
    e->id->size += (uint32_t)n;
    for (size_t i = 0; i < n; i++)
        e->id->hash = (e->id->hash ^ (unsigned char)p[i]) * UINT64_C(0x100000001b3);
}

static void on_end(void *arg)
{
    struct envelope *e = arg;
    const struct envelope_field *f = e->field;
    if (!f) { /* a key */
        e->field = find_field(place_at(e, e->json.depth), (struct str){e->scalar, e->capture.n});
        return;
    }
    e->field = NULL;
    e->capture.to[e->capture.n] = 0;
    if (f->kind == IS_TEXT)
        end_text(&e->capture);
    else if (f->kind == IS_ID)
        end_id(e);
    else if (f->kind == IS_TRUE)
        *(bool *)member(e, f->at) = strcmp(e->scalar, "true") == 0;
    else
        end_code(e);
}

static enum place place_of(struct envelope *e, bool object, unsigned depth)
{
    enum place in = place_at(e, depth);
    if (depth == 0 && !object) {
        e->batch = true;
        return BATCH;
    }
    if (depth == 0 || in == BATCH) {
        if (object)
            begin_message(e);
        return object ? ROOT : NOWHERE;
    }
    count_tool(e, in);
    note_result(e);
    const struct envelope_field *f = e->field;
    if (!f)
        return NOWHERE;
    if (f->kind == IS_ID) /* an id that is an object or array */
        ((struct mcp_id *)member(e, f->at))->type = MCP_ID_BAD;
    bool fits = f->kind == IS_PLACE && (f->to == TOOLS) != object;
    return fits ? f->to : NOWHERE;
}

static void on_open(void *arg, bool object, unsigned depth, uint64_t offset)
{
    struct envelope *e = arg;
    enum place to = place_of(e, object, depth);
    e->field = NULL;
    if (to == RESULT)
        e->result_from = offset;
    e->message.has_error |= to == ERROR;
    if (to == TOOLS) {
        e->message.has_tools = true;
        e->message.tools = 0;
    }
    if (depth < ENVELOPE_LEVELS)
        e->place[depth] = (uint8_t)to;
}

static void message_ended(struct envelope *e)
{
    e->open = false;
    e->message.kind = kind_of(&e->message);
    e->complete(e->arg, &e->message);
}

static void on_close(void *arg, unsigned depth, uint64_t offset)
{
    struct envelope *e = arg;
    enum place was = place_at(e, depth + 1);
    if (was == RESULT)
        e->message.result_bytes = offset + 1 - e->result_from;
    if (was == ROOT && e->batch)
        message_ended(e);
    e->field = NULL;
}

static const struct json_listener listener = {
    .open = on_open,
    .close = on_close,
    .begin = on_begin,
    .text = on_text,
    .end = on_end,
};

void envelope_init(struct envelope *e, void (*complete)(void *arg, const struct mcp_message *m),
                   void *arg)
{
    *e = (struct envelope){.complete = complete, .arg = arg};
    json_init(&e->json, &listener, e);
}

void envelope_reset(struct envelope *e)
{
    json_reset(&e->json);
    e->batch = e->open = false;
    e->field = NULL;
    e->id = NULL;
}

bool envelope_feed(struct envelope *e, const char *p, size_t n)
{
    return json_feed(&e->json, p, n);
}

bool envelope_finish(struct envelope *e)
{
    if (!json_finish(&e->json))
        return false;
    if (e->batch)
        return true;
    if (!e->open)
        begin_message(e); /* a bare string or number: JSON, but no message */
    message_ended(e);
    return true;
}

bool envelope_blank(const struct envelope *e)
{
    return json_blank(&e->json);
}
