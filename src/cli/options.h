/* options: one table of a command's options gives its parser and its --help.
 *
 * Options and operands may mix. "--name value", "--name=value", "-n value" and
 * "-n5" are the same; "--" ends the options; "-" and a negative number are
 * operands. --help is understood everywhere. */
#ifndef MCPTALLY_CLI_OPTIONS_H
#define MCPTALLY_CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_FLAG,     /* bool */
    OPTION_TEXT,     /* const char *, borrowed from argv */
    OPTION_COUNT,    /* uint64_t */
    OPTION_DURATION, /* uint64_t, ns; see duration_parse() */
};

struct option_row {
    const char *name; /* without the dashes */
    char letter;      /* of the short form, 0: none */
    enum option_type type;
    size_t offset;     /* of the member in the struct that is filled */
    const char *value; /* what the help calls its value; NULL for a flag */
    const char *help;
    uint64_t min, max; /* of a count or duration; 0, 0: any */
};

struct options {
    const char *command;
    const char *usage; /* lines of what may follow the command's name */
    const char *about; /* sentences for --help */
    const struct option_row *rows;
    size_t nrows;
    int stop_at_operand; /* 1: everything from the first operand on is an operand */
};

enum { OPTIONS_HELP = -1, OPTIONS_BAD = -2 };

/* Fills `into`, whose members hold the defaults, and moves the operands to
 * argv[1] and after. Returns how many there are; OPTIONS_HELP when the help was
 * asked for and printed; OPTIONS_BAD when a message has told what is wrong. */
int options_parse(const struct options *o, int argc, char **argv, void *into);

/* The exit code of a negative answer. */
int options_exit(int answer);

/* Reports that a command was used wrongly and returns CLI_USAGE. */
int options_wrong(const struct options *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
