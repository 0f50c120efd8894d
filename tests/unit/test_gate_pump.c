/* The gate's connections: who does not take what he asked for does not stay for ever. */
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate/gate_child.h"
#include "gate/gate_context.h"

enum {
    CLIENTS = 257, /* one more than may linger */
    PAGE = 1 << 20,
    TURNS = 200000, /* of the loop, before it counts as never */
};

static struct event_base *base;
static struct pumps *pumps;
static struct gate_context *server;
static SSL_CTX *clients;

static char *text_of(BIO *bio)
{
    char *bytes;
    const long n = BIO_get_mem_data(bio, &bytes);
    char *text = strndup(bytes, (size_t)n);
    BIO_free(bio);
    return text;
}

/* A key, and a certificate that it has signed itself. */
static void make_certificate(char **certificate, char **key)
{
    EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    BIO *out = BIO_new(BIO_s_mem()), *out_key = BIO_new(BIO_s_mem());
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, k);
    ck_assert_int_gt(X509_sign(x, k, EVP_sha256()), 0);
    ck_assert_int_eq(PEM_write_bio_X509(out, x), 1);
    ck_assert_int_eq(PEM_write_bio_PrivateKey(out_key, k, NULL, NULL, 0, NULL, NULL), 1);
    *certificate = text_of(out);
    *key = text_of(out_key);
    X509_free(x);
    EVP_PKEY_free(k);
}

static void setup(void)
{
    char why[GATE_WHY];
    struct web_config w;
    struct rlimit files;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    ck_assert(web_config_init(&w));
    free(w.tls.pem[WEB_CERT].text);
    free(w.tls.pem[WEB_KEY].text);
    make_certificate(&w.tls.pem[WEB_CERT].text, &w.tls.pem[WEB_KEY].text);
    server = gate_context_new(&w.tls, why);
    ck_assert_msg(server != NULL, "%s", why);
    memset(&w.tls, 0, sizeof w.tls);
    web_config_fini(&w);
    clients = SSL_CTX_new(TLS_client_method());
    base = event_base_new();
    pumps = pumps_new(base);
}

static void teardown(void)
{
    SSL_CTX_free(clients);
}

/* A client after his handshake, and the daemon's end of his connection. */
static SSL *connect_client(int *daemon)
{
    int pair[2], plain[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, plain), 0);
    SSL *ssl = SSL_new(clients);
    SSL_set_fd(ssl, pair[0]);
    pumps_add(pumps, server, GATE_HTTP1, pair[1], plain[1]);
    while (SSL_connect(ssl) != 1)
        event_base_loop(base, EVLOOP_NONBLOCK);
    *daemon = plain[0];
    return ssl;
}

static bool has_ended(SSL *ssl)
{
    struct pollfd p = {.fd = SSL_get_fd(ssl)};
    return poll(&p, 1, 0) > 0 && p.revents & POLLHUP;
}

/* Says a part of a page, until nobody takes more of it, and closes. */
static void say_and_close(int daemon)
{
    static const char page[PAGE];
    ssize_t n;
    for (int idle = 0; idle<10; idle = n> 0 ? 0 : idle + 1) {
        n = write(daemon, page, sizeof page);
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    close(daemon);
    event_base_loop(base, EVLOOP_NONBLOCK);
}

START_TEST(test_who_reads_nothing_gives_way)
{
    SSL *all[CLIENTS];
    int daemon;
    for (int i = 0; i < CLIENTS; i++) {
        all[i] = connect_client(&daemon);
        ck_assert(!has_ended(all[0]));
        say_and_close(daemon);
    }
    for (int i = 0; i < TURNS && !has_ended(all[0]); i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    ck_assert(has_ended(all[0]));
    for (int i = 1; i < CLIENTS; i++)
        ck_assert(!has_ended(all[i]));
    for (int i = 0; i < CLIENTS; i++) {
        close(SSL_get_fd(all[i]));
        SSL_free(all[i]);
    }
}
END_TEST

/* All that was said before the end arrives. */
START_TEST(test_who_reads_gets_all)
{
    char piece[4096];
    int daemon, n;
    size_t got = 0, said = 0;
    SSL *ssl = connect_client(&daemon);
    ssize_t w;
    for (int idle = 0; idle<10; idle = w> 0 ? 0 : idle + 1) {
        w = write(daemon, piece, sizeof piece);
        said += w > 0 ? (size_t)w : 0;
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    close(daemon);
    for (int i = 0; i < TURNS && !has_ended(ssl); i++) {
        while ((n = SSL_read(ssl, piece, sizeof piece)) > 0)
            got += (size_t)n;
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    while ((n = SSL_read(ssl, piece, sizeof piece)) > 0)
        got += (size_t)n;
    ck_assert_uint_eq(got, said);
    close(SSL_get_fd(ssl));
    SSL_free(ssl);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gate_pump");
    TCase *t = tcase_create("gate_pump");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_who_reads_nothing_gives_way);
    tcase_add_test(t, test_who_reads_gets_all);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
