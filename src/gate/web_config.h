/* web_config: who may ask over HTTP and how, as read from a web configuration file. Floor 4.
 *
 * The file has the keys of Prometheus' exporter-toolkit; man/mcptallyd-web.yaml.5 is the
 * page. daemon/config_web.c makes one of these from it. */
#ifndef MCPTALLY_GATE_WEB_CONFIG_H
#define MCPTALLY_GATE_WEB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WEB_USERS = 256, /* and tokens: each request looks at all of them */
    WEB_SANS = 256,
    WEB_TOKEN = 32, /* bytes of a SHA-256 */
    WEB_FILES = 3,  /* certificate, key and clients' authorities */
};

/* X(SYMBOL, "name", "default") "" leaves it out. */
#define WEB_HEADER_TABLE(X)                                                                        \
    X(CSP, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")                \
    X(FRAME, "X-Frame-Options", "deny")                                                            \
    X(TYPE, "X-Content-Type-Options", "nosniff")                                                   \
    X(XSS, "X-XSS-Protection", "0")                                                                \
    X(REFERRER, "Referrer-Policy", "no-referrer")                                                  \
    X(HSTS, "Strict-Transport-Security", "")

enum web_header {
#define X(sym, name, dflt) WEB_HEADER_##sym,
    WEB_HEADER_TABLE(X)
#undef X
        WEB_HEADERS
};

/* What is asked of clients' certificates. X(SYMBOL, "word") */
#define WEB_CLIENT_AUTH_TABLE(X)                                                                   \
    X(NONE, "NoClientCert")                                                                        \
    X(REQUEST, "RequestClientCert")                 /* any, or none */                             \
    X(ANY, "RequireAnyClientCert")                  /* any */                                      \
    X(VERIFY_GIVEN, "VerifyClientCertIfGiven")      /* a good one, or none */                      \
    X(REQUIRE_VERIFY, "RequireAndVerifyClientCert") /* a good one */

enum web_client_auth {
#define X(sym, word) WEB_CLIENT_##sym,
    WEB_CLIENT_AUTH_TABLE(X)
#undef X
        WEB_CLIENT_AUTHS
};

/* One of the PEM texts: in the file itself, or in a file of its own; both "" when it is
 * not there. */
struct web_pem {
    char *text, *file;
};

enum web_pem_kind { WEB_CERT, WEB_KEY, WEB_CLIENT_CA, WEB_PEMS };

struct web_tls {
    bool on;
    struct web_pem pem[WEB_PEMS];
    enum web_client_auth client_auth;
    bool only_tls13, only_tls12;
    bool prefer_server; /* its order of suites counts */
    char *ciphers;      /* of TLS 1.2, as OpenSSL names them, "" for its own choice */
    char *suites;       /* of TLS 1.3, likewise */
    char *groups;       /* curves, likewise */
    char **sans;
    size_t nsans;
};

struct web_user {
    char *name, *hash; /* bcrypt */
};

struct web_token {
    char *name;
    uint8_t sha256[WEB_TOKEN];
};

struct web_config {
    struct web_tls tls;
    char *headers[WEB_HEADERS];
    struct web_user users[WEB_USERS];
    size_t nusers;
    struct web_token tokens[WEB_USERS];
    size_t ntokens;
    uint64_t interval; /* ns between two requests, 0: no limit */
    uint64_t burst;
};

const char *web_header_name(enum web_header h);
const char *web_header_default(enum web_header h); /* "" for none */

/* The defaults, with nobody asked who he is. False when memory is out; it is then good
 * for web_config_fini() all the same. */
bool web_config_init(struct web_config *w);

/* What is secret is overwritten. */
void web_config_fini(struct web_config *w);

/* The same for that part alone. */
void web_tls_fini(struct web_tls *t);

/* Whether it names users or tokens. */
bool web_config_asks(const struct web_config *w);

#endif
