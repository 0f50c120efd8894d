/* cli: what every subcommand of mcptally shares: the table of commands, the
 * exit codes, messages. The commands are programs: they may read clocks, open
 * files and print.
 *
 * A command is one file with one entry, int cmd_NAME(int argc, char **argv);
 * argv[0] is its name, and it returns an exit code. */
#ifndef MCPTALLY_CLI_CLI_H
#define MCPTALLY_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* X(name, "what it does"), in the order of the help; name is the word typed */
#define COMMAND_TABLE(X)                                                                           \
    X(run, "run an MCP server and report what passes")                                             \
    X(emit, "hand counts, observations, events, logs, health to the daemon")                       \
    X(status, "show what the daemon is doing, and its ledgers")                                    \
    X(metrics, "print every metric, as /metrics does")                                             \
    X(sampling, "show or change which share of the traces is kept")                                \
    X(domain, "show, reset or drain failure domains")                                              \
    X(reload, "have the daemon read its configuration again")                                      \
    X(audit, "show who changed what, and verify that nothing is missing")                          \
    X(tail, "follow spans, log records, events and health reports")                                \
    X(trace, "print a trace as a tree of spans, with times")                                       \
    X(top, "watch servers and tools: rates, errors, quantiles")                                    \
    X(verify, "check whether the store, the spools and the audit log are whole")                   \
    X(maintenance, "what the daily, weekly and monthly timers do")                                 \
    X(bench, "generate load and tell what became of it")                                           \
    X(compare, "compare two reports or exports; a gate for CI")                                    \
    X(replay, "feed a recorded conversation to the daemon")

#define X(name, help) int cmd_##name(int argc, char **argv);
COMMAND_TABLE(X)
#undef X

/* The numbers of sysexits.h where it has one. man/mcptally.1 says the same.
 * X(SYMBOL, number, "meaning") */
#define EXIT_TABLE(X)                                                                              \
    X(OK, 0, "success")                                                                            \
    X(FAILURE, 1, "the operation failed, or the daemon rejected it")                               \
    X(USAGE, 64, "wrong command, option or argument")                                              \
    X(UNAVAILABLE, 69, "no daemon answers, or there is no store to read")                          \
    X(TIMEOUT, 75, "the daemon did not answer in time")                                            \
    X(PERMISSION, 77, "not allowed to open the socket or the store")

enum cli_exit {
#define X(sym, number, help) CLI_##sym = number,
    EXIT_TABLE(X)
#undef X
};

/* "mcptally: message" on stderr, as one write. */
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The exit code that says an errno's kind: permission, absence, time, failure. */
int cli_exit_of(int error);

/* Writes to stdout; errors show in the next cli_flush(). */
void cli_write(struct str text);

/* Flushes stdout. False when its reader has gone or it cannot be written; only
 * the second is reported, once, by cli_finish(). */
bool cli_flush(void);

/* Waits for `ms`, less when the reader of stdout goes: then true. */
bool cli_reader_gone(int ms);

/* The last act of the program: flushes stdout and turns a write error into
 * CLI_FAILURE. A reader that has gone is no error. */
int cli_finish(int status);

#endif
