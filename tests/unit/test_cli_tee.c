/* The ring of notes between relay and observer: both ends in one process, by turns and at the
 * same time. */
#include "cli/tee.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    NOTES = 20000,
    PIECE = 4096,
    HEAD = sizeof(struct tee_head),
    UNREAD = TEE_RING - 2 * (TEE_CHUNK + HEAD), /* beside which any note has room */
    TOTAL = 16 << 20,                           /* bytes when both are at work at once */
    STATUS = 7,
};

static struct tee tee;
static struct tee_reader reader;
static const struct when now = {.mono = 1000, .wall = 2000};

static void open_both(void)
{
    tee = (struct tee){.fd = -1};
    ck_assert_int_eq(tee_open(&tee, &reader), 0);
}

static void close_both(void)
{
    tee_close(&tee); /* the eventfd is that of both */
    close(reader.fd);
}

static bool is_kicked(void)
{
    struct pollfd p = {.fd = reader.kick, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* ---- a stream whose bytes tell their places ---- */

static char byte_at(uint64_t place)
{
    return (char)(place * 31 + (place >> 8));
}

static void tell(uint64_t *sent, size_t n)
{
    static char bytes[TEE_CHUNK];
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(*sent + i);
    tee_data(&tee, TEE_UP, bytes, n, now);
    *sent += n;
}

/* Small ones mostly. */
static size_t any_size(unsigned *seed)
{
    const unsigned die = (unsigned)rand_r(seed);
    return die % 16 == 0 ? 1 + die / 16 % TEE_CHUNK : 1 + die / 16 % 400;
}

/* Whether a note's bytes are those that were told behind the ones before, and the lost. */
static bool follows(const struct tee_head *note, uint64_t before)
{
    const char *bytes = (const char *)(note + 1);
    for (size_t i = 0; i < note->size; i++)
        if (bytes[i] != byte_at(before + note->lost + i))
            return false;
    return note->kind == TEE_DATA && note->stream == TEE_UP && note->when.wall == now.wall;
}

/* Reads at most so many notes. */
static void read_notes(uint64_t *got, unsigned most)
{
    const struct tee_head *note;
    tee_look(&reader);
    for (unsigned i = 0; i < most && (note = tee_next(&reader)); i++) {
        ck_assert(follows(note, *got));
        *got += note->size;
    }
}

/* ---- by turns ---- */

START_TEST(what_is_told_is_read)
{
    unsigned seed = 1;
    uint64_t sent = 0, got = 0;
    open_both();
    for (unsigned i = 0; i < NOTES; i++) {
        while (tee.tail - reader.head > UNREAD)
            read_notes(&got, 1 + (unsigned)rand_r(&seed) % 50);
        tell(&sent, any_size(&seed));
    }
    read_notes(&got, NOTES);
    ck_assert_uint_eq(got, sent);
    ck_assert_uint_eq(tee.lost[TEE_UP], 0);
    ck_assert_uint_gt(tee.tail, 20 * TEE_RING);
    close_both();
}
END_TEST

START_TEST(an_empty_ring_begins_at_its_front)
{
    uint64_t sent = 0, got = 0;
    open_both();
    tell(&sent, PIECE);
    tee_look(&reader);
    const struct tee_head *front = tee_next(&reader);
    tell(&sent, PIECE); /* not empty: the first is still in hand */
    got += front->size;
    read_notes(&got, NOTES);
    tell(&sent, PIECE);
    tee_look(&reader);
    ck_assert_ptr_eq(tee_next(&reader), front);
    ck_assert(follows(front, got));
    close_both();
}
END_TEST

START_TEST(who_sleeps_is_kicked_once)
{
    uint64_t sent = 0, got = 0;
    open_both();
    ck_assert(tee_arm(&reader, 0));
    ck_assert(!is_kicked());
    tell(&sent, PIECE);
    ck_assert(is_kicked());
    ck_assert(tee_kicked(&reader));
    tell(&sent, PIECE);
    ck_assert(!is_kicked());
    ck_assert(!tee_arm(&reader, 0)); /* there is something to read */
    read_notes(&got, NOTES);
    ck_assert(tee_arm(&reader, 2 * (PIECE + HEAD)));
    tell(&sent, PIECE);
    tell(&sent, PIECE);
    ck_assert(!is_kicked());
    tell(&sent, 1);
    ck_assert(is_kicked());
    close_both();
}
END_TEST

/* How often it was, and takes it in. */
static unsigned kicks(void)
{
    uint64_t n = 0;
    return read(reader.kick, &n, sizeof n) > 0 ? (unsigned)n : 0;
}

START_TEST(what_finds_no_room_is_lost_and_told_of)
{
    uint64_t sent = 0, got = 0;
    open_both();
    while (tee.lost[TEE_UP] == 0)
        tell(&sent, PIECE);
    ck_assert(tee.in_vain);
    ck_assert_uint_eq(kicks(), 2); /* for the first note, and for room */
    while (tee.lost[TEE_UP] < 10 * PIECE) {
        tee.credit = TEE_WAIT_MS * NS_PER_MS;
        tell(&sent, PIECE);
    }
    ck_assert_uint_eq(kicks(), 0); /* not again, once it was in vain */
    read_notes(&got, NOTES);
    ck_assert_uint_eq(got + tee.lost[TEE_UP], sent);
    tell(&sent, PIECE);
    ck_assert(!tee.in_vain);
    read_notes(&got, 1); /* which lies behind the lost ones */
    ck_assert_uint_eq(got + 10 * PIECE, sent);
    close_both();
}
END_TEST

/* In a process of its own, as it unmaps the ring. */
static void finish_elsewhere(void)
{
    const pid_t pid = fork();
    if (pid == 0) {
        tee_finish(&tee, STATUS, now, 0);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(the_end_tells_what_was_lost)
{
    uint64_t sent = 0, got = 0;
    const struct tee_head *note;
    open_both();
    while (tee.lost[TEE_UP] == 0)
        tell(&sent, PIECE);
    while (!tee.eof_lost[TEE_DOWN])
        tee_tell(&tee, TEE_EOF, TEE_DOWN, 0, now);
    tee_look(&reader);
    while ((note = tee_next(&reader)) && note->kind == TEE_DATA)
        got += note->size;
    while (tee_next(&reader))
        ;
    finish_elsewhere();
    ck_assert(tee_kicked(&reader));
    ck_assert(reader.over);
    static const enum tee_kind kinds[] = {TEE_LOST, TEE_EOF, TEE_LOST, TEE_EXITED};
    tee_look(&reader);
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        note = tee_next(&reader);
        ck_assert_int_eq(note->kind, kinds[i]);
        ck_assert_uint_eq(note->lost, note->stream == TEE_UP ? PIECE : 0);
    }
    ck_assert_int_eq(note->value, STATUS);
    ck_assert_ptr_null(tee_next(&reader));
    ck_assert_uint_eq(got + PIECE, sent);
    close_both();
}
END_TEST

START_TEST(a_reader_that_is_gone_is_noticed)
{
    uint64_t sent = 0;
    open_both();
    close(reader.fd);
    while (tee.fd >= 0)
        tell(&sent, PIECE);
    ck_assert_uint_le(sent, TEE_RING + PIECE); /* when there is no room any more, at the latest */
    const uint64_t lost = tee.lost[TEE_UP];
    tell(&sent, PIECE);
    ck_assert_uint_eq(tee.lost[TEE_UP], lost + PIECE); /* the next one is told of it */
}
END_TEST

START_TEST(a_line_that_goes_on_says_so)
{
    open_both();
    tee_data(&tee, TEE_DOWN, "one\ntw", 6, now);
    tee_data(&tee, TEE_DOWN, "o\n", 2, now);
    tee_data(&tee, TEE_DOWN, "three\n", 6, now);
    tee_look(&reader);
    ck_assert(tee_next(&reader)->line_start);
    ck_assert(!tee_next(&reader)->line_start);
    ck_assert(tee_next(&reader)->line_start);
    close_both();
}
END_TEST

/* ---- at the same time ---- */

static bool wait_for_kick(void)
{
    struct pollfd p[] = {{.fd = reader.fd, .events = POLLIN},
                         {.fd = reader.kick, .events = POLLIN}};
    return poll(p, 2, -1) > 0;
}

struct reading {
    uint64_t got;
    bool right;
};

/* As the observer does, but without a time to look. */
static void *read_all(void *arg)
{
    struct reading *r = arg;
    const struct tee_head *note;
    do {
        if (tee_arm(&reader, 0) && wait_for_kick())
            tee_kicked(&reader);
        while (tee_look(&reader))
            while ((note = tee_next(&reader)))
                if (note->kind == TEE_DATA) {
                    r->right &= follows(note, r->got);
                    r->got += note->size;
                }
    } while (!reader.over);
    return NULL;
}

START_TEST(both_at_once)
{
    unsigned seed = 2;
    uint64_t sent = 0;
    struct reading r = {.right = true};
    pthread_t thread;
    open_both();
    ck_assert_int_eq(pthread_create(&thread, NULL, read_all, &r), 0);
    while (sent < TOTAL)
        tell(&sent, any_size(&seed));
    const uint64_t lost = tee.lost[TEE_UP];
    shutdown(tee.fd, SHUT_WR); /* as the end of the relay would */
    pthread_join(thread, NULL);
    ck_assert(r.right);
    ck_assert_uint_eq(r.got + lost, sent);
    close_both();
}
END_TEST

/* Until the process's first thread, the sender, is asleep. */
static void wait_for_sleep(void)
{
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)getpid());
    while (state != 'S') {
        FILE *f = fopen(path, "re");
        if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
            abort();
        fclose(f);
    }
}

/* Reads only when the sender waits for room, and then most of the ring. */
static void *make_room(void *arg)
{
    struct reading *r = arg;
    while (wait_for_kick() && tee_kicked(&reader) && !reader.over) {
        wait_for_sleep();
        tee_look(&reader);
        const uint64_t enough = reader.head + TEE_RING / 4 * 3 + 4 * (PIECE + HEAD);
        while (reader.head < enough && tee_next(&reader))
            r->got++;
    }
    return NULL;
}

/* It waits for a bounded time, in which a busy machine may let the reader do nothing: so it
 * is tried again. */
START_TEST(a_sender_without_room_waits_for_it)
{
    const unsigned full = TEE_RING / (PIECE + HEAD);
    uint64_t sent = 0, lost = 1;
    struct reading r = {0};
    pthread_t thread;
    open_both();
    tell(&sent, PIECE);
    kicks();
    ck_assert_int_eq(pthread_create(&thread, NULL, make_room, &r), 0);
    for (unsigned tries = 0; lost > 0 && tries < 100; tries++) {
        const uint64_t before = tee.lost[TEE_UP];
        for (unsigned i = 0; i < 2 * full; i++) {
            tee.credit = TEE_WAIT_MS * NS_PER_MS;
            tell(&sent, PIECE);
        }
        lost = tee.lost[TEE_UP] - before;
    }
    shutdown(tee.fd, SHUT_WR);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(lost, 0);
    ck_assert_uint_gt(r.got, full);
    close_both();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli/tee");
    TCase *c = tcase_create("tee");
    tcase_add_test(c, what_is_told_is_read);
    tcase_add_test(c, an_empty_ring_begins_at_its_front);
    tcase_add_test(c, who_sleeps_is_kicked_once);
    tcase_add_test(c, what_finds_no_room_is_lost_and_told_of);
    tcase_add_test(c, the_end_tells_what_was_lost);
    tcase_add_test(c, a_reader_that_is_gone_is_noticed);
    tcase_add_test(c, a_line_that_goes_on_says_so);
    tcase_add_test(c, both_at_once);
    tcase_add_test(c, a_sender_without_room_waits_for_it);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
