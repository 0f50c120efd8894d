#include "intake/grpc_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/text.h"

enum { AUTHORIZATION_MAX = 2048 }; /* no user's name and password are longer */
enum { HEADER_OVERHEAD = 32 /* RFC 9113, 6.5.2 */, TEXT_MAX = 4096, PERCENT_MAX = 1024 };

/* ---- the request ---- */

static const struct {
    const char *path;
    enum grpc_method method;
} methods[] = {
    {"/opentelemetry.proto.collector.trace.v1.TraceService/Export", METHOD_TRACES},
    {"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", METHOD_METRICS},
    {"/opentelemetry.proto.collector.logs.v1.LogsService/Export", METHOD_LOGS},
    {"/grpc.health.v1.Health/Check", METHOD_HEALTH},
};

enum { METHODS = sizeof methods / sizeof *methods };

static enum grpc_method method_of(struct str path)
{
    for (size_t i = 0; i < METHODS; i++)
        if (str_eq(path, str_of(methods[i].path)))
            return methods[i].method;
    return METHOD_UNKNOWN;
}

static bool is_grpc(struct str type)
{
    const struct str grpc = STR("application/grpc");
    if (type.n < grpc.n || memcmp(type.p, grpc.p, grpc.n) != 0)
        return false;
    const struct str rest = {type.p + grpc.n, type.n - grpc.n};
    return rest.n == 0 || rest.p[0] == ';' ||
           (rest.n >= 6 && memcmp(rest.p, "+proto", 6) == 0 && (rest.n == 6 || rest.p[6] == ';'));
}

static enum grpc_encoding encoding_of(struct str name)
{
    if (str_eq(name, STR("identity")))
        return GRPC_IDENTITY;
    return str_eq(name, STR("gzip")) ? GRPC_GZIP : GRPC_OTHER;
}

void grpc_call_forget(struct grpc_call *c)
{
    if (c->authorization)
        explicit_bzero(c->authorization, strlen(c->authorization));
    free(c->authorization);
    c->authorization = NULL;
}

static void keep_authorization(struct grpc_call *c, struct str value)
{
    grpc_call_forget(c);
    c->authorization = strndup(value.p, value.n);
}

void grpc_call_header(struct grpc_call *c, struct str name, struct str value)
{
    c->header_bytes += name.n + value.n + HEADER_OVERHEAD;
    if (str_eq(name, STR(":method")))
        c->posted = str_eq(value, STR("POST"));
    else if (str_eq(name, STR(":path")))
        c->method = method_of(value);
    else if (str_eq(name, STR("content-type")))
        c->grpc_type = is_grpc(value);
    else if (str_eq(name, STR("grpc-encoding")))
        c->encoding = encoding_of(value);
    else if (str_eq(name, STR("authorization")) && value.n < AUTHORIZATION_MAX)
        keep_authorization(c, value);
    else if (str_eq(name, STR("grpc-timeout")))
        c->bad_timeout = !grpc_timeout_read(value, &c->timeout);
}

/* ---- the answer ---- */

static nghttp2_nv header(const char *name, struct str value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value.p,
                        .namelen = strlen(name),
                        .valuelen = value.n};
}

int grpc_answer_http(struct grpc_call *c, nghttp2_session *h2, const char *status)
{
    const nghttp2_nv nv[] = {header(":status", str_of(status)), header("allow", STR("POST"))};
    c->state = CALL_ANSWERED;
    return nghttp2_submit_response(h2, c->id, nv, strcmp(status, "405") == 0 ? 2 : 1, NULL);
}

/* google.rpc.Status with RetryInfo, as grpc-status-details-bin wants it. */
static void add_details(struct buf *to, enum rpc_code code, struct str why, uint64_t retry)
{
    struct buf status;
    buf_init(&status, TEXT_MAX);
    otlp_status(&status, false, code, why, retry);
    if (!status.failed)
        grpc_base64(to, buf_str(&status));
    buf_fini(&status);
}

int grpc_answer_status(struct grpc_call *c, nghttp2_session *h2, enum rpc_code code, struct str why,
                       uint64_t retry)
{
    char number[12];
    struct buf text, details;
    nghttp2_nv nv[6];
    size_t n = 0;
    const struct str cut = text_cut(why, PERCENT_MAX);
    buf_init(&text, TEXT_MAX);
    buf_init(&details, 2 * TEXT_MAX);
    grpc_percent(&text, cut);
    if (retry)
        add_details(&details, code, cut, retry);
    nv[n++] = header(":status", STR("200"));
    nv[n++] = header("content-type", STR("application/grpc"));
    nv[n++] = header("grpc-status",
                     (struct str){number, (size_t)snprintf(number, sizeof number, "%d", code)});
    nv[n++] = header("grpc-message", buf_str(&text));
    if (details.n && !details.failed)
        nv[n++] = header("grpc-status-details-bin", buf_str(&details));
    if (code == RPC_UNIMPLEMENTED)
        nv[n++] = header("grpc-accept-encoding", STR("identity,gzip"));
    c->state = CALL_ANSWERED;
    const int r = nghttp2_submit_response(h2, c->id, nv, n, NULL);
    buf_fini(&text);
    buf_fini(&details);
    return r;
}

static ssize_t read_reply(nghttp2_session *h2, int32_t id, uint8_t *to, size_t size,
                          uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct buf *reply = source->ptr;
    const size_t n = reply->n < size ? reply->n : size;
    const nghttp2_nv nv[] = {header("grpc-status", STR("0"))};
    (void)arg;
    memcpy(to, reply->p, n);
    buf_drop(reply, n);
    if (reply->n)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return nghttp2_submit_trailer(h2, id, nv, 1) == 0 ? (ssize_t)n : NGHTTP2_ERR_CALLBACK_FAILURE;
}

int grpc_answer_reply(struct grpc_call *c, nghttp2_session *h2)
{
    const nghttp2_nv nv[] = {
        header(":status", STR("200")),
        header("content-type", STR("application/grpc")),
        header("grpc-accept-encoding", STR("identity,gzip")),
    };
    nghttp2_data_provider source = {.source.ptr = &c->reply, .read_callback = read_reply};
    uint8_t prefix[GRPC_PREFIX];
    grpc_prefix(prefix, false, (uint32_t)(c->reply.n - GRPC_PREFIX));
    memcpy(c->reply.p, prefix, sizeof prefix);
    c->state = CALL_ANSWERED;
    return nghttp2_submit_response(h2, c->id, nv, sizeof nv / sizeof *nv, &source);
}

/* ---- health ---- */

/* HealthCheckRequest{1: service}; false when it is something else. */
static bool read_service(struct str request, struct str *service)
{
    *service = STR("");
    if (request.n == 0)
        return true;
    if (request.n < 2 || request.p[0] != 0x0a || (uint8_t)request.p[1] != request.n - 2)
        return false;
    *service = (struct str){request.p + 2, request.n - 2};
    return request.n - 2 < 0x80;
}

/* The service of "/service/Method". */
static bool is_served(struct str service)
{
    for (size_t i = 0; i < METHODS; i++) {
        const char *name = methods[i].path + 1;
        if (str_eq(service, (struct str){name, strcspn(name, "/")}))
            return true;
    }
    return service.n == 0;
}

enum rpc_code grpc_health_check(struct grpc_call *c, struct str request, bool serving)
{
    /* HealthCheckResponse{1: status}: SERVING 1, NOT_SERVING 2 */
    const uint8_t reply[GRPC_PREFIX + 2] = {[GRPC_PREFIX] = 0x08, serving ? 1 : 2};
    struct str service;
    if (!read_service(request, &service))
        return RPC_INVALID_ARGUMENT;
    if (!is_served(service))
        return RPC_NOT_FOUND;
    buf_reset(&c->reply);
    buf_add(&c->reply, reply, sizeof reply);
    return c->reply.failed ? RPC_UNAVAILABLE : RPC_OK;
}
