/* The web configuration file: what each key takes, what is refused, and where it says so. */
#include "daemon/config_web.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gate/gate_message.h"

#define HASH  "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
#define TOKEN "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00A08"
#define TLS   "tls_server_config:\n  cert_file: a.crt\n  key_file: /b.key\n"

static struct web_config w;
static struct faults f;

static void setup(void)
{
    faults_init(&f);
    ck_assert(web_config_init(&w));
}

static void teardown(void)
{
    web_config_fini(&w);
    faults_fini(&f);
}

static bool parse(const char *text)
{
    return config_web_parse(&w, "/etc/x/web.yaml", text, strlen(text), &f);
}

static void taken(const char *text)
{
    const bool good = parse(text);
    ck_assert_msg(good, "%s: %s", text, faults_text(&f));
    ck_assert_uint_eq(f.count, 0);
}

/* Refused with one line that begins with that place and key. */
static void refused(const char *text, const char *line)
{
    teardown();
    setup();
    ck_assert_msg(!parse(text), "taken: %s", text);
    ck_assert_msg(strncmp(faults_text(&f), line, strlen(line)) == 0, "%s is not %s",
                  faults_text(&f), line);
}

START_TEST(nothing_is_nothing)
{
    taken("# nothing\n");
    ck_assert(!w.tls.on && !web_config_asks(&w) && w.interval == 0);
    for (unsigned i = 0; i < WEB_HEADERS; i++)
        ck_assert_str_eq(w.headers[i], web_header_default(i));
    ck_assert_str_eq(w.headers[WEB_HEADER_HSTS], "");
}
END_TEST

START_TEST(all_of_tls)
{
    taken(TLS "  client_auth_type: RequireAndVerifyClientCert\n"
              "  client_ca_file: sub/ca.crt\n"
              "  client_allowed_sans: [a.example, 10.0.0.1]\n"
              "  min_version: TLS12\n  max_version: TLS13\n"
              "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,\n"
              "    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305, TLS_AES_128_GCM_SHA256]\n"
              "  prefer_server_cipher_suites: false\n"
              "  curve_preferences: [X25519, CurveP256]\n");
    const struct web_tls *t = &w.tls;
    ck_assert(t->on && !t->prefer_server && !t->only_tls12 && !t->only_tls13);
    ck_assert_int_eq(t->client_auth, WEB_CLIENT_REQUIRE_VERIFY);
    ck_assert_str_eq(t->pem[WEB_CERT].file, "/etc/x/a.crt");
    ck_assert_str_eq(t->pem[WEB_KEY].file, "/b.key");
    ck_assert_str_eq(t->pem[WEB_CLIENT_CA].file, "/etc/x/sub/ca.crt");
    ck_assert_str_eq(t->ciphers, "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305");
    ck_assert_str_eq(t->suites, "TLS_AES_128_GCM_SHA256");
    ck_assert_str_eq(t->groups, "X25519:P-256");
    ck_assert_uint_eq(t->nsans, 2);
    ck_assert_str_eq(t->sans[1], "10.0.0.1");
}
END_TEST

START_TEST(every_kind_of_client_authentication)
{
    static const char *const words[] = {"NoClientCert", "RequestClientCert", "RequireAnyClientCert",
                                        "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"};
    for (int i = 0; i < WEB_CLIENT_AUTHS; i++) {
        char text[256];
        snprintf(text, sizeof text, TLS "  client_auth_type: %s\n  %s\n", words[i],
                 i ? "client_ca: pem" : "");
        teardown();
        setup();
        taken(text);
        ck_assert_int_eq(w.tls.client_auth, i);
    }
}
END_TEST

START_TEST(what_tls_refuses)
{
    refused("tls_server_config: {}", "/etc/x/web.yaml:1:20: cert_file: missing");
    refused("tls_server_config: x", "/etc/x/web.yaml:1:20: tls_server_config: expected a map");
    refused("tls_server_config:\n  cert_file: a\n", "/etc/x/web.yaml:2:3: key_file: missing");
    refused(TLS "  cert: x\n", "/etc/x/web.yaml:2:3: cert: cert_file is there as well");
    refused(TLS "  min_version: TLS11\n",
            "/etc/x/web.yaml:4:16: min_version: expected TLS12 or TLS13");
    refused(TLS "  max_version: TLS10\n", "/etc/x/web.yaml:4:16: max_version:");
    refused(TLS "  min_version: TLS13\n  max_version: TLS12\n",
            "/etc/x/web.yaml:2:3: max_version: lower");
    refused(TLS "  client_auth_type: Any\n", "/etc/x/web.yaml:4:21: client_auth_type: expected");
    refused(TLS "  client_auth_type: RequireAndVerifyClientCert\n",
            "/etc/x/web.yaml:2:3: client_auth_type: nobody");
    refused(TLS "  client_ca_file: c\n", "/etc/x/web.yaml:2:3: client_ca_file: set, but");
    refused(TLS "  client_auth_type: RequestClientCert\n  client_allowed_sans: [a]\n",
            "/etc/x/web.yaml:2:3: client_allowed_sans: expected client_auth_type");
    refused(TLS "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n",
            "/etc/x/web.yaml:4:19: cipher_suites: \"TLS_RSA_WITH_RC4_128_SHA\" is none");
    refused(TLS "  cipher_suites: [TLS_AES_128_GCM_SHA256]\n",
            "/etc/x/web.yaml:2:3: cipher_suites: names suites of TLS 1.3 alone");
    refused(TLS "  curve_preferences: [CurveP257]\n",
            "/etc/x/web.yaml:4:23: curve_preferences: expected");
    refused(TLS "  key_fiel: x\n",
            "/etc/x/web.yaml:4:3: key_fiel: unknown key; did you mean key_file?");
    refused(TLS "  prefer_server_cipher_suites: 7\n",
            "/etc/x/web.yaml:4:32: prefer_server_cipher_suites: expected true or false");
}
END_TEST

START_TEST(headers)
{
    taken("http_server_config:\n  http2: false\n  headers:\n    x-frame-options: SAMEORIGIN\n"
          "    Strict-Transport-Security: max-age=60\n    Referrer-Policy:\n"
          "    X-XSS-Protection: 1; mode=block\n    Content-Security-Policy: default-src 'self'\n"
          "    X-Content-Type-Options: nosniff\n");
    ck_assert_str_eq(w.headers[WEB_HEADER_FRAME], "SAMEORIGIN");
    ck_assert_str_eq(w.headers[WEB_HEADER_HSTS], "max-age=60");
    ck_assert_str_eq(w.headers[WEB_HEADER_REFERRER], "");
    refused("http_server_config: {http2: true}",
            "/etc/x/web.yaml:1:29: http2: expected false: these ports speak HTTP/1.1");
    refused("http_server_config: {headers: {X-Frame-Options: allow}}",
            "/etc/x/web.yaml:1:49: X-Frame-Options: expected deny or sameorigin");
    refused("http_server_config: {headers: {X-Content-Type-Options: x}}",
            "/etc/x/web.yaml:1:56: X-Content-Type-Options: expected nosniff");
    refused("http_server_config: {headers: {Server: x}}",
            "/etc/x/web.yaml:1:32: Server: not a header that can be set");
    refused("http_server_config: {headers: {Referrer-Policy: \"a\\r\\nb\"}}",
            "/etc/x/web.yaml:1:49: Referrer-Policy: expected one line");
}
END_TEST

START_TEST(users_and_tokens)
{
    taken("basic_auth_users:\n  alice: " HASH "\nbearer_tokens:\n  prom: " TOKEN "\n");
    ck_assert_uint_eq(w.nusers, 1);
    ck_assert_str_eq(w.users[0].name, "alice");
    ck_assert_str_eq(w.users[0].hash, HASH);
    ck_assert_uint_eq(w.ntokens, 1);
    ck_assert_uint_eq(w.tokens[0].sha256[0], 0x9f);
    ck_assert_uint_eq(w.tokens[0].sha256[31], 0x08);
    ck_assert_uint_eq(w.tokens[0].sha256[30], 0x0a);
}
END_TEST

/* And what was written is not repeated: it may be the password itself. */
START_TEST(secrets_that_are_refused)
{
    static const char *const hashes[] = {
        "secret",
        "$1$salt$xxxxxxxxxxxxxxxxxxxxxx",
        "$2x$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG",
        "$2y$17$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG",
        "$2y$03$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG",
        "$2y$1x$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG",
        "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7z",
        "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7z!"};
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
        char text[256];
        snprintf(text, sizeof text, "basic_auth_users: {a: '%s'}", hashes[i]);
        refused(text, "/etc/x/web.yaml:1:23: a: expected a bcrypt hash");
        ck_assert_ptr_null(strstr(faults_text(&f), hashes[i]));
    }
    refused("basic_auth_users: {'a:b': '" HASH "'}", "/etc/x/web.yaml:1:27: a:b: expected a user");
    refused("basic_auth_users: [a]", "/etc/x/web.yaml:1:19: basic_auth_users: expected a map");
    refused("bearer_tokens: {a: hunter2}", "/etc/x/web.yaml:1:20: a: expected sha256:");
    ck_assert_ptr_null(strstr(faults_text(&f), "hunter2"));
    refused("bearer_tokens: {a: 'sha256:12'}", "/etc/x/web.yaml:1:20: a: expected sha256:");
}
END_TEST

START_TEST(rate_limit)
{
    taken("rate_limit: {interval: 500ms, burst: 20}");
    ck_assert_uint_eq(w.interval, 500 * NS_PER_MS);
    ck_assert_uint_eq(w.burst, 20);
    refused("rate_limit: {interval: 1s}", "/etc/x/web.yaml:1:13: burst: expected at least 1");
    refused("rate_limit: {interval: soon}", "/etc/x/web.yaml:1:24: interval: expected a duration");
    refused("rate_limit: {burst: -1}", "/etc/x/web.yaml:1:21: burst: expected a whole number");
}
END_TEST

START_TEST(other_keys)
{
    refused("basic_auth_user: {}", "/etc/x/web.yaml:1:1: basic_auth_user: unknown key; did you "
                                   "mean basic_auth_users?");
    refused("[]", "/etc/x/web.yaml:1:1: expected a map");
    refused("rate_limit: {}\nrate_limit: {}\n",
            "/etc/x/web.yaml:2:1: rate_limit: the key is there");
}
END_TEST

/* What the gate reads is what was written, also with empty parts and many names. */
START_TEST(the_gate_reads_what_was_written)
{
    struct buf b;
    struct web_tls t;
    char *watched;
    buf_init(&b, GATE_BYTES);
    taken(TLS "  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [a, '', c]\n"
              "  max_version: TLS12\n");
    gate_write_tls(&b, &w.tls, "/etc/x/web.yaml");
    ck_assert(!b.failed);
    ck_assert(gate_read_tls(buf_str(&b), &t, &watched));
    ck_assert_str_eq(watched, "/etc/x/web.yaml");
    ck_assert(t.on && t.only_tls12 && !t.only_tls13 && t.prefer_server);
    ck_assert_int_eq(t.client_auth, WEB_CLIENT_ANY);
    ck_assert_str_eq(t.pem[WEB_KEY].file, "/b.key");
    ck_assert_uint_eq(t.nsans, 3);
    ck_assert_str_eq(t.sans[2], "c");
    free(watched);
    web_tls_fini(&t);
    /* Cut short anywhere it is refused, or has a name less. */
    for (size_t n = 0; n < b.n; n++) {
        const bool good = gate_read_tls((struct str){b.p, n}, &t, &watched);
        ck_assert(!good || t.nsans < 3);
        free(watched);
        web_tls_fini(&t);
    }
    buf_fini(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config_web");
    TCase *tc = tcase_create("config_web");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, nothing_is_nothing);
    tcase_add_test(tc, all_of_tls);
    tcase_add_test(tc, every_kind_of_client_authentication);
    tcase_add_test(tc, what_tls_refuses);
    tcase_add_test(tc, headers);
    tcase_add_test(tc, users_and_tokens);
    tcase_add_test(tc, secrets_that_are_refused);
    tcase_add_test(tc, rate_limit);
    tcase_add_test(tc, other_keys);
    tcase_add_test(tc, the_gate_reads_what_was_written);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
