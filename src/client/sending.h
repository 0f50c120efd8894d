/* sending: how an attempt to send something went. */
#ifndef MCPTALLY_CLIENT_SENDING_H
#define MCPTALLY_CLIENT_SENDING_H

enum sending {
    SENDING_ON,      /* a piece is out */
    SENDING_FULL,    /* nothing is: the socket takes no more for now, or a signal came */
    SENDING_STARVED, /* nothing is: memory is out, and no event says when there is some again */
    SENDING_DONE,    /* nothing is left */
    SENDING_BROKEN,  /* the daemon has gone */
};

/* By the errno of a send() that failed. */
enum sending sending_failed(int error);

#endif
