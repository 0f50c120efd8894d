/* Datagrams between the daemon, its gate and its helper: the first byte says which. What is
 * received has the size that it says, and no descriptor is left; the head of a helper's message
 * keeps its bounds. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "gate/gate_message.h"
#include "helper/message.h"

enum { RIGHTS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* So many descriptors come along. */
static void send_with(int fd, const uint8_t *p, size_t n, unsigned rights)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int) * RIGHTS)];
    } control = {0};
    struct iovec bytes = {(void *)(uintptr_t)p, n};
    struct msghdr m = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (rights) {
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * rights);
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(sizeof(int) * rights);
        for (unsigned i = 0; i < rights; i++)
            memcpy(CMSG_DATA(&control.head) + i * sizeof fd, &fd, sizeof fd);
    }
    const ssize_t sent = sendmsg(fd, &m, MSG_NOSIGNAL);
    assert(sent == (ssize_t)n);
}

static void check_tls(struct str bytes)
{
    struct web_tls t;
    char *watched = NULL;
    if (gate_read_tls(bytes, &t, &watched))
        assert(t.client_auth < WEB_CLIENT_AUTHS && t.nsans <= WEB_SANS && watched);
    free(watched);
    web_tls_fini(&t);
}

static void check_gate(const uint8_t *p, size_t n, unsigned rights)
{
    static char bytes[GATE_BYTES];
    struct gate_message m;
    int pair[2], fds[GATE_DESCRIPTORS], none[GATE_DESCRIPTORS];
    const int made = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
    assert(made == 0);
    send_with(pair[0], p, n, rights);
    const int r = gate_receive(pair[1], &m, bytes, fds);
    if (r == 1) {
        assert(m.kind < GATE_KINDS && m.size + sizeof m == n);
        check_tls((struct str){bytes, m.size});
    }
    for (unsigned i = 0; i < GATE_DESCRIPTORS; i++) {
        assert((fds[i] >= 0) == (i < rights));
        if (fds[i] >= 0)
            close(fds[i]);
    }
    close(pair[0]);
    const int end = gate_receive(pair[1], &m, bytes, none); /* nobody holds the other end */
    assert(end == -ERR_CLOSED);
    close(pair[1]);
}

static void check_helper(const uint8_t *p, size_t n)
{
    struct message m = {0};
    if (n < sizeof m) /* the end stays as it is */
        memcpy(&m, p, n);
    else
        memcpy(&m, p, sizeof m);
    const bool question = message_question(&m), answer = message_answer(&m);
    if (!question && !answer)
        return;
    assert(m.kind < MESSAGE_MAX &&
           m.size <= (HELPER_PAYLOAD > HELPER_TAIL ? HELPER_PAYLOAD : HELPER_TAIL));
    if (message_name(m.name))
        assert(m.name[0] != '.' && !strchr(m.name, '/'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > GATE_BYTES)
        return 0;
    if (data[0] & 1)
        check_gate(data + 1, size - 1, (data[0] >> 1) % (RIGHTS + 1));
    else
        check_helper(data + 1, size - 1);
    return 0;
}
