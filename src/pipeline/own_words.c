#include "pipeline/own.h"

const char *own_outcome_name(unsigned outcome)
{
    static const char *const names[OWN_OUTCOMES] = {
#define X(sym, word) word,
        OWN_OUTCOME_TABLE(X)
#undef X
    };
    return outcome < OWN_OUTCOMES ? names[outcome] : "unknown";
}

const char *own_answer_name(unsigned answer)
{
    static const char *const names[OWN_ANSWERS] = {"ok", "retry", "refused"};
    return answer < OWN_ANSWERS ? names[answer] : "unknown";
}

const char *own_result_name(unsigned result)
{
    static const char *const names[OWN_RESULTS] = {
#define X(sym, word) word,
        OWN_RESULT_TABLE(X)
#undef X
    };
    return result < OWN_RESULTS ? names[result] : "unknown";
}

const char *own_action_name(unsigned outcome)
{
    static const char *const names[OWN_ACTION_OUTCOMES] = {
#define X(sym, word) word,
        OWN_ACTION_TABLE(X)
#undef X
    };
    return outcome < OWN_ACTION_OUTCOMES ? names[outcome] : "unknown";
}
