/* Requests a minute and address: the limit, its end, and what a crowd of addresses can do. */
#include "serve/throttle.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/clock.h"

#define START (1000 * NS_PER_S)

static struct client_address v4(uint32_t host)
{
    const struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    struct client_address a;
    client_address_of(&a, (const void *)&in);
    return a;
}

static struct client_address v6(const char *text)
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6};
    struct client_address a;
    ck_assert_int_eq(inet_pton(AF_INET6, text, &in.sin6_addr), 1);
    client_address_of(&a, (const void *)&in);
    return a;
}

static unsigned welcome(struct throttle *t, const struct client_address *a, unsigned n,
                        uint64_t now)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += throttle_ask(t, a, now) == 0;
    return sum;
}

START_TEST(so_many_and_no_more)
{
    struct throttle *t = throttle_new(100);
    const struct client_address a = v4(1), b = v4(2);
    ck_assert_uint_eq(welcome(t, &a, 150, START), 100);
    ck_assert_uint_eq(throttle_ask(t, &a, START + NS_PER_S), 60);
    ck_assert_uint_eq(welcome(t, &b, 150, START), 100);
    throttle_free(t);
}
END_TEST

/* Each answer's Retry-After is true: asking then is welcome, and a second before is not. */
START_TEST(it_says_when)
{
    struct throttle *t = throttle_new(100);
    const struct client_address a = v4(1);
    ck_assert_uint_eq(welcome(t, &a, 100, START), 100);
    uint64_t now = START + 90 * NS_PER_S; /* half of the minute before still counts */
    ck_assert_uint_eq(welcome(t, &a, 100, now), 50);
    const unsigned wait = throttle_ask(t, &a, now);
    ck_assert_uint_gt(wait, 0);
    ck_assert_uint_le(wait, 2);
    ck_assert_uint_eq(throttle_ask(t, &a, now + wait * NS_PER_S), 0);
    throttle_free(t);
}
END_TEST

START_TEST(never_more_than_the_limit_in_any_minute)
{
    struct throttle *t = throttle_new(10);
    const struct client_address a = v4(1);
    static uint64_t taken[4096];
    unsigned n = 0, first = 0;
    for (uint64_t now = START; now < START + 600 * NS_PER_S; now += NS_PER_S / 4) {
        if (throttle_ask(t, &a, now))
            continue;
        taken[n++] = now;
        while (now - taken[first] >= 60 * NS_PER_S)
            first++;
        ck_assert_uint_le(n - first, 11); /* evenly spread is taken for granted: one more */
    }
    ck_assert_uint_ge(n, 90);
    throttle_free(t);
}
END_TEST

START_TEST(a_network_of_ipv6_is_one_client)
{
    struct throttle *t = throttle_new(5);
    const struct client_address a = v6("2001:db8:0:1::1"), same = v6("2001:db8:0:1:ffff::2"),
                                other = v6("2001:db8:0:2::1"), mapped = v6("::ffff:10.0.0.1"),
                                plain = v4(0x0a000001);
    ck_assert_uint_eq(welcome(t, &a, 5, START), 5);
    ck_assert_uint_ne(throttle_ask(t, &same, START), 0);
    ck_assert_uint_eq(throttle_ask(t, &other, START), 0);
    ck_assert_uint_eq(welcome(t, &mapped, 5, START), 5);
    ck_assert_uint_ne(throttle_ask(t, &plain, START), 0);
    throttle_free(t);
}
END_TEST

/* A hundred thousand addresses: who is known stays known, and is neither let in beyond his
 * limit nor shut out before; the crowd together gets a table's worth and one share more. */
START_TEST(a_crowd_pushes_nobody_out)
{
    struct throttle *t = throttle_new(2);
    const struct client_address old = v4(1), spent = v4(2);
    unsigned sum = 0;
    ck_assert_uint_eq(throttle_ask(t, &old, START), 0);
    ck_assert_uint_eq(welcome(t, &spent, 3, START), 2);
    for (uint32_t i = 0; i < 100000; i++) {
        const struct client_address a = v4(0x0b000000 + i);
        sum += welcome(t, &a, 2, START);
    }
    ck_assert_uint_le(sum, 2 * THROTTLE_PLACES);
    ck_assert_uint_ne(throttle_ask(t, &spent, START), 0);
    ck_assert_uint_eq(throttle_ask(t, &old, START), 0);
    /* When they are silent their places are free again. */
    const struct client_address late = v4(3);
    ck_assert_uint_eq(welcome(t, &late, 3, START + 121 * NS_PER_S), 2);
    throttle_free(t);
}
END_TEST

START_TEST(none_is_no_limit)
{
    struct throttle *t = throttle_new(1);
    const struct client_address a = v4(1);
    ck_assert_uint_eq(welcome(t, &a, 10, START), 1);
    throttle_set_limit(t, 0);
    ck_assert_uint_eq(welcome(t, &a, 1000, START), 1000);
    throttle_free(t);
}
END_TEST

START_TEST(who_comes_by_loopback)
{
    const struct client_address near[] = {v4(0x7f000001), v4(0x7fffffff), v6("::1"),
                                          v6("::ffff:127.0.0.1")};
    const struct client_address far[] = {v4(0x7e000001),    v4(0x80000001),
                                         v4(0x0a00007f),    v6("fe80::1"),
                                         v6("2001:db8::1"), v6("::ffff:192.0.2.127")};
    for (size_t i = 0; i < sizeof near / sizeof *near; i++)
        ck_assert(client_address_loopback(&near[i]));
    for (size_t i = 0; i < sizeof far / sizeof *far; i++)
        ck_assert(!client_address_loopback(&far[i]));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("throttle");
    TCase *tc = tcase_create("throttle");
    tcase_add_test(tc, so_many_and_no_more);
    tcase_add_test(tc, it_says_when);
    tcase_add_test(tc, never_more_than_the_limit_in_any_minute);
    tcase_add_test(tc, a_network_of_ipv6_is_one_client);
    tcase_add_test(tc, a_crowd_pushes_nobody_out);
    tcase_add_test(tc, none_is_no_limit);
    tcase_add_test(tc, who_comes_by_loopback);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
