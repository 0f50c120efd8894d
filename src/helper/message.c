#include "helper/message.h"

static const struct limits {
    size_t question, answer;
} limits[MESSAGE_MAX] = {
#define X(sym, question, answer) {question, answer},
    MESSAGE_TABLE(X)
#undef X
};

static bool sound(const struct message *m)
{
    return m->magic == MESSAGE_MAGIC && m->kind < MESSAGE_MAX &&
           memchr(m->name, 0, sizeof m->name) != NULL;
}

bool message_question(const struct message *m)
{
    return sound(m) && m->size <= limits[m->kind].question;
}

bool message_answer(const struct message *m)
{
    return sound(m) && m->size <= limits[m->kind].answer;
}

bool message_name(const char *name)
{
    const size_t n = strlen(name);
    if (n == 0 || n >= MESSAGE_NAME || name[0] == '.')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}
