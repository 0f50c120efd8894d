/* Who may ask: tokens, passwords, what is remembered, and what a flood of guesses gets. */
#include "serve/access.h"

#include <check.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define HASH "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"

static struct access *a;
static struct web_config w;
static struct {
    unsigned n;
    uint64_t question;
    char hash[64], password[64];
    bool deaf;
} verifier;
static struct {
    unsigned n;
    enum access_verdict last;
} told;
static const struct client_address me = {.bytes = "\0\0\0\0\1\2\3\4"};

static bool verify(void *arg, uint64_t question, const char *hash, struct str password)
{
    (void)arg;
    verifier.n++;
    verifier.question = question;
    snprintf(verifier.hash, sizeof verifier.hash, "%s", hash);
    snprintf(verifier.password, sizeof verifier.password, "%.*s", STR_ARG(password));
    return !verifier.deaf;
}

static void done(struct access_wait *wait, enum access_verdict v)
{
    (void)wait;
    told.n++;
    told.last = v;
}

static void add_token(const char *token)
{
    unsigned n = WEB_TOKEN;
    struct web_token *t = &w.tokens[w.ntokens++];
    t->name = strdup("t");
    ck_assert_int_eq(EVP_Digest(token, strlen(token), t->sha256, &n, EVP_sha256(), NULL), 1);
}

static void setup(void)
{
    memset(&verifier, 0, sizeof verifier);
    memset(&told, 0, sizeof told);
    ck_assert(web_config_init(&w));
    w.users[w.nusers++] = (struct web_user){strdup("alice"), strdup(HASH)};
    add_token("open sesame");
    a = access_new(verify, NULL);
    access_configure(a, &w);
}

static void teardown(void)
{
    access_lost(a);
    access_free(a);
    web_config_fini(&w);
}

static enum access_verdict ask_from(const char *user, const char *password,
                                    const struct client_address *from, struct access_wait *wait)
{
    char text[256], header[512] = "Basic ";
    snprintf(text, sizeof text, "%s:%s", user, password);
    EVP_EncodeBlock((unsigned char *)header + 6, (unsigned char *)text, (int)strlen(text));
    wait->done = done;
    return access_ask(a, header, from, wait);
}

static enum access_verdict ask(const char *user, const char *password)
{
    static struct access_wait waits[1024];
    static unsigned n;
    return ask_from(user, password, &me, &waits[n++ % 1024]);
}

static enum access_verdict header(const char *text)
{
    struct access_wait wait = {.done = done};
    return access_ask(a, text, &me, &wait);
}

START_TEST(tokens)
{
    ck_assert_int_eq(header("Bearer open sesame"), ACCESS_GRANTED);
    ck_assert_int_eq(header("bearer  open sesame"), ACCESS_GRANTED);
    ck_assert_int_eq(header("Bearer open sesam"), ACCESS_DENIED);
    ck_assert_int_eq(header("Bearer "), ACCESS_DENIED);
    ck_assert_int_eq(header("Bearer"), ACCESS_DENIED);
    ck_assert_uint_eq(verifier.n, 0);
}
END_TEST

START_TEST(what_is_no_credential)
{
    ck_assert_int_eq(header(NULL), ACCESS_DENIED);
    ck_assert_int_eq(header(""), ACCESS_DENIED);
    ck_assert_int_eq(header("Basic"), ACCESS_DENIED);
    ck_assert_int_eq(header("Basic !!!!"), ACCESS_DENIED);
    ck_assert_int_eq(header("Basic YWxpY2U="), ACCESS_DENIED);      /* no colon */
    ck_assert_int_eq(header("Basic YWxpY2U6AHg="), ACCESS_DENIED);  /* a NUL in it */
    ck_assert_int_eq(header("Basic YWxpY2U6eA==x"), ACCESS_DENIED); /* behind the end */
    ck_assert_int_eq(header("Digest username=alice"), ACCESS_DENIED);
    char longer[4096] = "Basic ";
    memset(longer + 6, 'A', sizeof longer - 7);
    ck_assert_int_eq(header(longer), ACCESS_DENIED);
    ck_assert_uint_eq(verifier.n, 0);
}
END_TEST

START_TEST(a_right_password_is_remembered)
{
    ck_assert_int_eq(ask("alice", "pass:word"), ACCESS_LATER);
    ck_assert_str_eq(verifier.hash, HASH);
    ck_assert_str_eq(verifier.password, "pass:word");
    access_verified(a, verifier.question, true);
    ck_assert_uint_eq(told.n, 1);
    ck_assert_int_eq(told.last, ACCESS_GRANTED);
    ck_assert_int_eq(ask("alice", "pass:word"), ACCESS_GRANTED);
    ck_assert_uint_eq(verifier.n, 1);
    access_configure(a, &w); /* and forgotten with the configuration */
    ck_assert_int_eq(ask("alice", "pass:word"), ACCESS_LATER);
}
END_TEST

START_TEST(a_wrong_one_as_well)
{
    ck_assert_int_eq(ask("alice", "x"), ACCESS_LATER);
    access_verified(a, verifier.question, false);
    ck_assert_int_eq(told.last, ACCESS_DENIED);
    ck_assert_int_eq(ask("alice", "x"), ACCESS_DENIED);
    ck_assert_uint_eq(verifier.n, 1);
}
END_TEST

/* Also with the password of one who is there: the check takes as long, and is for nothing. */
START_TEST(who_does_not_exist_is_checked_and_denied)
{
    ck_assert_int_eq(ask("mallory", "pass:word"), ACCESS_LATER);
    ck_assert_str_eq(verifier.hash, HASH);
    access_verified(a, verifier.question, true);
    ck_assert_int_eq(told.last, ACCESS_DENIED);
    ck_assert_int_eq(ask("mallory", "pass:word"), ACCESS_DENIED);
}
END_TEST

START_TEST(the_same_question_is_asked_once)
{
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(ask("alice", "x"), ACCESS_LATER);
    ck_assert_uint_eq(verifier.n, 1);
    access_verified(a, verifier.question, true);
    ck_assert_uint_eq(told.n, 10);
}
END_TEST

/* One address gets its share of the checks, all together the whole; who is remembered does
 * not notice, and no number of wrong ones pushes him out. */
START_TEST(a_flood_of_guesses)
{
    static struct access_wait waits[ACCESS_CHECKS];
    char guess[16];
    ck_assert_int_eq(ask("alice", "right"), ACCESS_LATER);
    access_verified(a, verifier.question, true);
    for (unsigned i = 0; i < 2 * ACCESS_WRONG; i++) {
        snprintf(guess, sizeof guess, "%u", i);
        ck_assert_int_eq(ask("alice", guess), ACCESS_LATER);
        access_verified(a, verifier.question, false);
    }
    unsigned checked = 0;
    for (unsigned i = 0; i < 10; i++) {
        snprintf(guess, sizeof guess, "x%u", i);
        checked += ask("alice", guess) == ACCESS_LATER;
    }
    ck_assert_uint_eq(checked, ACCESS_EACH);
    for (unsigned i = 0; i < ACCESS_CHECKS; i++) {
        struct client_address other = me;
        other.bytes[7] = (uint8_t)(100 + i);
        snprintf(guess, sizeof guess, "y%u", i);
        checked += ask_from("alice", guess, &other, &waits[i]) == ACCESS_LATER;
    }
    ck_assert_uint_eq(checked, ACCESS_CHECKS);
    ck_assert_int_eq(ask("alice", "right"), ACCESS_GRANTED);
}
END_TEST

START_TEST(who_waits_may_leave_and_is_told_of_a_loss)
{
    struct access_wait gone = {0}, stays = {0};
    ck_assert_int_eq(ask_from("alice", "x", &me, &gone), ACCESS_LATER);
    ck_assert_int_eq(ask_from("alice", "x", &me, &stays), ACCESS_LATER);
    access_forget(a, &gone);
    access_forget(a, &gone);
    access_lost(a);
    ck_assert_uint_eq(told.n, 1);
    ck_assert_int_eq(told.last, ACCESS_BUSY);
    access_verified(a, verifier.question, true); /* too late: of nobody */
    ck_assert_uint_eq(told.n, 1);
    verifier.deaf = true;
    ck_assert_int_eq(ask("alice", "x"), ACCESS_BUSY);
}
END_TEST

START_TEST(rate)
{
    unsigned n = 0;
    ck_assert(access_rate(a, 1));
    w.interval = NS_PER_S;
    w.burst = 5;
    access_configure(a, &w);
    for (int i = 0; i < 20; i++)
        n += access_rate(a, 1000 * NS_PER_S);
    ck_assert_uint_eq(n, 5);
    ck_assert(!access_rate(a, 1000 * NS_PER_S + NS_PER_S / 2));
    ck_assert(access_rate(a, 1001 * NS_PER_S));
    ck_assert(!access_rate(a, 1001 * NS_PER_S));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("access");
    TCase *tc = tcase_create("access");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, tokens);
    tcase_add_test(tc, what_is_no_credential);
    tcase_add_test(tc, a_right_password_is_remembered);
    tcase_add_test(tc, a_wrong_one_as_well);
    tcase_add_test(tc, who_does_not_exist_is_checked_and_denied);
    tcase_add_test(tc, the_same_question_is_asked_once);
    tcase_add_test(tc, a_flood_of_guesses);
    tcase_add_test(tc, who_waits_may_leave_and_is_told_of_a_loss);
    tcase_add_test(tc, rate);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
