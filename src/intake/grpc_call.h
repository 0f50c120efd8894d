/* grpc_call: one request of a gRPC connection: what its headers ask for, and its
 * answer as HTTP/2 frames. Floor 4. No I/O. */
#ifndef MCPTALLY_INTAKE_GRPC_CALL_H
#define MCPTALLY_INTAKE_GRPC_CALL_H

#include <nghttp2/nghttp2.h>

#include "intake/otlp_intake.h"
#include "otlp/grpc.h"
#include "serve/access.h"

enum grpc_method {
    METHOD_TRACES = OTLP_TRACES,
    METHOD_METRICS = OTLP_METRICS,
    METHOD_LOGS = OTLP_LOGS,
    METHOD_HEALTH,
    METHOD_UNKNOWN,
};

enum grpc_call_state {
    CALL_HEAD,     /* the header block has begun */
    CALL_BODY,     /* its message is being gathered */
    CALL_WORKING,  /* the message is in line or being applied: `job` */
    CALL_ANSWERED, /* the answer is nghttp2's; what still comes is thrown away */
};

enum grpc_encoding { GRPC_IDENTITY, GRPC_GZIP, GRPC_OTHER };

struct grpc_call {
    TAILQ_ENTRY(grpc_call) link;
    struct grpc_session *session;
    int32_t id;
    enum grpc_call_state state;
    uint64_t since;    /* mono ns */
    uint64_t deadline; /* likewise; 0: none */
    uint64_t caller;   /* the caller's own, from grpc-timeout */
    size_t header_bytes;
    bool posted, grpc_type; /* :method POST, content-type application/grpc */
    bool bad_timeout;
    char *authorization; /* the header, until it is judged; NULL: none */
    bool asking;         /* who it is from is being found out */
    bool ended;          /* all of it came meanwhile */
    struct access_wait who;
    enum grpc_method method;
    enum grpc_encoding encoding;
    uint64_t timeout; /* ns, from grpc-timeout; 0: none */
    struct grpc_message message;
    struct otlp_hold hold;
    size_t withheld; /* bytes taken of which the window is not given back */
    struct otlp_job *job;
    struct buf reply; /* what is left to send of it */
};

/* Takes a header of the request. */
void grpc_call_header(struct grpc_call *c, struct str name, struct str value);

/* Forgets what it says of who it is from. */
void grpc_call_forget(struct grpc_call *c);

/* Answers that are no gRPC: a status and nothing else. */
int grpc_answer_http(struct grpc_call *c, nghttp2_session *h2, const char *status);

/* An answer without a message; `retry` in ns, 0: no hint. */
int grpc_answer_status(struct grpc_call *c, nghttp2_session *h2, enum rpc_code code, struct str why,
                       uint64_t retry);

/* RPC_OK with the bytes of `reply`, which begin with room for GRPC_PREFIX. */
int grpc_answer_reply(struct grpc_call *c, nghttp2_session *h2);

/* The answer to Health/Check of a request message; RPC_OK fills c->reply. */
enum rpc_code grpc_health_check(struct grpc_call *c, struct str request, bool serving);

#endif
