#include <check.h>
#include <math.h>
#include <sys/syscall.h>

#include "client/session.h"
#include "fake_server.h"

static struct fake_server server;
static mcptally *m;

static mcptally_options options(void)
{
    return (mcptally_options){
        .size = sizeof(mcptally_options),
        .socket = server.path,
        .service = "svc",
        .flush_ms = 10,
    };
}

static void open_with(const mcptally_options *o)
{
    m = mcptally_open(o);
    ck_assert_ptr_nonnull(m);
}

static void setup(void)
{
    server_init(&server);
    const mcptally_options o = options();
    open_with(&o);
}

static void teardown(void)
{
    mcptally_close(m, 0);
    server_fini(&server);
}

static mcptally_series *counter(const char *name)
{
    return mcptally_with(mcptally_counter(m, name, NULL, NULL), NULL);
}

static mcptally_stats stats(void)
{
    mcptally_stats s = {.size = sizeof s};
    mcptally_get_stats(m, &s);
    return s;
}

/* Every item that was emitted is somewhere. */
static void check_ledger(uint64_t waiting)
{
    const mcptally_stats s = stats();
    ck_assert_uint_eq(s.emitted, s.acknowledged + s.lost_buffer + s.lost_queue + s.lost_expired +
                                     s.lost_invalid + waiting);
}

START_TEST(counts)
{
    server_start(&server);
    mcptally_series *c = counter("c");
    for (int i = 0; i < 1000; i++)
        mcptally_add(c, 2);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    ck_assert_uint_eq(server_sum(&server, "c"), 2000);
    const mcptally_stats s = stats();
    ck_assert_uint_eq(s.emitted, 1000);
    ck_assert_uint_eq(s.acknowledged, 1000);
    ck_assert_uint_eq(s.connected, 1);
    check_ledger(0);
    server_kill(&server);
    ck_assert_str_eq(server.d.service, "svc");
}
END_TEST

START_TEST(arrives_without_a_flush)
{
    server_start(&server);
    mcptally_add(counter("c"), 1);
    while (server_sum(&server, "c") != 1) /* the test's own time limit ends it */
        poll(NULL, 0, 1);
}
END_TEST

START_TEST(every_kind_of_metric)
{
    server_start(&server);
    const mcptally_label labels[] = {{"tool", "echo"}, {"code", NULL}, {NULL, NULL}};
    mcptally_addf(mcptally_with(mcptally_counterf(m, "cost", "USD", "Money."), NULL), 0.25);
    mcptally_add(mcptally_with(mcptally_counterf(m, "cost", NULL, NULL), NULL), 2);
    mcptally_set(mcptally_with(mcptally_gauge(m, "depth", NULL, "sum", NULL), labels), -7);
    mcptally_observe(mcptally_with(mcptally_histogram(m, "h", "s", NULL, 0, NULL), NULL), 0.5);
    mcptally_observe(mcptally_with(mcptally_summary(m, "q", "s", NULL), NULL), 1.5);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    ck_assert_double_eq(server_series(&server, "cost").sum_f64, 2.25);
    ck_assert_double_eq(server_series(&server, "depth{tool=echo,code=}").sum_f64, -7);
    ck_assert_double_eq(server_series(&server, "h").sum_f64, 0.5);
    ck_assert_int_eq(server_series(&server, "h").kind, METRIC_HISTOGRAM);
    ck_assert_int_eq(server_series(&server, "q").kind, METRIC_SUMMARY);
}
END_TEST

START_TEST(the_same_definition_is_the_same_handle)
{
    const mcptally_label a[] = {{"k", "1"}, {NULL, NULL}}, b[] = {{"k", "2"}, {NULL, NULL}};
    mcptally_metric *c = mcptally_counter(m, "c", NULL, "one help");
    ck_assert_ptr_eq(c, mcptally_counter(m, "c", NULL, "another"));
    ck_assert_ptr_eq(mcptally_with(c, a), mcptally_with(c, a));
    ck_assert_ptr_ne(mcptally_with(c, a), mcptally_with(c, b));
    ck_assert_ptr_ne(mcptally_with(c, a), mcptally_with(c, NULL));
    for (int i = 0; i < 2000; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i % 1000);
        ck_assert_ptr_eq(mcptally_counter(m, name, NULL, NULL),
                         mcptally_counter(m, name, NULL, NULL));
    }
}
END_TEST

START_TEST(items_arrive_as_they_were)
{
    server_start(&server);
    const mcptally_measure measures[] = {{"duration_ms", 12.5}, {NULL, 0}};
    const mcptally_label more[] = {{"path", "/tmp"}, {NULL, NULL}};
    mcptally_correlation(m, "req-7");
    mcptally_event(m, "memory.search", measures, more);
    mcptally_log(m, MCPTALLY_ERROR, "it broke", more);
    mcptally_correlation(m, NULL);
    mcptally_health(m, "database", MCPTALLY_DEGRADED, "slow");
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    server_kill(&server);
    const struct event *e = &server.d.last[EVENT_NAMED];
    ck_assert(str_eq(e->name, STR("memory.search")) && str_eq(e->correlation, STR("req-7")));
    ck_assert_uint_eq(e->nmeasures, 1);
    ck_assert_double_eq(e->measures[0].value, 12.5);
    ck_assert(str_eq(e->attrs[0].key, STR("path")) && str_eq(e->attrs[0].s, STR("/tmp")));
    ck_assert_uint_gt(e->time, UINT64_C(1600000000000000000));
    e = &server.d.last[EVENT_LOG];
    ck_assert_uint_eq(e->severity, 17);
    ck_assert(str_eq(e->text, STR("it broke")) && str_eq(e->correlation, STR("req-7")));
    e = &server.d.last[EVENT_HEALTH];
    ck_assert_int_eq(e->state, HEALTH_DEGRADED);
    ck_assert(str_eq(e->name, STR("database")) && e->correlation.n == 0);
}
END_TEST

START_TEST(what_is_malformed_is_counted)
{
    server_start(&server);
    mcptally_add(mcptally_with(mcptally_counter(m, "no good name", NULL, NULL), NULL), 1);
    mcptally_set(counter("c"), 1);
    mcptally_observe(mcptally_with(mcptally_counter(m, "c", NULL, NULL), NULL), 1);
    mcptally_set(mcptally_with(mcptally_gauge(m, "g", NULL, NULL, NULL), NULL), NAN);
    mcptally_set(mcptally_with(mcptally_gauge(m, "g2", NULL, "mean", NULL), NULL), 1);
    mcptally_set(mcptally_with(mcptally_gauge(m, "c", NULL, NULL, NULL), NULL), 1);
    mcptally_addf(mcptally_with(mcptally_counterf(m, "f", NULL, NULL), NULL), -1);
    const mcptally_label bad[] = {{"__name", "x"}, {NULL, NULL}};
    mcptally_add(mcptally_with(mcptally_counter(m, "c", NULL, NULL), bad), 1);
    mcptally_event(m, "not \xff UTF-8", NULL, NULL);
    mcptally_event(m, "", NULL, NULL);
    mcptally_log(m, 99, "no such severity", NULL);
    mcptally_health(m, "c", 4, NULL);
    ck_assert_int_eq(mcptally_flush(m, 20000), -1);
    ck_assert_int_eq(errno, ENOBUFS);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0); /* it is reported once */
    ck_assert_uint_eq(stats().lost_invalid, 12);
    check_ledger(0);
    pthread_mutex_lock(&server.lock);
    ck_assert_uint_eq(server.d.applied, 0);
    pthread_mutex_unlock(&server.lock);
}
END_TEST

START_TEST(null_handles_do_nothing)
{
    mcptally_add(NULL, 1);
    mcptally_addf(NULL, 1);
    mcptally_set(NULL, 1);
    mcptally_observe(NULL, 1);
    ck_assert_ptr_null(mcptally_counter(NULL, "c", NULL, NULL));
    ck_assert_ptr_null(mcptally_with(NULL, NULL));
    mcptally_event(NULL, "e", NULL, NULL);
    mcptally_log(NULL, 9, "m", NULL);
    mcptally_health(NULL, "c", 1, NULL);
    mcptally_correlation(NULL, "x");
    ck_assert_ptr_null(mcptally_span_start(NULL, "s", 1, NULL, NULL));
    mcptally_span_attr(NULL, "k", "v");
    mcptally_span_attr_i64(NULL, "k", 1);
    mcptally_span_attr_f64(NULL, "k", 1);
    mcptally_span_event(NULL, "e");
    mcptally_span_error(NULL, NULL, NULL);
    mcptally_span_times(NULL, 1, 1);
    mcptally_span_end(NULL);
    mcptally_track t = mcptally_track_start(NULL, "t", NULL);
    mcptally_track_end(&t, "x");
    ck_assert_int_eq(mcptally_flush(NULL, 0), 0);
    ck_assert_int_eq(mcptally_fd(NULL), -1);
    ck_assert_int_eq(mcptally_poll(NULL), -1);
    mcptally_stats s = {.size = sizeof s};
    mcptally_get_stats(NULL, &s);
    ck_assert_uint_eq(s.emitted, 0);
    mcptally_close(NULL, 0);
}
END_TEST

START_TEST(options_of_another_size_are_refused)
{
    mcptally_options o = options();
    o.size--;
    ck_assert_ptr_null(mcptally_open(&o));
    ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(the_daemon_comes_late)
{
    mcptally_series *c = counter("c");
    mcptally_add(c, 3);
    ck_assert_int_eq(mcptally_flush(m, 30), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    check_ledger(1);
    server_start(&server);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    ck_assert_uint_eq(server_sum(&server, "c"), 3);
}
END_TEST

START_TEST(the_daemon_dies_and_comes_back)
{
    mcptally_options o = options();
    o.buffer_bytes = 1 << 20; /* for all of it, however late the helper thread comes */
    mcptally_close(m, 0);
    open_with(&o);
    mcptally_series *c = counter("c");
    for (int i = 0; i < 10; i++) {
        server_start(&server);
        atomic_store(&server.mute, i % 2 == 0);
        for (int k = 0; k < 5000; k++)
            mcptally_add(c, 1);
        /* Until some of it has arrived; without ACKs the rest has to be sent again. */
        while (server_series(&server, "c").updates <= (uint64_t)i * 5000)
            poll(NULL, 0, 1);
        server_kill(&server);
    }
    atomic_store(&server.mute, false);
    server_start(&server);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    check_ledger(0);
    ck_assert_uint_eq(server_sum(&server, "c"), 50000);
    server_kill(&server);
    ck_assert_uint_eq(server.d.nsessions, 1);
    ck_assert_uint_ge(server.d.links, 10);
}
END_TEST

START_TEST(a_daemon_that_is_stopped_costs_nothing_but_memory)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, server.path, strlen(server.path) + 1);
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(listener, 8), 0); /* it never accepts */
    mcptally_series *c = counter("c");
    for (int i = 0; i < 3000000; i++)
        mcptally_add(c, 1);
    ck_assert_int_eq(mcptally_flush(m, 1), -1);
    const mcptally_stats s = stats();
    ck_assert_uint_eq(s.emitted, 3000000);
    ck_assert_uint_gt(s.lost_buffer, 0);
    ck_assert_uint_eq(s.acknowledged, 0);
    close(listener);
    unlink(server.path);
    server_start(&server);
    ck_assert_int_eq(mcptally_flush(m, 20000), -1);
    ck_assert_int_eq(errno, ENOBUFS);
    check_ledger(0);
    ck_assert_uint_eq(server_sum(&server, "c") + stats().lost_buffer, 3000000);
    server_wait_lost(&server, LOST_BUFFER, stats().lost_buffer);
}
END_TEST

START_TEST(finds_the_daemon_by_its_directory)
{
    server_start(&server);
    mcptally_close(m, 0);
    mcptally_options o = options();
    o.socket = NULL;
    unsetenv("MCPTALLY_SOCKET");
    setenv("MCPTALLY_RUNTIME_DIR", server.dir, 1);
    setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
    open_with(&o);
    mcptally_add(counter("c"), 3);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    ck_assert_uint_eq(server_sum(&server, "c"), 3);
    mcptally_close(m, 0);
    setenv("MCPTALLY_SOCKET", server.path, 1); /* which goes before the directory */
    setenv("MCPTALLY_RUNTIME_DIR", "/nowhere", 1);
    open_with(&o);
    mcptally_add(counter("c"), 4);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    ck_assert_uint_eq(server_sum(&server, "c"), 7);
}
END_TEST

START_TEST(rejected_items_make_a_flush_fail)
{
    server.d.refuse_id = 1;
    server_start(&server);
    mcptally_add(counter("c"), 1);
    ck_assert_int_eq(mcptally_flush(m, 20000), -1);
    ck_assert_int_eq(errno, EPROTO);
    ck_assert_uint_eq(stats().rejected, 1);
    ck_assert_str_eq(mcptally_reject_name(stats().last_reject), "rate_limited");
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    check_ledger(0);
}
END_TEST

START_TEST(a_forgotten_session_is_counted)
{
    server_start(&server);
    atomic_store(&server.mute, true);
    mcptally_series *c = counter("c");
    mcptally_add(c, 1);
    while (server_sum(&server, "c") != 1)
        poll(NULL, 0, 1);
    server_kill(&server);
    server.d.nsessions = 0;
    atomic_store(&server.mute, false);
    server_start(&server);
    ck_assert_int_eq(mcptally_flush(m, 20000), -1);
    ck_assert_int_eq(errno, ENOBUFS);
    ck_assert_uint_eq(stats().lost_expired, 1);
    check_ledger(0);
}
END_TEST

START_TEST(close_says_bye)
{
    server_start(&server);
    mcptally_add(counter("c"), 1);
    mcptally_close(m, 20000);
    m = NULL;
    bool gone = false;
    while (!gone) {
        poll(NULL, 0, 1);
        pthread_mutex_lock(&server.lock);
        gone = server.d.sessions[0].gone;
        pthread_mutex_unlock(&server.lock);
    }
    ck_assert_uint_eq(server_sum(&server, "c"), 1);
}
END_TEST

START_TEST(at_most_once_is_acknowledged_when_sent)
{
    mcptally_close(m, 0);
    mcptally_options o = options();
    o.flags = MCPTALLY_NO_ACK;
    open_with(&o);
    server_start(&server);
    mcptally_add(counter("c"), 1);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    while (server_sum(&server, "c") != 1)
        poll(NULL, 0, 1);
    check_ledger(0);
}
END_TEST

START_TEST(the_host_drives)
{
    mcptally_close(m, 0);
    mcptally_options o = options();
    o.flags = MCPTALLY_NO_THREAD;
    open_with(&o);
    server_start(&server);
    const int fd = mcptally_fd(m);
    ck_assert_int_ge(fd, 0);
    mcptally_series *c = counter("c");
    uint64_t emitted = 0;
    int timeout_ms = mcptally_poll(m);
    while (server_sum(&server, "c") < 20) {
        struct pollfd at = {fd, POLLIN, 0};
        if (emitted < 20 && stats().acknowledged == emitted) {
            mcptally_add(c, 1);
            emitted++;
        }
        poll(&at, 1, timeout_ms);
        timeout_ms = mcptally_poll(m);
    }
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    /* Nothing to do: it wants to sleep, and an item makes the descriptor readable. */
    struct pollfd at = {fd, POLLIN, 0};
    while (mcptally_poll(m) >= 0)
        poll(NULL, 0, 1);
    ck_assert_int_eq(poll(&at, 1, 0), 0);
    mcptally_add(c, 1);
    ck_assert_int_eq(poll(&at, 1, 0), 1);
}
END_TEST

START_TEST(whoever_emits_after_a_flush_wakes_nobody)
{
    mcptally_close(m, 0);
    mcptally_options o = options();
    o.flags = MCPTALLY_NO_THREAD;
    o.flush_ms = 60000;
    open_with(&o);
    server_start(&server);
    struct pollfd at = {mcptally_fd(m), POLLIN, 0};
    mcptally_series *c = counter("c");
    for (int i = 0; i < 3; i++) {
        mcptally_add(c, 1);
        ck_assert_int_eq(mcptally_flush(m, 20000), 0);
        ck_assert_int_gt(mcptally_poll(m), 0); /* it naps */
    }
    mcptally_add(c, 1);
    ck_assert_int_eq(poll(&at, 1, 0), 0);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    ck_assert_uint_eq(server_sum(&server, "c"), 4);
}
END_TEST

/* The library's calls come here: what it sends at once is counted. */
static _Atomic unsigned sends, sent_pieces;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    sends++;
    sent_pieces += (unsigned)message->msg_iovlen;
    return syscall(SYS_sendmsg, fd, message, flags);
}

/* Where kinds take turns each has a frame of its own; a call for each would cost more than all
 * else. */
START_TEST(many_frames_go_out_together)
{
    enum { TURNS = 20 };
    mcptally_close(m, 0);
    mcptally_options o = options();
    o.flags = MCPTALLY_NO_THREAD;
    open_with(&o);
    server_start(&server);
    mcptally_series *c = counter("c");
    mcptally_add(c, 1); /* its ring, the connection and the definitions */
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    sends = sent_pieces = 0;
    for (int i = 0; i < TURNS; i++) {
        mcptally_add(c, 1);
        mcptally_event(m, "e", NULL, NULL);
    }
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    ck_assert_uint_eq(sends, 1);
    ck_assert_uint_eq(sent_pieces, 2 * TURNS);
    ck_assert_uint_eq(server_sum(&server, "c"), 1 + TURNS);
}
END_TEST

/* ---- a ring that the daemon reads, as the thread sees it ---- */

/* A session with the smallest ring, in which there is an update of a counter. */
static mcptally_series *open_small(void)
{
    mcptally_close(m, 0);
    mcptally_options o = options();
    o.flags = MCPTALLY_NO_THREAD | MCPTALLY_RING;
    o.buffer_bytes = 4096;
    open_with(&o);
    mcptally_series *c = counter("c");
    mcptally_add(c, 1);
    return c;
}

START_TEST(numbers_of_any_size_beyond_what_there_is_room_for)
{
    enum { MORE = 2000 };
    static const uint64_t sizes[] = {0, 16383, 16384, 16385, 1u << 31, UINT64_C(1) << 40};
    mcptally_series *c = open_small();
    uint64_t sum = 1;
    server_start(&server);
    atomic_store(&local.ring->direct, true);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; sum += sizes[i++])
        mcptally_add(c, sizes[i]);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    ck_assert_uint_eq(server_sum(&server, "c"), sum);
    for (int i = 0; i < MORE; i++)
        mcptally_add(c, 1);
    mcptally_flush(m, 20000);
    const uint64_t lost = stats().lost_buffer;
    ck_assert_uint_gt(lost, 0);
    ck_assert_uint_eq(server_sum(&server, "c"), sum + MORE - lost);
    check_ledger(0);
}
END_TEST

/* Whether so many additions rang the bell. */
static bool rings_for(mcptally_series *c, unsigned n)
{
    atomic_store(&local.ring->bell, false);
    for (; n > 0; n--)
        mcptally_add(c, 1);
    return atomic_load(&local.ring->bell);
}

START_TEST(the_daemon_is_woken_once_a_sleep_and_pressed_when_the_ring_fills)
{
    enum { HALF = 1024 / 2 };
    static struct shm_ring_slot slot;
    mcptally_series *c = open_small();
    struct ring *ring = local.ring;
    shm_ring_set_slot(&ring->shm, &slot);
    atomic_store(&ring->away, true);
    atomic_store(&ring->direct, true);
    ck_assert(!rings_for(c, 10));
    for (uint32_t sleep = 1; sleep < 4; sleep++) {
        atomic_store(&slot.asleep, sleep);
        ck_assert(rings_for(c, 1));
        ck_assert(!rings_for(c, 10));
    }
    atomic_store(&slot.asleep, 0);
    ck_assert(!rings_for(c, HALF - 60));
    ck_assert(rings_for(c, 20));
    ck_assert(!rings_for(c, 10));
    ck_assert(rings_for(c, HALF / 4)); /* of three words each, from here on */
    ring_bring_home(ring, 0);
    server_start(&server);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    ck_assert_uint_eq(server_sum(&server, "c"), stats().emitted);
}
END_TEST

/* The thread saw the ring as the daemon's, and then it came home. */
START_TEST(a_record_that_is_late_for_the_daemon_wakes_the_session)
{
    mcptally_series *c = open_small();
    struct pollfd at = {mcptally_fd(m), POLLIN, 0};
    server_start(&server);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    while (atomic_load(&m->waker.rest) != REST_ASLEEP) {
        poll(&at, 1, 1);
        mcptally_poll(m);
    }
    ck_assert_int_eq(poll(&at, 1, 0), 0);
    atomic_store(&m->rings->direct, true);
    mcptally_add(c, 1);
    atomic_store(&m->rings->direct, false);
    ck_assert_int_eq(poll(&at, 1, 0), 1);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    ck_assert_uint_eq(server_sum(&server, "c"), 2);
}
END_TEST

START_TEST(who_sets_the_clock_is_noticed)
{
    local_now();
    local.ahead += 3600 * NS_PER_S;
    local.compared -= NS_PER_S;
    const uint64_t before = clock_wall(), now = local_now().wall;
    ck_assert_uint_gt(now + 60 * NS_PER_S, before);
    ck_assert_uint_lt(now, before + 60 * NS_PER_S);
}
END_TEST

START_TEST(two_sessions_in_one_thread)
{
    server_start(&server);
    const mcptally_options o = options();
    mcptally *other = mcptally_open(&o);
    mcptally_series *a = counter("a");
    mcptally_series *b = mcptally_with(mcptally_counter(other, "b", NULL, NULL), NULL);
    for (int i = 0; i < 1000; i++) {
        mcptally_add(a, 1);
        mcptally_add(b, 2);
    }
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    ck_assert_int_eq(mcptally_flush(other, 20000), 0);
    ck_assert_uint_eq(server_sum(&server, "a"), 1000);
    ck_assert_uint_eq(server_sum(&server, "b"), 2000);
    mcptally_close(other, 1000);
    mcptally_add(a, 1); /* lets go of the ring that the closed one left */
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    ck_assert_uint_eq(server_sum(&server, "a"), 1001);
}
END_TEST

START_TEST(errno_is_left_alone)
{
    server_start(&server);
    mcptally_series *c = counter("c");
    errno = 4711;
    for (int i = 0; i < 100000; i++)
        mcptally_add(c, 1);
    mcptally_event(m, "e", NULL, NULL);
    mcptally_span_end(mcptally_span_start(m, "s", 1, NULL, NULL));
    ck_assert_int_eq(errno, 4711);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client");
    TCase *c = tcase_create("client");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, counts);
    tcase_add_test(c, arrives_without_a_flush);
    tcase_add_test(c, every_kind_of_metric);
    tcase_add_test(c, the_same_definition_is_the_same_handle);
    tcase_add_test(c, items_arrive_as_they_were);
    tcase_add_test(c, what_is_malformed_is_counted);
    tcase_add_test(c, null_handles_do_nothing);
    tcase_add_test(c, options_of_another_size_are_refused);
    tcase_add_test(c, the_daemon_comes_late);
    tcase_add_test(c, the_daemon_dies_and_comes_back);
    tcase_add_test(c, a_daemon_that_is_stopped_costs_nothing_but_memory);
    tcase_add_test(c, finds_the_daemon_by_its_directory);
    tcase_add_test(c, rejected_items_make_a_flush_fail);
    tcase_add_test(c, a_forgotten_session_is_counted);
    tcase_add_test(c, close_says_bye);
    tcase_add_test(c, at_most_once_is_acknowledged_when_sent);
    tcase_add_test(c, the_host_drives);
    tcase_add_test(c, whoever_emits_after_a_flush_wakes_nobody);
    tcase_add_test(c, many_frames_go_out_together);
    tcase_add_test(c, numbers_of_any_size_beyond_what_there_is_room_for);
    tcase_add_test(c, the_daemon_is_woken_once_a_sleep_and_pressed_when_the_ring_fills);
    tcase_add_test(c, a_record_that_is_late_for_the_daemon_wakes_the_session);
    tcase_add_test(c, who_sets_the_clock_is_noticed);
    tcase_add_test(c, two_sessions_in_one_thread);
    tcase_add_test(c, errno_is_left_alone);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
