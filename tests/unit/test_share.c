/* What is said to the daemon about rings when memory is out: it is said later, and nobody turns
 * in circles until then. */
#include <check.h>
#include <dlfcn.h>
#include <stdlib.h>

#include "client/ring.h"
#include "client/session.h"
#include "fake_server.h"

static bool no_memory;

/* In place of the C library's, which all that grows asks. */
void *realloc(void *p, size_t size)
{
    static void *(*next)(void *p, size_t size);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "realloc");
    if (no_memory)
        errno = ENOMEM;
    return no_memory ? NULL : next(p, size);
}

static struct fake_server server;
static mcptally *m;

/* A session with a ring, whose daemon has said that it wants some. */
static void setup(void)
{
    server_init(&server);
    server_start(&server);
    const mcptally_options o = {
        .size = sizeof o,
        .socket = server.path,
        .service = "svc",
        .flags = MCPTALLY_NO_THREAD | MCPTALLY_RING,
    };
    m = mcptally_open(&o);
    mcptally_add(mcptally_with(mcptally_counter(m, "c", NULL, NULL), NULL), 1);
    ck_assert_int_ge(mcptally_fd(m), 0);
    while (m->producer.acknowledged < 1) { /* the test's own time limit ends it */
        mcptally_poll(m);
        poll(NULL, 0, 1);
    }
    ck_assert_ptr_nonnull(m->rings);
    ck_assert_int_eq(m->rings->reader, RING_HOME);
    m->producer.max_rings = 1;
}

static void teardown(void)
{
    mcptally_close(m, 0);
    server_fini(&server);
}

/* A step that can say nothing waits for another one, by the time and not by the socket. */
static void step_without_memory(void)
{
    no_memory = true;
    const int wait_ms = mcptally_poll(m);
    no_memory = false;
    ck_assert_int_gt(wait_ms, 0);
    ck_assert_int_le(wait_ms, 1000);
    ck_assert(!m->pump.wants_out);
    ck_assert_int_ge(m->pump.fd, 0);
}

START_TEST(an_offer_is_made_later)
{
    step_without_memory();
    ck_assert_int_eq(m->rings->reader, RING_HOME);
    mcptally_poll(m);
    ck_assert_int_eq(m->rings->reader, RING_OFFERED);
}
END_TEST

START_TEST(a_bell_is_rung_later)
{
    m->rings->reader = RING_AWAY;
    atomic_store(&m->rings->bell, true);
    step_without_memory();
    ck_assert(atomic_load(&m->rings->bell));
    mcptally_poll(m);
    ck_assert(!atomic_load(&m->rings->bell));
    m->rings->reader = RING_HOME;
}
END_TEST

START_TEST(a_bell_with_a_number_too)
{
    m->rings->reader = RING_AWAY;
    const uint64_t number = share_ask(m);
    step_without_memory();
    ck_assert_uint_lt(m->share.bell_sent, number);
    mcptally_poll(m);
    ck_assert_uint_eq(m->share.bell_sent, number);
    m->rings->reader = RING_HOME;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("share");
    TCase *t = tcase_create("share");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_offer_is_made_later);
    tcase_add_test(t, a_bell_is_rung_later);
    tcase_add_test(t, a_bell_with_a_number_too);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
