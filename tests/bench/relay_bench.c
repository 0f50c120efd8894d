/* relay_bench: what observing a server adds to a conversation: `mcptally run`, beside a bare
 * relay, and a server that reports for itself, beside one that does not.
 *
 *     relay_bench one|any [PATH-OF-MCPTALLY]
 *
 * All of them share one processor, or take any: which one wakes which is then the scheduler's
 * choice, which half a microsecond changes, and a wake-up of a processor that sleeps costs more
 * than a relay does.
 *
 * A client and a server play ping-pong through pipes: directly, through a bare
 * relay (poll, read, write; nothing else), through the wrapper, and directly with a server that
 * reports each call through libmcptally: a span, a histogram and a counter. Rounds of these
 * alternate, with new processes each, and a figure is the median over
 * the rounds: a noisy moment or an unlucky choice of CPUs costs a round. What a relay adds is its
 * round-trip time less the direct one's, and the ratio is that of the wrapper to that of the bare
 * relay. What they do when they start is not counted.
 * CPU time is that of the relay and of the observer, who has nobody waiting for it. Memory
 * is private memory (USS), and what the two share, once. */
#include "bench.h"

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "mcptally.h"

enum {
    ROUNDS = 15,
    PINGS = 500,        /* of one round, back to back */
    SPARSE_PINGS = 100, /* of one round, a pause before each */
    PAUSE_US = 1000,
    FAREWELL_MS = 1000,
    WARM = 50,     /* round trips before the first that counts, */
    WARM_MS = 200, /* and then others, with a pause before each */
    MESSAGE = 160, /* bytes, with the newline */
    BUFFER = 65536,
    FIRST_ID = 10000000, /* all ids have as many digits */
    LOOK_US = 400000,    /* in which an observer has surely looked at the last of it */
    PROCESSOR = 1,       /* the daemon has another */
};

enum way { DIRECT, BARE, WRAPPED, REPORTING, WAYS };

/* ---- what is said ---- */

static const char request_head[] = "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"tools/call\","
                                   "\"params\":{\"name\":\"echo\",\"_\":\"";
static const char answer_head[] = "{\"jsonrpc\":\"2.0\",\"id\":%u,\"result\":{\"_\":\"";
static const char tail[] = "\"}}\n";
enum { ID_AT = 22, TAIL = sizeof tail - 1 };

/* Both have the same size. */
static void fill_message(char *to, const char *head, unsigned id)
{
    int n = snprintf(to, MESSAGE, head, id);
    memset(to + n, 'x', (size_t)(MESSAGE - TAIL - n));
    memcpy(to + MESSAGE - TAIL, tail, TAIL);
}

static void answer(char message[MESSAGE])
{
    fill_message(message, answer_head, (unsigned)strtoul(message + ID_AT, NULL, 10));
    write_all(1, message, MESSAGE);
}

static void answer_and_report(mcptally *m, mcptally_series *calls, char message[MESSAGE])
{
    MCPTALLY_TRACK(m, "tools.call");
    mcptally_add(calls, 1);
    answer(message);
}

static int serve(bool reports)
{
    mcptally *m = reports ? mcptally_open(NULL) : NULL;
    mcptally_metric *counter = mcptally_counter(m, "bench.calls", "", "Calls of a tool.");
    mcptally_series *calls = mcptally_with(counter, NULL);
    char message[MESSAGE];
    size_t got = 0;
    ssize_t n;
    while ((n = read(0, message + got, sizeof message - got)) > 0) {
        got += (size_t)n;
        if (got < MESSAGE)
            continue;
        if (m)
            answer_and_report(m, calls, message);
        else
            answer(message);
        got = 0;
    }
    mcptally_close(m, FAREWELL_MS);
    return 0;
}

/* ---- the bare relay ---- */

static bool pass(int from, int to)
{
    static char buffer[BUFFER];
    ssize_t n = read(from, buffer, sizeof buffer);
    if (n > 0)
        write_all(to, buffer, (size_t)n);
    return n > 0;
}

static pid_t start(char *const *command, int *in, int *out);

static int relay(char **command)
{
    int in, out;
    pid_t pid = start(command, &in, &out);
    struct pollfd p[] = {{.fd = 0, .events = POLLIN}, {.fd = out, .events = POLLIN}};
    while (poll(p, 2, -1) > 0) {
        if (p[0].revents && !pass(0, in)) {
            close(in);
            p[0].fd = -1;
        }
        if (p[1].revents && !pass(out, 1))
            break;
    }
    waitpid(pid, NULL, 0);
    return 0;
}

/* ---- the client ---- */

static pid_t start(char *const *command, int *in, int *out)
{
    int up[2], down[2];
    if (pipe2(up, O_CLOEXEC) != 0 || pipe2(down, O_CLOEXEC) != 0)
        die("pipe");
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        dup2(up[0], 0);
        dup2(down[1], 1);
        execv(command[0], command);
        die(command[0]);
    }
    close(up[0]);
    close(down[1]);
    *in = up[1];
    *out = down[0];
    return pid;
}

enum rhythm { DENSE, SPARSE, RHYTHMS };
enum { P50, P99, QUANTILES };

static const char *const rhythm_names[RHYTHMS] = {"dense", "sparse"};
static const double quantiles[QUANTILES] = {0.5, 0.99};

struct peer {
    pid_t pid;
    int in, out;
    unsigned long relay_kib, observer_kib;        /* private memory at the end of a round */
    unsigned long shared_kib;                     /* of these two */
    double us[RHYTHMS][QUANTILES][ROUNDS];        /* round-trip times */
    double relay_us[ROUNDS], observer_us[ROUNDS]; /* CPU time of a round trip */
};

static uint64_t ping(struct peer *p, unsigned id)
{
    char message[MESSAGE], answer[MESSAGE], expected[MESSAGE];
    fill_message(message, request_head, id);
    fill_message(expected, answer_head, id);
    uint64_t began = now_ns();
    write_all(p->in, message, MESSAGE);
    for (size_t got = 0; got < MESSAGE;) {
        ssize_t r = read(p->out, answer + got, MESSAGE - got);
        if (r <= 0)
            die("read");
        got += (size_t)r;
    }
    uint64_t took = now_ns() - began;
    if (memcmp(expected, answer, MESSAGE) != 0) {
        errno = EBADMSG;
        die("answer");
    }
    return took;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *v, size_t n, double q)
{
    qsort(v, n, sizeof *v, by_value);
    return v[(size_t)(q * (double)(n - 1))];
}

static void play(struct peer *p, unsigned round, enum rhythm rhythm)
{
    static double us[PINGS];
    unsigned n = rhythm == DENSE ? PINGS : SPARSE_PINGS;
    for (unsigned i = 0; i < n; i++) {
        if (rhythm == SPARSE)
            usleep(PAUSE_US);
        us[i] = (double)ping(p, FIRST_ID + round * PINGS + i) / 1000;
    }
    for (unsigned q = 0; q < QUANTILES; q++)
        p->us[rhythm][q][round] = quantile(us, n, quantiles[q]);
}

/* ---- private memory ---- */

static unsigned long private_kib(pid_t pid)
{
    char path[64], line[256];
    unsigned long sum = 0, kib;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Private_Clean: %lu", &kib) == 1 ||
            sscanf(line, "Private_Dirty: %lu", &kib) == 1)
            sum += kib;
    if (f)
        fclose(f);
    return sum;
}

/* Of anonymous memory that it shares with another process. */
static unsigned long shared_kib(pid_t pid)
{
    char path[64], line[256];
    unsigned long sum = 0, kib;
    bool anonymous = false;
    snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        if (isxdigit((unsigned char)line[0]) && !isupper((unsigned char)line[0]))
            anonymous = strstr(line, "/dev/zero") != NULL;
        else if (anonymous && sscanf(line, "Shared_Dirty: %lu", &kib) == 1)
            sum += kib;
    }
    if (f)
        fclose(f);
    return sum;
}

/* The child of the wrapper that is not the server. */
static pid_t find_observer(pid_t wrapper)
{
    char path[64], name[64];
    int pid = 0, found = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)wrapper, (int)wrapper);
    FILE *list = fopen(path, "re");
    while (list && fscanf(list, "%d", &pid) == 1) {
        snprintf(path, sizeof path, "/proc/%d/comm", pid);
        FILE *f = fopen(path, "re");
        if (f && fgets(name, sizeof name, f) && strncmp(name, "mcptally", 8) == 0)
            found = pid;
        if (f)
            fclose(f);
    }
    if (list)
        fclose(list);
    return found;
}

/* ---- the whole ---- */

static void print_row(struct peer peers[WAYS], enum rhythm rhythm, unsigned q)
{
    double v[WAYS];
    for (unsigned w = 0; w < WAYS; w++)
        v[w] = quantile(peers[w].us[rhythm][q], ROUNDS, 0.5);
    double wrapped = v[WRAPPED] - v[DIRECT], bare = v[BARE] - v[DIRECT];
    printf("round trip p%-2.0f %-6s %9.1f %9.1f %9.1f us   adds %6.1f against %6.1f: %.2f times\n",
           quantiles[q] * 100, rhythm_names[rhythm], v[DIRECT], v[BARE], v[WRAPPED], wrapped, bare,
           wrapped / bare);
}

static void print_server(struct peer peers[WAYS], enum rhythm rhythm, unsigned q)
{
    printf("a server that reports, p%.0f %s: %.1f us against %.1f\n", quantiles[q] * 100,
           rhythm_names[rhythm], quantile(peers[REPORTING].us[rhythm][q], ROUNDS, 0.5),
           quantile(peers[DIRECT].us[rhythm][q], ROUNDS, 0.5));
}

static void warm(struct peer *p)
{
    for (unsigned i = 0; i < WARM; i++)
        ping(p, FIRST_ID + i);
    for (const uint64_t end = now_ns() + WARM_MS * UINT64_C(1000000); now_ns() < end;) {
        usleep(PAUSE_US);
        ping(p, FIRST_ID);
    }
}

static void play_round(struct peer *p, unsigned round, char *const *command)
{
    p->pid = start(command, &p->in, &p->out);
    warm(p);
    const pid_t observer = find_observer(p->pid);
    const uint64_t relay_ns = cpu_ns(p->pid), observer_ns = observer ? cpu_ns(observer) : 0;
    play(p, round, DENSE);
    play(p, round, SPARSE);
    p->relay_us[round] = (double)(cpu_ns(p->pid) - relay_ns) / 1000 / (PINGS + SPARSE_PINGS);
    if (observer) {
        usleep(LOOK_US);
        p->observer_us[round] =
            (double)(cpu_ns(observer) - observer_ns) / 1000 / (PINGS + SPARSE_PINGS);
        p->observer_kib = private_kib(observer);
        p->shared_kib = shared_kib(observer);
    }
    p->relay_kib = private_kib(p->pid);
    close(p->in);
    close(p->out);
    waitpid(p->pid, NULL, 0);
}

static void print_cpu(struct peer peers[WAYS])
{
    struct peer *w = &peers[WRAPPED];
    printf("CPU time of a round trip: bare relay %.1f us, relay %.1f us, observer %.1f us\n",
           quantile(peers[BARE].relay_us, ROUNDS, 0.5), quantile(w->relay_us, ROUNDS, 0.5),
           quantile(w->observer_us, ROUNDS, 0.5));
}

static void print_memory(const struct peer *p)
{
    printf("private memory: relay %lu KiB, observer %lu KiB, of both %lu KiB, together %lu KiB "
           "(at most 1536)\n",
           p->relay_kib, p->observer_kib, p->shared_kib,
           p->relay_kib + p->observer_kib + p->shared_kib);
}

int main(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "serve") == 0 || strcmp(argv[1], "report") == 0))
        return serve(*argv[1] == 'r');
    if (argc > 2 && strcmp(argv[1], "relay") == 0)
        return relay(argv + 2);
    char self[4096], server[] = "serve", relayed[] = "relay", run[] = "run", dashes[] = "--",
                     reporting[] = "report";
    char *command = argc > 2 ? argv[2] : "build/mcptally";
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        die("/proc/self/exe");
    self[n] = 0;
    if (argc > 1 && strcmp(argv[1], "one") == 0)
        pin(PROCESSOR);
    char *commands[WAYS][8] = {{self, server, NULL},
                               {self, relayed, self, server, NULL},
                               {command, run, dashes, self, server, NULL},
                               {self, reporting, NULL}};
    static struct peer peers[WAYS];
    signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < ROUNDS * WAYS; i++)
        play_round(&peers[i % WAYS], i / WAYS, commands[i % WAYS]);
    printf("%-21s %9s %9s %9s\n", "", "direct", "bare", "wrapped");
    for (unsigned i = 0; i < RHYTHMS * QUANTILES; i++)
        print_row(peers, (enum rhythm)(i / QUANTILES), i % QUANTILES);
    for (unsigned i = 0; i < RHYTHMS * QUANTILES; i++)
        print_server(peers, (enum rhythm)(i / QUANTILES), i % QUANTILES);
    print_cpu(peers);
    print_memory(&peers[WRAPPED]);
    return 0;
}
