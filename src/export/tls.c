#include "export/tls.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CERTIFICATES_A_TURN = 4, /* 0.2 ms each */
    CERTIFICATES_MAX = 2000,
};

enum part { PART_CA, PART_CERT, PART_KEY, PARTS };

enum state {
    TLS_EMPTY,   /* nothing is there and nobody asked */
    TLS_READING, /* the helper reads the file of `part` */
    TLS_PARSING, /* `bio` holds what is left of the file of `part` */
    TLS_READY,   /* `ctx` is whole */
    STATES
};

struct tls {
    struct event_base *base;
    struct helper *helper;
    char *path[PARTS]; /* NULL: none */
    bool skip_verify, stale;
    enum state state;
    enum part part;
    struct helper_call *asked;
    BIO *bio; /* reads from `bytes` */
    char *bytes;
    unsigned parsed; /* certificates of this part */
    SSL_CTX *ctx;    /* the newest whole one */
    SSL_CTX *making;
    struct event *turn;
    TAILQ_HEAD(, tls_waiter) waiters;
    char error[160];
};

static void set_state(struct tls *t, enum state to)
{
    static const bool may[STATES][STATES] = {
        [TLS_EMPTY] = {[TLS_READING] = true, [TLS_READY] = true}, /* READY: there is no file */
        [TLS_READING] = {[TLS_EMPTY] = true, [TLS_PARSING] = true},
        [TLS_PARSING] = {[TLS_EMPTY] = true, [TLS_READING] = true, [TLS_READY] = true},
        [TLS_READY] = {[TLS_READING] = true, [TLS_READY] = true},
    };
    assert(may[t->state][to]);
    t->state = to;
}

/* ---- the end of reading ---- */

static void drop_part(struct tls *t)
{
    BIO_free(t->bio);
    if (t->bytes && t->part == PART_KEY)
        OPENSSL_cleanse(t->bytes, strlen(t->bytes));
    free(t->bytes);
    t->bio = NULL;
    t->bytes = NULL;
}

static void tell(struct tls *t, const char *error)
{
    struct tls_waiter *w;
    while ((w = TAILQ_FIRST(&t->waiters))) {
        tls_forget(t, w);
        w->done(w->arg, error);
    }
}

static void fail(struct tls *t, const char *what)
{
    snprintf(t->error, sizeof t->error, "%s: %s", t->path[t->part], what);
    drop_part(t);
    SSL_CTX_free(t->making);
    t->making = NULL;
    ERR_clear_error();
    set_state(t, TLS_EMPTY);
    tell(t, t->error);
}

static void whole(struct tls *t)
{
    SSL_CTX_free(t->ctx);
    t->ctx = t->making;
    t->making = NULL;
    t->stale = false;
    set_state(t, TLS_READY);
    tell(t, NULL);
}

/* ---- parsing ---- */

/* No password: nobody is there to ask. */
static int no_password(char *to, int size, int writing, void *arg)
{
    (void)to;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

/* 1 and another may follow; 0 at the end; -1 for damage. */
static int parse_ca(struct tls *t)
{
    X509 *x = PEM_read_bio_X509_AUX(t->bio, NULL, no_password, NULL);
    if (!x) {
        const bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        ERR_clear_error();
        return end && t->parsed ? 0 : -1;
    }
    const bool added = X509_STORE_add_cert(SSL_CTX_get_cert_store(t->making), x) == 1;
    X509_free(x);
    return added && ++t->parsed < CERTIFICATES_MAX ? 1 : -1;
}

/* The first one is ours, the others lead to its issuer. */
static int parse_cert(struct tls *t)
{
    X509 *x = PEM_read_bio_X509_AUX(t->bio, NULL, no_password, NULL);
    if (!x) {
        const bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        ERR_clear_error();
        return end && t->parsed ? 0 : -1;
    }
    const bool added = t->parsed++ == 0 ? SSL_CTX_use_certificate(t->making, x) == 1
                                        : SSL_CTX_add1_chain_cert(t->making, x) == 1;
    X509_free(x);
    return added && t->parsed < CERTIFICATES_MAX ? 1 : -1;
}

static int parse_key(struct tls *t)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(t->bio, NULL, no_password, NULL);
    const bool good = key && SSL_CTX_use_PrivateKey(t->making, key) == 1 &&
                      SSL_CTX_check_private_key(t->making) == 1;
    EVP_PKEY_free(key);
    return good ? 0 : -1;
}

static int parse_one(struct tls *t)
{
    static int (*const parse[PARTS])(struct tls *) = {parse_ca, parse_cert, parse_key};
    return parse[t->part](t);
}

static void next_part(struct tls *t, enum part from);

static void wake(struct tls *t)
{
    static const struct timeval at_once = {0, 0};
    event_add(t->turn, &at_once);
}

static void parse_some(struct tls *t)
{
    int r = 1;
    for (int i = 0; r == 1 && i < CERTIFICATES_A_TURN; i++)
        r = parse_one(t);
    if (r == 1) {
        wake(t);
    } else if (r < 0) {
        fail(t, t->part == PART_KEY ? "no private key in PEM that fits the certificate"
                                    : "no certificates in PEM");
    } else {
        const enum part done = t->part;
        drop_part(t);
        next_part(t, done + 1);
    }
}

/* ---- reading ---- */

static void on_file(void *arg, int error, struct str bytes)
{
    struct tls *t = arg;
    t->asked = NULL;
    if (error || bytes.n > HELPER_FILE) {
        fail(t, err_help(error ? error : ERR_RANGE));
        return;
    }
    t->bytes = malloc(bytes.n + 1);
    if (t->bytes) {
        memcpy(t->bytes, bytes.p, bytes.n);
        t->bytes[bytes.n] = '\0';
        t->bio = BIO_new_mem_buf(t->bytes, (int)bytes.n);
    }
    if (!t->bio) {
        fail(t, err_help(ERR_NOMEM));
        return;
    }
    t->parsed = 0;
    set_state(t, TLS_PARSING);
    wake(t);
}

static void next_part(struct tls *t, enum part from)
{
    while (from < PARTS && !t->path[from])
        from++;
    if (from == PARTS) {
        whole(t);
        return;
    }
    t->part = from;
    set_state(t, TLS_READING);
    t->asked = helper_read_file(t->helper, t->path[from], on_file, t);
    if (!t->asked)
        fail(t, err_help(ERR_NOMEM));
}

static SSL_CTX *make_ctx(const struct tls *t)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        return NULL;
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_verify(ctx, t->skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    return ctx;
}

static void read_all(struct tls *t)
{
    t->making = make_ctx(t);
    t->part = t->path[PART_CA] ? PART_CA : PART_CERT;
    if (t->making) {
        next_part(t, PART_CA);
    } else {
        snprintf(t->error, sizeof t->error, "%s", err_help(ERR_NOMEM));
        tell(t, t->error);
    }
}

/* ---- what others ask ---- */

/* Nobody is told from inside the call that asked. */
static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct tls *t = arg;
    (void)fd;
    (void)what;
    if (t->state == TLS_PARSING)
        parse_some(t);
    else if (t->state != TLS_READING && !TAILQ_EMPTY(&t->waiters))
        read_all(t);
}

bool tls_want(struct tls *t, struct tls_waiter *w)
{
    assert(!w->waits);
    if (t->state == TLS_READY && !t->stale)
        return true;
    w->waits = true;
    TAILQ_INSERT_TAIL(&t->waiters, w, entry);
    if (t->state == TLS_EMPTY || t->state == TLS_READY)
        wake(t);
    return false;
}

void tls_forget(struct tls *t, struct tls_waiter *w)
{
    if (!w->waits)
        return;
    TAILQ_REMOVE(&t->waiters, w, entry);
    w->waits = false;
}

void tls_stale(struct tls *t)
{
    t->stale = true;
}

SSL *tls_session(struct tls *t, const char *host, bool literal, bool h2)
{
    static const unsigned char alpn_h2[] = "\x02h2", alpn_http[] = "\x08http/1.1";
    assert(t->ctx);
    SSL *ssl = SSL_new(t->ctx);
    if (!ssl)
        return NULL;
    X509_VERIFY_PARAM *check = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(check, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const bool named = literal ? X509_VERIFY_PARAM_set1_ip_asc(check, host) == 1
                               : SSL_set_tlsext_host_name(ssl, host) == 1 &&
                                     X509_VERIFY_PARAM_set1_host(check, host, 0) == 1;
    const bool asks =
        SSL_set_alpn_protos(ssl, h2 ? alpn_h2 : alpn_http,
                            (unsigned)(h2 ? sizeof alpn_h2 : sizeof alpn_http) - 1) == 0;
    if (named && asks)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

const char *tls_reason(SSL *ssl, unsigned long error)
{
    const long verified = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    ERR_clear_error();
    if (verified != X509_V_OK && ssl && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
        return X509_verify_cert_error_string(verified);
    return error ? ERR_reason_error_string(error) : NULL;
}

/* ---- life ---- */

struct tls *tls_new(struct event_base *base, struct helper *helper, const struct tls_files *f)
{
    const char *const ca = f->skip_verify ? NULL : f->ca ? f->ca : TLS_SYSTEM_CAS;
    const char *const paths[PARTS] = {ca, f->cert, f->key};
    struct tls *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->base = base;
    t->helper = helper;
    t->skip_verify = f->skip_verify;
    TAILQ_INIT(&t->waiters);
    t->turn = event_new(base, -1, 0, on_turn, t);
    bool good = t->turn;
    for (int i = 0; i < PARTS; i++)
        if (paths[i])
            good = (t->path[i] = strdup(paths[i])) && good;
    if (good)
        return t;
    tls_free(t);
    return NULL;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    if (t->asked)
        helper_forget(t->asked);
    drop_part(t);
    SSL_CTX_free(t->making);
    SSL_CTX_free(t->ctx);
    if (t->turn)
        event_free(t->turn);
    for (int i = 0; i < PARTS; i++)
        free(t->path[i]);
    free(t);
}
