#include "pipeline/secret_rule.h"

#include "base/err.h"

static const char *const names[SECRET_RULES] = {
#define X(sym, word, help) word,
    SECRET_RULE_TABLE(X)
#undef X
};

const char *secret_rule_name(unsigned rule)
{
    return rule < SECRET_RULES ? names[rule] : "unknown";
}

int secret_rule_of(struct str name)
{
    for (int i = 0; i < SECRET_RULES; i++)
        if (str_eq(name, str_of(names[i])))
            return i;
    return -ERR_NOTFOUND;
}
