/* err: the one table of error codes. Floor 0.
 *
 * A function that can fail returns an int: 0 for success, or the negative of
 * an enum err. err_name() gives the stable word used in logs and REJECTs.
 * Errors are facts about bytes or resources; what to do about one is decided
 * by the caller, by whose fault it is (our bug: assert; a peer: count and
 * drop; the environment: degrade; configuration: exit 78). */
#ifndef MCPTALLY_BASE_ERR_H
#define MCPTALLY_BASE_ERR_H

/* X(SYMBOL, "word", "meaning") */
#define ERR_TABLE(X)                                                                               \
    X(OK, "ok", "success")                                                                         \
    X(NOMEM, "no_memory", "an allocation failed")                                                  \
    X(FULL, "full", "a bounded table, buffer or area is full")                                     \
    X(RANGE, "out_of_range", "a number or offset lies outside its bounds")                         \
    X(SHORT, "truncated", "the input ends before the value does")                                  \
    X(SYNTAX, "syntax", "the input does not have the form required")                               \
    X(UTF8, "invalid_utf8", "text is not valid UTF-8")                                             \
    X(NAME, "invalid_name", "a name has characters or a length that names may not have")           \
    X(CONFLICT, "conflict", "a definition contradicts an earlier one")                             \
    X(NOTFOUND, "not_found", "no such entry")                                                      \
    X(BUSY, "busy", "the resource is held by another process")                                     \
    X(DAMAGED, "damaged", "stored data fails its checks")                                          \
    X(VERSION, "version", "a version that this program does not speak")                            \
    X(PERM, "permission", "the operation is not allowed")                                          \
    X(IO, "io", "a system call failed; errno tells why")                                           \
    X(CLOSED, "closed", "the peer has gone")                                                       \
    X(TIMEOUT, "timeout", "the time limit passed")                                                 \
    X(NOTFINITE, "not_finite", "a number is NaN or infinite")

enum err {
#define X(sym, word, help) ERR_##sym,
    ERR_TABLE(X)
#undef X
        ERR_MAX
};

/* The stable word of an error code; takes e or -e. Never NULL. */
const char *err_name(int e);

/* One line of English for an error code; takes e or -e. Never NULL. */
const char *err_help(int e);

#endif
