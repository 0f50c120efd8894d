/* board: the lines of a sheet as a table for people, or as an object. */
#ifndef MCPTALLY_CLI_BOARD_H
#define MCPTALLY_CLI_BOARD_H

#include "base/buf.h"
#include "cli/sheet_line.h"

struct board {
    unsigned columns; /* no line is longer */
    unsigned lines;   /* nor are there more; 0: any number */
    bool colour;
    bool live;                        /* a daemon runs */
    uint64_t pid;                     /* its own */
    const char *order;                /* how it is sorted */
    const struct sheet *now, *before; /* before may be NULL */
    const struct sheet_line *rows;    /* now->n of them, or NULL */
};

void board_text(struct buf *to, const struct board *b);

/* Appends one JSON object with a line end; null is what is not known. */
void board_json(struct buf *to, const struct board *b);

#endif
