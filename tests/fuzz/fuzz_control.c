/* Bytes as a request to the control socket; the first says in which pieces they come. The
 * answer is one JSON object, or a line of one and a page as long as it says. */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "pipeline/sampling.h"
#include "serve/control.h"
#include "../unit/memory_store.h"

enum { REQUEST = 4096, TURNS = 10000, DOMAINS = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct memory_store ms;
static struct pipeline pl;
static struct serve_env env;
static struct verdict verdict;
static struct health_page health;
static struct sockaddr_un address;
static socklen_t address_size;

static void describe(void *arg, struct status_info *out)
{
    (void)arg;
    out->version = "1.2.3";
    out->config = "";
    out->store_path = "store";
    out->verdict = &verdict;
}

static const char *command_echo(struct command_call *call)
{
    struct json_writer j = json_begin(call->answer);
    const char *object = json_string_value(json_object_get(call->request, "object"));
    snprintf(call->object, sizeof call->object, "%s", object ? object : "");
    json_put_object(&j, NULL);
    json_put_text(&j, "object", call->object);
    json_end_object(&j);
    return NULL;
}

static void note(void *arg, const struct audit_act *act)
{
    (void)arg;
    assert(act->what && act->object && act->outcome);
}

/* A name of the abstract kind, which the kernel chooses. */
static int listen_anywhere(void)
{
    const sa_family_t unix_family = AF_UNIX;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address_size = sizeof address;
    assert(bind(fd, (const void *)&unix_family, sizeof unix_family) == 0);
    assert(getsockname(fd, (void *)&address, &address_size) == 0 && listen(fd, 16) == 0);
    return fd;
}

static void begin(void)
{
    static const struct command more[] = {{"echo", command_echo, true}};
    const struct pages_options po = {0};
    struct pipeline_options o;
    struct sampling_options so;
    memory_store_init(&ms);
    pipeline_defaults(&o);
    o.domains = DOMAINS;
    assert(pipeline_init(&pl, &ms.st, &o, memory_store_now) == 0);
    audit_set_sink(note, NULL);
    sampling_defaults(&so);
    pl.sampling = sampling_new(&ms.st, &pl.own, &so, memory_store_now);
    env = (struct serve_env){.base = event_base_new(), .pl = &pl};
    verdict_reset(&verdict);
    health_page_init(&health, &verdict, &ms.st, "1.2.3", clock_now().mono);
    const struct control_options options = {.listen_fd = listen_anywhere(),
                                            .pages = pages_new(&env, &po),
                                            .health = &health,
                                            .describe = describe,
                                            .commands = more,
                                            .ncommands = 1};
    const struct control *c = control_new(&env, &options);
    assert(c && pl.sampling);
}

static void turn(unsigned *turns)
{
    assert(++*turns < TURNS);
    event_base_loop(env.base, EVLOOP_NONBLOCK);
}

static void send_all(int fd, const uint8_t *p, size_t n, size_t piece)
{
    unsigned turns = 0;
    while (n > 0) {
        const ssize_t sent = send(fd, p, n < piece ? n : piece, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            break; /* it has heard enough */
        p += sent;
        n -= (size_t)sent;
        if (piece < REQUEST)
            turn(&turns);
    }
    shutdown(fd, SHUT_WR);
}

static void receive_all(int fd, struct buf *to)
{
    char some[65536];
    unsigned turns = 0;
    for (;;) {
        const ssize_t n = recv(fd, some, sizeof some, MSG_DONTWAIT);
        if (n == 0)
            return;
        if (n > 0)
            buf_add(to, some, (size_t)n);
        turn(&turns);
    }
}

static void check(const struct buf *answer)
{
    json_t *j =
        json_loadb(answer->p, answer->n, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, NULL);
    assert(json_is_object(j));
    const char *end = memchr(answer->p, '\n', answer->n);
    assert(end);
    const size_t rest = answer->n - (size_t)(end + 1 - answer->p);
    assert(rest == (size_t)json_integer_value(json_object_get(j, "length")));
    json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {REQUEST, 1, 100};
    struct buf answer;
    if (size < 2 || size > 2 * REQUEST)
        return 0;
    if (!env.base)
        begin();
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(connect(fd, (const void *)&address, address_size) == 0);
    buf_init(&answer, 8 << 20);
    send_all(fd, data + 1, size - 1, pieces[data[0] % 3]);
    receive_all(fd, &answer);
    assert(!answer.failed);
    check(&answer);
    assert(pl.st->undo_used == 0);
    buf_fini(&answer);
    close(fd);
    return 0;
}
