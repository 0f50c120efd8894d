/* The library in many threads, and across fork(). */
#include <check.h>
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "fake_server.h"
#include "mcptally.h"

/* The sanitizers' allocators do not survive the fork of a process with several
 * threads (theirs may be locked), and keep freed memory. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OTHER_ALLOCATOR 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OTHER_ALLOCATOR 1
#endif

static struct fake_server server;
static mcptally *m;
static mcptally_series *shared;

static void setup(void)
{
    server_init(&server);
    const mcptally_options o = {
        .size = sizeof o,
        .socket = server.path,
        .service = "svc",
        .flush_ms = 5,
    };
    m = mcptally_open(&o);
    shared = mcptally_with(mcptally_counter(m, "shared", NULL, NULL), NULL);
}

static void teardown(void)
{
    mcptally_close(m, 0);
    server_fini(&server);
}

static mcptally_stats stats(void)
{
    mcptally_stats s = {.size = sizeof s};
    mcptally_get_stats(m, &s);
    return s;
}

static uint64_t lost(const mcptally_stats *s)
{
    return s->lost_buffer + s->lost_queue + s->lost_expired + s->lost_invalid;
}

enum { THREADS = 8, EACH = 20000 };

/* Emits, and lets others run so that few items are lost. */
static void *emit(void *arg)
{
    char name[16];
    snprintf(name, sizeof name, "own%d", (int)(intptr_t)arg);
    mcptally_series *own = mcptally_with(mcptally_counter(m, name, NULL, NULL), NULL);
    for (int i = 0; i < EACH; i++) {
        mcptally_add(shared, 1);
        mcptally_add(own, 1);
        if (i % 1000 == 0)
            sched_yield();
        if (i % 500 == 0)
            mcptally_event(m, "e", NULL, NULL);
    }
    return NULL;
}

static void run_threads(void)
{
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert(pthread_create(&t[i], NULL, emit, (void *)(intptr_t)(i % 4)) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
}

/* Nothing waits any more, and everything is accounted for. */
static void check_all(uint64_t emitted)
{
    mcptally_flush(m, 30000);
    const mcptally_stats s = stats();
    ck_assert_uint_eq(s.emitted, emitted);
    ck_assert_uint_eq(s.acknowledged + lost(&s), emitted);
    pthread_mutex_lock(&server.lock);
    const uint64_t applied = server.d.applied;
    pthread_mutex_unlock(&server.lock);
    ck_assert_uint_eq(applied, s.acknowledged);
    server_wait_lost(&server, LOST_BUFFER, s.lost_buffer);
    server_wait_lost(&server, LOST_QUEUE, s.lost_queue);
}

START_TEST(threads_count_together)
{
    server_start(&server);
    for (int i = 0; i < 3; i++)
        run_threads();
    check_all(3 * THREADS * (2 * EACH + EACH / 500));
}
END_TEST

static _Atomic bool done;

static void *kill_and_start(void *arg)
{
    (void)arg;
    while (!atomic_load(&done)) {
        server_start(&server);
        poll(NULL, 0, 10);
        server_kill(&server);
    }
    server_start(&server);
    return NULL;
}

START_TEST(threads_count_while_the_daemon_dies)
{
    pthread_t killer;
    atomic_store(&done, false);
    ck_assert_int_eq(pthread_create(&killer, NULL, kill_and_start, NULL), 0);
    for (int i = 0; i < 3; i++) {
        run_threads();
        mcptally_flush(m, 30);
    }
    atomic_store(&done, true);
    pthread_join(killer, NULL);
    check_all(3 * THREADS * (2 * EACH + EACH / 500));
}
END_TEST

#ifndef OTHER_ALLOCATOR
static void *emit_once(void *arg)
{
    mcptally_add(arg, 1);
    return NULL;
}

static size_t resident_pages(void)
{
    unsigned long all, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert(f && fscanf(f, "%lu %lu", &all, &resident) == 2);
    fclose(f);
    return resident;
}

/* A thread that has gone leaves nothing behind, also while nothing can be sent. */
START_TEST(threads_come_and_go_without_a_daemon)
{
    size_t before = 0;
    for (int i = 0; i < 2000; i++) {
        pthread_t t;
        assert(pthread_create(&t, NULL, emit_once, shared) == 0);
        pthread_join(t, NULL);
        if (i == 100)
            before = resident_pages();
    }
    ck_assert_uint_lt(resident_pages(), before + 1000); /* 4 MB; the rings were 128 MB */
    ck_assert_uint_eq(stats().emitted, 2000);
    server_start(&server);
    check_all(2000);
    ck_assert_uint_eq(server_sum(&server, "shared"), 2000);
}
END_TEST
#endif

static void *emit_and_wait(void *arg)
{
    pthread_barrier_t *b = arg;
    mcptally_add(shared, 1);
    pthread_barrier_wait(b);
    pthread_barrier_wait(b);
    return NULL;
}

START_TEST(a_thread_outlives_the_session)
{
    pthread_t t;
    pthread_barrier_t b;
    server_start(&server);
    pthread_barrier_init(&b, NULL, 2);
    ck_assert_int_eq(pthread_create(&t, NULL, emit_and_wait, &b), 0);
    pthread_barrier_wait(&b);
    mcptally_close(m, 10000);
    m = NULL;
    ck_assert_uint_eq(server_sum(&server, "shared"), 1);
    pthread_barrier_wait(&b);
    pthread_join(t, NULL);
}
END_TEST

START_TEST(the_helper_takes_no_signals)
{
    server_start(&server);
    mcptally_add(shared, 1);
    ck_assert_int_eq(mcptally_flush(m, 10000), 0);
    unsigned helpers = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        char path[300], line[128], name[32] = "";
        unsigned long long blocked = 0;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        while (f && fgets(line, sizeof line, f)) {
            (void)sscanf(line, "Name: %31s", name);
            (void)sscanf(line, "SigBlk: %llx", &blocked);
        }
        if (f)
            fclose(f);
        if (strcmp(name, "mcptally") != 0)
            continue;
        helpers++;
        ck_assert_uint_eq(blocked >> (SIGTERM - 1) & 1, 1);
        ck_assert_uint_eq(blocked >> (SIGINT - 1) & 1, 1);
        ck_assert_uint_eq(blocked >> (SIGPIPE - 1) & 1, 1);
    }
    closedir(d);
    ck_assert_uint_eq(helpers, 1);
}
END_TEST

#ifndef OTHER_ALLOCATOR
/* What a child exits with: 0 when it delivered its own and nothing else. */
static int child(void)
{
    const mcptally_stats fresh = stats();
    if (fresh.emitted != 0)
        return 2;
    for (int i = 0; i < 10; i++)
        mcptally_add(shared, 100);
    mcptally_add(mcptally_with(mcptally_counter(m, "child", NULL, NULL), NULL), 1);
    if (mcptally_flush(m, 20000) != 0)
        return 3;
    mcptally_close(m, 1000);
    return 0;
}

START_TEST(a_forked_child_has_a_session_of_its_own)
{
    server_start(&server);
    mcptally_add(shared, 1);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    mcptally_add(shared, 1); /* in the buffer when it forks: the parent's */
    const pid_t pid = fork();
    if (pid == 0)
        _exit(child());
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    mcptally_add(shared, 1);
    ck_assert_int_eq(mcptally_flush(m, 20000), 0);
    ck_assert_uint_eq(server_sum(&server, "shared"), 1003);
    ck_assert_uint_eq(server_sum(&server, "child"), 1);
    ck_assert_uint_eq(stats().emitted, 3);
    server_kill(&server);
    ck_assert_uint_eq(server.d.nsessions, 2);
}
END_TEST

static void *emit_until_done(void *arg)
{
    (void)arg;
    while (!atomic_load(&done)) {
        mcptally_add(shared, 1);
        mcptally_add(mcptally_with(mcptally_counter(m, "other", NULL, NULL), NULL), 1);
    }
    return NULL;
}

START_TEST(a_process_of_many_threads_forks)
{
    pthread_t t[3];
    server_start(&server);
    atomic_store(&done, false);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, emit_until_done, NULL), 0);
    for (int i = 0; i < 10; i++) {
        const pid_t pid = fork();
        if (pid == 0) {
            alarm(30);
            _exit(child());
        }
        int status;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
    }
    atomic_store(&done, true);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    ck_assert_uint_eq(server_sum(&server, "child"), 10);
    mcptally_flush(m, 20000);
    const mcptally_stats s = stats();
    ck_assert_uint_eq(s.emitted, s.acknowledged + lost(&s));
    ck_assert_uint_eq(server_sum(&server, "shared") + server_sum(&server, "other"),
                      s.acknowledged + 10 * 1000);
}
END_TEST
#endif

int main(void)
{
    Suite *s = suite_create("client_threads");
    TCase *c = tcase_create("client_threads");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, threads_count_together);
    tcase_add_test(c, threads_count_while_the_daemon_dies);
    tcase_add_test(c, a_thread_outlives_the_session);
    tcase_add_test(c, the_helper_takes_no_signals);
#ifndef OTHER_ALLOCATOR
    tcase_add_test(c, threads_come_and_go_without_a_daemon);
    tcase_add_test(c, a_forked_child_has_a_session_of_its_own);
    tcase_add_test(c, a_process_of_many_threads_forks);
#endif
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
