/* breaker, and outcome: who is tried again, and when. */
#include "forward/breaker.h"

#include <check.h>
#include <stdlib.h>

#include "forward/outcome.h"
#include "otlp/reply.h"

#define S UINT64_C(1000000000)

static const struct breaker_options options = {.failures = 3, .first = S, .most = 30 * S};

START_TEST(moves)
{
    static const char *const may[BREAKER_STATES] = {
        /* to CLOSED, HALF_OPEN, OPEN */
        [BREAKER_CLOSED] = "..o",
        [BREAKER_HALF_OPEN] = "c.o",
        [BREAKER_OPEN] = "ch.",
    };
    for (unsigned from = 0; from < BREAKER_STATES; from++)
        for (unsigned to = 0; to < BREAKER_STATES; to++)
            ck_assert_msg(breaker_moves(from, to) == (may[from][to] != '.'), "%u to %u", from, to);
}
END_TEST

START_TEST(opens_and_closes)
{
    struct breaker b = {0};
    uint64_t now = 100 * S;
    ck_assert(breaker_may(&b, 3, now));
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(b.state, BREAKER_CLOSED);
        ck_assert(breaker_bad(&b, &options, now, 0, 0, now) == (i == 2));
        ck_assert(!breaker_may(&b, 0, now));
        now = breaker_wakes(&b);
    }
    ck_assert_int_eq(b.state, BREAKER_OPEN);
    ck_assert_uint_eq(b.opened, 1);
    ck_assert_uint_eq(b.since, 100 * S);
    ck_assert(!breaker_may(&b, 0, now - 1));
    ck_assert(!breaker_may(&b, 1, now)); /* one probe only */
    ck_assert_int_eq(b.state, BREAKER_HALF_OPEN);
    ck_assert(breaker_may(&b, 0, now));
    ck_assert(!breaker_bad(&b, &options, now, 0, 0, now)); /* still the same row */
    ck_assert_int_eq(b.state, BREAKER_OPEN);
    now = breaker_wakes(&b);
    ck_assert(breaker_may(&b, 0, now));
    ck_assert(breaker_good(&b));
    ck_assert_int_eq(b.state, BREAKER_CLOSED);
    ck_assert(!breaker_good(&b));
    ck_assert_uint_eq(b.since, 0);
    ck_assert(breaker_may(&b, 7, now));
}
END_TEST

/* The delay grows by half up to its limit, and jitter takes away at most a half. */
START_TEST(delays)
{
    struct breaker low = {0}, high = {0};
    uint64_t d = S;
    for (unsigned i = 0; i < 40; i++) {
        const uint64_t now = (1000 + 100 * (uint64_t)i) * S;
        breaker_bad(&low, &options, now, 0, 0, now);
        breaker_bad(&high, &options, now, 0, d / 2 - 1, now);
        ck_assert_uint_eq(low.until - now, d / 2);
        ck_assert_uint_eq(high.until - now, d / 2 + d / 2 - 1);
        d = d + d / 2 < 30 * S ? d + d / 2 : 30 * S;
    }
}
END_TEST

/* Requests that were under way together fail together: that is one failure. */
START_TEST(together)
{
    struct breaker b = {0};
    for (unsigned i = 0; i < 8; i++)
        ck_assert(!breaker_bad(&b, &options, 10 * S, 0, 0, 11 * S + i));
    ck_assert_uint_eq(b.failures, 1);
    ck_assert_int_eq(b.state, BREAKER_CLOSED);
    const uint64_t until = b.until;
    breaker_bad(&b, &options, 10 * S, 20 * S, 0, 11 * S);
    ck_assert_uint_eq(b.until, 31 * S);
    ck_assert_uint_lt(until, b.until);
}
END_TEST

START_TEST(asked_to_wait)
{
    struct breaker b = {0};
    breaker_bad(&b, &options, S, 7 * S, 0, S);
    ck_assert_uint_eq(b.until, 8 * S);
    ck_assert(!breaker_may(&b, 0, 8 * S - 1));
    ck_assert(breaker_may(&b, 0, 8 * S));
    breaker_bad(&b, &options, 8 * S, UINT64_MAX, 0, 8 * S);
    ck_assert_uint_eq(b.until, 8 * S + BREAKER_AFTER);
}
END_TEST

/* An answer to what was sent before it opened is as good as a probe. */
START_TEST(late_answer)
{
    struct breaker b = {0};
    for (unsigned i = 1; i < 4; i++)
        breaker_bad(&b, &options, i * 100 * S, 0, 0, i * 100 * S);
    ck_assert_int_eq(b.state, BREAKER_OPEN);
    ck_assert(breaker_good(&b));
    ck_assert_int_eq(b.state, BREAKER_CLOSED);
}
END_TEST

/* The whole of both retry tables. */
START_TEST(outcomes)
{
    /* gRPC's codes 0 to 16: o taken, r again, x never */
    static const char grpc[] = "orxxrxxxxxrrxxrrx";
    for (unsigned code = 0; code <= RPC_UNAUTHENTICATED; code++) {
        const enum outcome_kind want = grpc[code] == 'o'   ? OUTCOME_OK
                                       : grpc[code] == 'r' ? OUTCOME_RETRY
                                                           : OUTCOME_REFUSED;
        ck_assert_msg(outcome_of_grpc(code, false) == want, "gRPC %u", code);
    }
    ck_assert_int_eq(outcome_of_grpc(RPC_RESOURCE_EXHAUSTED, true), OUTCOME_RETRY);
    ck_assert_int_eq(outcome_of_grpc(RPC_INVALID_ARGUMENT, true), OUTCOME_REFUSED);
    ck_assert_int_eq(outcome_of_grpc(99, false), OUTCOME_REFUSED);
    for (unsigned status = 0; status < 1000; status++) {
        const bool again = status == 0 || status == 429 || (status >= 502 && status <= 504);
        const enum outcome_kind want = status >= 200 && status < 300 ? OUTCOME_OK
                                       : again                       ? OUTCOME_RETRY
                                                                     : OUTCOME_REFUSED;
        ck_assert_msg(outcome_of_http(status) == want, "HTTP %u", status);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("breaker");
    TCase *t = tcase_create("breaker");
    tcase_add_test(t, moves);
    tcase_add_test(t, opens_and_closes);
    tcase_add_test(t, delays);
    tcase_add_test(t, together);
    tcase_add_test(t, asked_to_wait);
    tcase_add_test(t, late_answer);
    tcase_add_test(t, outcomes);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
