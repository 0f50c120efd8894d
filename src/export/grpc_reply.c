#include "export/grpc_reply.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#include "export/setup.h"
#include "otlp/gzip.h"
#include "otlp/reply.h"

struct grpc_reply *grpc_reply_new(void)
{
    struct grpc_reply *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    buf_init(&r->text, GRPC_REPLY_TEXT);
    buf_init(&r->details, GRPC_REPLY_DETAILS);
    grpc_message_init(&r->message, EXPORT_REPLY);
    return r;
}

void grpc_reply_free(struct grpc_reply *r)
{
    if (!r)
        return;
    buf_fini(&r->text);
    buf_fini(&r->details);
    grpc_message_fini(&r->message);
    free(r);
}

/* ---- gathering ---- */

/* At most three digits; anything else is a code that there is not. */
static unsigned number(struct str text, unsigned otherwise)
{
    unsigned v = 0;
    if (text.n == 0 || text.n > 3)
        return otherwise;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return otherwise;
        v = v * 10 + (unsigned)(text.p[i] - '0');
    }
    return v;
}

static void keep(struct buf *to, struct str value)
{
    buf_reset(to);
    buf_addstr(to, value);
}

static bool is_grpc(struct str type)
{
    static const struct str grpc = {"application/grpc", 16};
    return type.n >= grpc.n && memcmp(type.p, grpc.p, grpc.n) == 0 &&
           (type.n == grpc.n || type.p[grpc.n] == '+' || type.p[grpc.n] == ';');
}

void grpc_reply_field(struct grpc_reply *r, struct str name, struct str value)
{
    r->headers += name.n + value.n;
    if (r->headers > EXPORT_HEADERS)
        return;
    if (str_eq(name, STR(":status"))) {
        r->http = number(value, 0);
    } else if (str_eq(name, STR("content-type"))) {
        r->typed = is_grpc(value);
    } else if (str_eq(name, STR("grpc-encoding"))) {
        r->gzip = str_eq(value, STR("gzip"));
    } else if (str_eq(name, STR("grpc-status"))) {
        r->ended = true;
        r->code = number(value, RPC_UNKNOWN);
    } else if (str_eq(name, STR("grpc-message"))) {
        keep(&r->text, value);
    } else if (str_eq(name, STR("grpc-status-details-bin"))) {
        keep(&r->details, value);
    }
}

int grpc_reply_data(struct grpc_reply *r, struct str bytes)
{
    /* The page of a proxy, say, of which the status is all that counts. */
    if (!r->typed)
        return 0;
    const int e = grpc_message_feed(&r->message, (const uint8_t *)bytes.p, bytes.n);
    return e < 0 ? e : 0;
}

/* ---- judging ---- */

/* gRPC's table for answers that have no grpc-status: whoever made them speaks none. */
static enum rpc_code code_of_http(unsigned status)
{
    switch (status) {
    case 400:
        return RPC_INTERNAL;
    case 401:
        return RPC_UNAUTHENTICATED;
    case 403:
        return RPC_PERMISSION_DENIED;
    case 404:
        return RPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return RPC_UNAVAILABLE;
    default:
        return RPC_UNKNOWN;
    }
}

static void without_status(const struct grpc_reply *r, struct call *c)
{
    char why[80];
    const enum rpc_code code = code_of_http(r->http);
    snprintf(why, sizeof why, "HTTP status %u%s and no grpc-status", r->http,
             r->typed ? "" : ", not application/grpc");
    call_outcome(c, true, code, outcome_of_grpc(code, false), str_of(why));
}

/* The message's bytes, inflated into `room` when they are compressed. Empty: unreadable. */
static struct str message_of(struct grpc_reply *r, struct buf *room)
{
    struct inflate z;
    int e = 1;
    if (!r->message.compressed)
        return buf_str(&r->message.bytes);
    if (!r->gzip || inflate_begin(&z, buf_str(&r->message.bytes)) < 0)
        return (struct str){0};
    while (e == 1)
        e = inflate_step(&z, room, EXPORT_REPLY);
    inflate_end(&z);
    return e < 0 ? (struct str){0} : buf_str(room);
}

/* Taken. What cannot be read of the reply does not make it less so. */
static void taken(struct grpc_reply *r, struct call *c)
{
    uint64_t rejected = 0;
    struct str text = {0};
    struct buf room;
    buf_init(&room, EXPORT_REPLY);
    if (otlp_reply_read(message_of(r, &room), &rejected, &text) < 0) {
        rejected = 0;
        text = STR("the reply cannot be read");
    }
    call_outcome(c, true, RPC_OK, OUTCOME_OK, text);
    c->outcome.rejected = rejected;
    buf_fini(&room);
}

static void failed(struct grpc_reply *r, struct call *c)
{
    struct otlp_status s = {0};
    struct buf text, details;
    buf_init(&text, GRPC_REPLY_TEXT);
    buf_init(&details, GRPC_REPLY_DETAILS);
    if (r->details.n && (grpc_base64_read(&details, buf_str(&r->details)) < 0 ||
                         otlp_status_read(buf_str(&details), &s) < 0))
        s = (struct otlp_status){0};
    grpc_unpercent(&text, buf_str(&r->text));
    const unsigned code = r->code <= RPC_UNAUTHENTICATED ? r->code : RPC_UNKNOWN;
    call_outcome(c, true, code, outcome_of_grpc(code, s.has_retry),
                 text.n ? buf_str(&text) : s.message);
    c->outcome.after = s.has_retry ? s.retry : 0;
    buf_fini(&text);
    buf_fini(&details);
}

void grpc_reply_outcome(struct grpc_reply *r, struct call *c)
{
    if (!r->ended)
        without_status(r, c);
    else if (r->code == RPC_OK)
        taken(r, c);
    else
        failed(r, c);
}

void grpc_reply_bad(struct call *c, int error)
{
    if (error == -ERR_RANGE)
        call_outcome(c, true, RPC_RESOURCE_EXHAUSTED, OUTCOME_REFUSED,
                     STR("the collector's reply is too large"));
    else
        call_outcome(c, true, RPC_INTERNAL, OUTCOME_REFUSED,
                     STR("the collector's reply is no gRPC message"));
}

/* gRPC's table. A collector that wants calm says that it is busy, not that the request is
 * too large, which is what makes RESOURCE_EXHAUSTED final elsewhere. */
static enum rpc_code code_of_reset(unsigned error)
{
    switch (error) {
    case NGHTTP2_NO_ERROR:
    case NGHTTP2_PROTOCOL_ERROR:
    case NGHTTP2_INTERNAL_ERROR:
    case NGHTTP2_FLOW_CONTROL_ERROR:
    case NGHTTP2_SETTINGS_TIMEOUT:
    case NGHTTP2_FRAME_SIZE_ERROR:
    case NGHTTP2_COMPRESSION_ERROR:
    case NGHTTP2_CONNECT_ERROR:
        return RPC_INTERNAL;
    case NGHTTP2_REFUSED_STREAM:
        return RPC_UNAVAILABLE;
    case NGHTTP2_CANCEL:
        return RPC_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return RPC_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return RPC_PERMISSION_DENIED;
    default:
        return RPC_UNKNOWN;
    }
}

void grpc_reply_reset(struct call *c, unsigned error)
{
    char why[80];
    const enum rpc_code code = code_of_reset(error);
    snprintf(why, sizeof why, "the stream was reset: %s", nghttp2_http2_strerror(error));
    call_outcome(c, true, code, outcome_of_grpc(code, error == NGHTTP2_ENHANCE_YOUR_CALM),
                 str_of(why));
}
