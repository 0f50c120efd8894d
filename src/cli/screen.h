/* screen: the whole terminal for a live table, given back however the program
 * ends: by key, by a signal, by Ctrl-Z.
 *
 * Signals are taken from a descriptor, not in handlers. */
#ifndef MCPTALLY_CLI_SCREEN_H
#define MCPTALLY_CLI_SCREEN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "base/str.h"

struct screen {
    int signals; /* signalfd */
    sigset_t mask;
    bool keys; /* stdin is a terminal too */
    struct termios saved;
};

/* Takes the terminal. 0 or -ERR_IO. */
int screen_open(struct screen *s);
void screen_close(struct screen *s);

/* Columns and lines; 80 by 24 when the terminal does not tell. */
void screen_size(unsigned *columns, unsigned *lines);

/* Columns for text that goes to stdout whole: those of the terminal; when it is
 * none, those that COLUMNS tells of, else `otherwise`. */
unsigned screen_width(unsigned otherwise);

/* Shows lines of text, each at most a screen wide. False when the terminal has gone. */
bool screen_show(struct str text);

enum screen_event {
    SCREEN_TIME,   /* nothing happened in time */
    SCREEN_RESIZE, /* another size, or back from Ctrl-Z: show again */
    SCREEN_END,    /* a signal that ends the program, or the terminal has gone */
    SCREEN_KEY,    /* *key was pressed */
};

/* Waits for at most `timeout` ns. */
enum screen_event screen_wait(struct screen *s, uint64_t timeout, char *key);

#endif
