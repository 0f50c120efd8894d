/* What is said to the daemon about rings, and when: also when memory is out, where it is said
 * later, and nobody turns in circles until then. */
#include <check.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

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

static mcptally_series *c;

static void step_until_acknowledged(uint64_t items)
{
    while (m->producer.acknowledged < items) { /* the test's own time limit ends it */
        mcptally_poll(m);
        poll(NULL, 0, 1);
    }
}

/* A session with a ring, whose daemon has said that it wants one. */
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
    c = mcptally_with(mcptally_counter(m, "c", NULL, NULL), NULL);
    mcptally_add(c, 1);
    ck_assert_int_ge(mcptally_fd(m), 0);
    step_until_acknowledged(1);
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

/* ---- what is said first ---- */

/* The daemon's memory, as it comes with what it says of a ring. */
static int slots(void)
{
    const int fd = memfd_create("slots", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, 4096), 0);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    return fd;
}

static unsigned bells_heard(void)
{
    pthread_mutex_lock(&server.lock);
    const unsigned n = server.d.bells;
    pthread_mutex_unlock(&server.lock);
    return n;
}

/* Nobody has looked into it between the offer and the answer: whoever emitted then found that
 * there was nobody to be rung for. */
START_TEST(a_ring_that_is_read_from_now_on_is_rung_for)
{
    mcptally_poll(m);
    ck_assert_int_eq(m->rings->reader, RING_OFFERED);
    mcptally_add(c, 1);
    share_memory(&m->share, slots());
    const struct ring_ready ready = {.stream = m->rings->stream,
                                     .position = shm_ring_head(&m->rings->shm)};
    share_heard(m, &ready, 0);
    ck_assert_int_eq(m->rings->reader, RING_AWAY);
    ck_assert(atomic_load(&m->rings->bell));
    mcptally_poll(m);
    while (bells_heard() == 0) /* the test's own time limit ends it */
        poll(NULL, 0, 1);
    mcptally_poll(m);
    ck_assert_uint_eq(bells_heard(), 1);
    ring_bring_home(m->rings, shm_ring_head(&m->rings->shm));
}
END_TEST

/* A thread with a ring of its own, as long as it is let. */
static _Atomic bool may_end;

static void *emit_and_wait(void *arg)
{
    mcptally_add(c, 1);
    while (!atomic_load(&may_end))
        poll(NULL, 0, 1);
    return arg;
}

/* The daemon has room for one of two, after a restart that it may have read the one before: how
 * far is for it to say, and without its word items would be sent again that it has. */
START_TEST(one_that_the_daemon_may_have_read_goes_first)
{
    pthread_t other;
    m->producer.max_rings = 0;
    ck_assert_int_eq(pthread_create(&other, NULL, emit_and_wait, NULL), 0);
    step_until_acknowledged(2);
    struct ring *const rings[] = {m->rings, m->rings->next};
    ck_assert_ptr_nonnull(rings[1]);
    m->producer.max_rings = 1;
    for (int read = 0; read < 2; read++) {
        struct ring *const unread = rings[!read];
        rings[read]->reader = RING_WAITING;
        mcptally_poll(m);
        ck_assert_int_eq(rings[read]->reader, RING_OFFERED);
        ck_assert_int_eq(unread->reader, RING_HOME);
        ck_assert_uint_eq(m->share.came_home, 0);
        rings[read]->reader = RING_HOME;
    }
    atomic_store(&may_end, true);
    pthread_join(other, NULL);
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
    tcase_add_test(t, a_ring_that_is_read_from_now_on_is_rung_for);
    tcase_add_test(t, one_that_the_daemon_may_have_read_goes_first);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
