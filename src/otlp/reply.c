#include "otlp/reply.h"

#include "model/text.h"
#include "otlp/field.h"
#include "otlp/put.h"
#include "otlp/value.h"

enum { MESSAGE_MAX = 4096 }; /* bytes of an error message in JSON */

static const uint64_t second = UINT64_C(1000000000);

const char *rpc_code_name(unsigned code)
{
    static const char *const names[] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };
    return names[code < sizeof names / sizeof *names ? code : RPC_UNKNOWN];
}

static void reply_json(struct buf *to, enum otlp_signal signal, uint64_t rejected,
                       struct str message)
{
    static const char *const names[OTLP_SIGNALS] = {"rejectedSpans", "rejectedDataPoints",
                                                    "rejectedLogRecords"};
    if (rejected == 0 && message.n == 0) {
        buf_adds(to, "{}");
        return;
    }
    buf_addf(to, "{\"partialSuccess\":{\"%s\":\"", names[signal]);
    buf_addu(to, rejected);
    buf_adds(to, "\",\"errorMessage\":");
    value_json_text(to, message, to->n + MESSAGE_MAX);
    buf_adds(to, "}}");
}

void otlp_reply(struct buf *to, enum otlp_signal signal, bool json, uint64_t rejected,
                struct str message)
{
    if (json) {
        reply_json(to, signal, rejected, message);
        return;
    }
    if (rejected == 0 && message.n == 0)
        return;
    const size_t at = put_open(to, 1);
    put_uint(to, 1, rejected);
    put_text(to, 2, message);
    put_close_tight(to, at);
}

static int read_partial(struct str bytes, uint64_t *rejected, struct str *message)
{
    struct fields r = fields_of(bytes);
    struct field f;
    while (fields_next(&r, &f)) {
        if (f.tag == FIELD(1, VARINT))
            *rejected = f.v > INT64_MAX ? 0 : f.v; /* an int64: fewer than none is none */
        else if (f.tag == FIELD(2, BYTES))
            value_check(&r, value_text(f.s, f.s.n, message));
        else
            fields_unknown(&r, &f, FIELDS_TO(2));
    }
    return r.err;
}

int otlp_reply_read(struct str bytes, uint64_t *rejected, struct str *message)
{
    struct fields r = fields_of(bytes);
    struct field f;
    *rejected = 0;
    *message = (struct str){NULL, 0};
    while (fields_next(&r, &f)) {
        if (f.tag == FIELD(1, BYTES))
            value_check(&r, read_partial(f.s, rejected, message));
        else
            fields_unknown(&r, &f, FIELDS_TO(1));
    }
    return r.err != 0 ? -ERR_SYNTAX : 0;
}

/* ---- google.rpc.Status ---- */

#define RETRY_TYPE "type.googleapis.com/google.rpc.RetryInfo"

static void status_json(struct buf *to, enum rpc_code code, struct str message, uint64_t retry)
{
    buf_addf(to, "{\"code\":%u,\"message\":", code);
    value_json_text(to, message, to->n + MESSAGE_MAX);
    if (retry > 0)
        buf_addf(to,
                 ",\"details\":[{\"@type\":\"" RETRY_TYPE "\",\"retryDelay\":\"%llu.%09llus\"}]",
                 (unsigned long long)(retry / second), (unsigned long long)(retry % second));
    buf_addc(to, '}');
}

static void put_retry(struct buf *to, uint64_t retry)
{
    const size_t any = put_open(to, 3);
    put_text(to, 1, STR(RETRY_TYPE));
    const size_t info = put_open(to, 2);
    const size_t delay = put_open(to, 1);
    put_uint(to, 1, retry / second);
    put_uint(to, 2, retry % second);
    put_close_tight(to, delay);
    put_close_tight(to, info);
    put_close_tight(to, any);
}

void otlp_status(struct buf *to, bool json, enum rpc_code code, struct str message, uint64_t retry)
{
    if (json) {
        status_json(to, code, message, retry);
        return;
    }
    put_uint(to, 1, code);
    put_text(to, 2, message);
    if (retry > 0)
        put_retry(to, retry);
}

/* A Duration; a negative one is none. */
static int read_delay(struct str bytes, uint64_t *ns)
{
    struct fields r = fields_of(bytes);
    struct field f;
    int64_t seconds = 0, nanos = 0;
    while (fields_next(&r, &f)) {
        if (f.tag == FIELD(1, VARINT))
            seconds = (int64_t)f.v;
        else if (f.tag == FIELD(2, VARINT))
            nanos = (int32_t)f.v;
        else
            fields_unknown(&r, &f, FIELDS_TO(2));
    }
    *ns = 0;
    if (seconds < 0 || nanos < 0)
        return r.err;
    const uint64_t most = UINT64_MAX / second - 2; /* nanos are below 2^31: three seconds */
    *ns = ((uint64_t)seconds > most ? most - 1 : (uint64_t)seconds) * second + (uint64_t)nanos;
    return r.err;
}

static int read_retry(struct str bytes, struct otlp_status *out)
{
    struct fields r = fields_of(bytes);
    struct field f;
    out->has_retry = true;
    while (fields_next(&r, &f)) {
        if (f.tag == FIELD(1, BYTES))
            value_check(&r, read_delay(f.s, &out->retry));
        else
            fields_unknown(&r, &f, FIELDS_TO(1));
    }
    return r.err;
}

static int read_detail(struct str bytes, struct otlp_status *out)
{
    struct fields r = fields_of(bytes);
    struct field f;
    struct str type = {NULL, 0}, value = {NULL, 0};
    while (fields_next(&r, &f)) {
        if (f.tag == FIELD(1, BYTES))
            type = f.s;
        else if (f.tag == FIELD(2, BYTES))
            value = f.s;
        else
            fields_unknown(&r, &f, FIELDS_TO(2));
    }
    static const struct str name = {"google.rpc.RetryInfo", sizeof "google.rpc.RetryInfo" - 1};
    const bool is_retry = type.n > name.n && type.p[type.n - name.n - 1] == '/' &&
                          memcmp(type.p + type.n - name.n, name.p, name.n) == 0;
    return r.err != 0 || !is_retry ? r.err : read_retry(value, out);
}

int otlp_status_read(struct str bytes, struct otlp_status *out)
{
    struct fields r = fields_of(bytes);
    struct field f;
    *out = (struct otlp_status){.code = RPC_OK};
    while (fields_next(&r, &f)) {
        if (f.tag == FIELD(1, VARINT))
            out->code = f.v <= RPC_UNAUTHENTICATED ? (enum rpc_code)f.v : RPC_UNKNOWN;
        else if (f.tag == FIELD(2, BYTES))
            value_check(&r, value_text(f.s, f.s.n, &out->message));
        else if (f.tag == FIELD(3, BYTES))
            value_check(&r, read_detail(f.s, out));
        else
            fields_unknown(&r, &f, FIELDS_TO(3));
    }
    return r.err != 0 ? -ERR_SYNTAX : 0;
}
