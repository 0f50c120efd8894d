#include "gate/gate_context.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PEM_MAX = 1 << 20 }; /* bytes of a file; a bundle of all public authorities has 220 KB */

static const char *const pem_keys[WEB_PEMS] = {"cert_file", "key_file", "client_ca_file"};

struct making {
    const struct web_tls *t;
    SSL_CTX *ctx;
    char *why;
};

static bool failed(const struct making *m, enum web_pem_kind kind, const char *what)
{
    const struct web_pem *p = &m->t->pem[kind];
    const char *name = *p->file ? p->file : pem_keys[kind];
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(m->why, GATE_WHY, "%s: %s%s%s%s", name, what, reason ? " (" : "", reason ? reason : "",
             reason ? ")" : "");
    ERR_clear_error();
    return false;
}

/* ---- texts in PEM ---- */

/* All of a file, n bytes; NULL with errno. Not to wait at a named pipe. */
static char *read_file(const char *path, size_t *n)
{
    ssize_t got = 1;
    char *bytes = malloc(PEM_MAX);
    const int fd = bytes ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    for (*n = 0; fd >= 0 && *n < PEM_MAX && (got = read(fd, bytes + *n, PEM_MAX - *n)) > 0;)
        *n += (size_t)got;
    const int error = fd >= 0 && got > 0 ? EFBIG : errno;
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && got == 0)
        return bytes;
    free(bytes);
    errno = error;
    return NULL;
}

static BIO *bio_of(const char *path)
{
    size_t n;
    char *bytes = read_file(path, &n);
    BIO *bio = bytes ? BIO_new(BIO_s_mem()) : NULL;
    if (bio)
        BIO_write(bio, bytes, (int)n);
    if (bytes)
        OPENSSL_cleanse(bytes, n);
    free(bytes);
    return bio;
}

static BIO *open_pem(const struct making *m, enum web_pem_kind kind)
{
    const struct web_pem *p = &m->t->pem[kind];
    BIO *bio = *p->text ? BIO_new_mem_buf(p->text, -1) : bio_of(p->file);
    if (!bio)
        failed(m, kind, strerror(errno));
    return bio;
}

/* No password: nobody is there to ask. */
static int no_password(char *to, int size, int writing, void *arg)
{
    (void)to;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

/* Ours first, then those that lead to its issuer. */
static bool use_certificates(const struct making *m)
{
    BIO *bio = open_pem(m, WEB_CERT);
    X509 *x;
    unsigned n = 0;
    bool good = true;
    if (!bio)
        return false;
    while (good && (x = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL))) {
        good = n++ == 0 ? SSL_CTX_use_certificate(m->ctx, x) == 1
                        : SSL_CTX_add1_chain_cert(m->ctx, x) == 1;
        X509_free(x);
    }
    BIO_free(bio);
    if (!good || n == 0)
        return failed(m, WEB_CERT, good ? "no certificate in PEM" : "cannot be used");
    ERR_clear_error();
    return true;
}

static bool use_key(const struct making *m)
{
    BIO *bio = open_pem(m, WEB_KEY);
    if (!bio)
        return false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    const bool good =
        key && SSL_CTX_use_PrivateKey(m->ctx, key) == 1 && SSL_CTX_check_private_key(m->ctx) == 1;
    EVP_PKEY_free(key);
    if (good)
        return true;
    return failed(m, WEB_KEY,
                  key ? "does not fit the certificate"
                      : "no private key in PEM without a password");
}

static bool use_authorities(const struct making *m)
{
    BIO *bio = open_pem(m, WEB_CLIENT_CA);
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    X509 *x;
    unsigned n = 0;
    bool good = bio && names;
    while (good && (x = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL))) {
        X509_NAME *name = X509_NAME_dup(X509_get_subject_name(x));
        good = X509_STORE_add_cert(SSL_CTX_get_cert_store(m->ctx), x) == 1 && name &&
               sk_X509_NAME_push(names, name) > 0;
        if (!good)
            X509_NAME_free(name);
        X509_free(x);
        n++;
    }
    BIO_free(bio);
    SSL_CTX_set_client_CA_list(m->ctx, names);
    if (!bio)
        return false;
    if (!good || n == 0)
        return failed(m, WEB_CLIENT_CA, good ? "no certificate in PEM" : "cannot be used");
    ERR_clear_error();
    return true;
}

/* ---- clients' certificates ---- */

static bool name_is(const GENERAL_NAME *name, const char *text)
{
    if (name->type == GEN_IPADD) {
        ASN1_OCTET_STRING *ip = a2i_IPADDRESS(text);
        const bool same = ip && ASN1_OCTET_STRING_cmp(ip, name->d.iPAddress) == 0;
        ASN1_OCTET_STRING_free(ip);
        ERR_clear_error();
        return same;
    }
    const ASN1_IA5STRING *s = name->type == GEN_DNS     ? name->d.dNSName
                              : name->type == GEN_EMAIL ? name->d.rfc822Name
                              : name->type == GEN_URI   ? name->d.uniformResourceIdentifier
                                                        : NULL;
    const size_t n = s ? (size_t)ASN1_STRING_length(s) : 0;
    return s && n == strlen(text) && memcmp(ASN1_STRING_get0_data(s), text, n) == 0;
}

/* One of its alternative names is one of those allowed. */
static bool name_allowed(X509 *x, const struct web_tls *t)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    bool allowed = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !allowed; i++)
        for (size_t k = 0; k < t->nsans && !allowed; k++)
            allowed = name_is(sk_GENERAL_NAME_value(names, i), t->sans[k]);
    GENERAL_NAMES_free(names);
    return allowed;
}

/* In place of OpenSSL's own check, for three of the kinds do not verify. */
static int on_certificate(X509_STORE_CTX *store, void *arg)
{
    const struct web_tls *t = arg;
    const bool verifies =
        t->client_auth == WEB_CLIENT_VERIFY_GIVEN || t->client_auth == WEB_CLIENT_REQUIRE_VERIFY;
    if (verifies && X509_verify_cert(store) != 1)
        return 0;
    if (t->nsans && !name_allowed(X509_STORE_CTX_get0_cert(store), t)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    return 1;
}

static void ask_clients(const struct making *m)
{
    static const int modes[WEB_CLIENT_AUTHS] = {
        [WEB_CLIENT_NONE] = SSL_VERIFY_NONE,
        [WEB_CLIENT_REQUEST] = SSL_VERIFY_PEER,
        [WEB_CLIENT_ANY] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
        [WEB_CLIENT_VERIFY_GIVEN] = SSL_VERIFY_PEER,
        [WEB_CLIENT_REQUIRE_VERIFY] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };
    SSL_CTX_set_verify(m->ctx, modes[m->t->client_auth], NULL);
    SSL_CTX_set_cert_verify_callback(m->ctx, on_certificate, (void *)(uintptr_t)m->t);
}

/* ---- the rest ---- */

static bool set_suites(const struct making *m)
{
    const struct web_tls *t = m->t;
    const char *key = NULL;
    if (*t->ciphers && SSL_CTX_set_cipher_list(m->ctx, t->ciphers) != 1)
        key = "cipher_suites";
    else if (*t->suites && SSL_CTX_set_ciphersuites(m->ctx, t->suites) != 1)
        key = "cipher_suites";
    else if (*t->groups && SSL_CTX_set1_groups_list(m->ctx, t->groups) != 1)
        key = "curve_preferences";
    if (key)
        snprintf(m->why, GATE_WHY, "%s: OpenSSL has none of them", key);
    return !key;
}

const unsigned char *gate_protocol_name(enum gate_protocol p)
{
    return (const unsigned char *)(p == GATE_HTTP2 ? "\x02h2" : "\x08http/1.1");
}

/* The port's one protocol when the client names it; who does not finds out by himself. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in,
                   unsigned size, void *arg)
{
    const unsigned char *ours = SSL_get_app_data(ssl);
    (void)arg;
    for (unsigned i = 0; i < size; i += 1u + in[i]) {
        if (in[i] != ours[0] || memcmp(in + i + 1, ours + 1, ours[0]) != 0)
            continue;
        *out = ours + 1;
        *n = ours[0];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* A session that is taken up again would not show its certificate: none is. */
static void set_options(const struct making *m)
{
    uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                       SSL_OP_IGNORE_UNEXPECTED_EOF;
    if (m->t->prefer_server)
        options |= SSL_OP_CIPHER_SERVER_PREFERENCE;
    SSL_CTX_set_options(m->ctx, options);
    SSL_CTX_set_session_cache_mode(m->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(m->ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_min_proto_version(m->ctx, m->t->only_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(m->ctx, m->t->only_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_num_tickets(m->ctx, 0);
    SSL_CTX_set_alpn_select_cb(m->ctx, on_alpn, NULL);
}

static bool fill(const struct making *m)
{
    const struct web_pem *ca = &m->t->pem[WEB_CLIENT_CA];
    set_options(m);
    ask_clients(m);
    return set_suites(m) && use_certificates(m) && use_key(m) &&
           ((!*ca->text && !*ca->file) || use_authorities(m));
}

struct gate_context *gate_context_new(struct web_tls *t, char why[GATE_WHY])
{
    struct gate_context *c = calloc(1, sizeof *c);
    snprintf(why, GATE_WHY, "out of memory");
    if (!c) {
        web_tls_fini(t);
        return NULL;
    }
    *c = (struct gate_context){SSL_CTX_new(TLS_server_method()), *t, 1};
    const struct making m = {.t = &c->tls, .ctx = c->ctx, .why = why};
    if (c->ctx && fill(&m))
        return c;
    gate_context_drop(c);
    return NULL;
}

struct gate_context *gate_context_hold(struct gate_context *c)
{
    c->holds++;
    return c;
}

void gate_context_drop(struct gate_context *c)
{
    if (!c || --c->holds > 0)
        return;
    SSL_CTX_free(c->ctx);
    web_tls_fini(&c->tls);
    free(c);
}
