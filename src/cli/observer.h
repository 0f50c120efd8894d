/* observer: the process that reads what the relay tees off, makes sense of it
 * and reports. It may be slow, stop or die: the relay does not notice. */
#ifndef MCPTALLY_CLI_OBSERVER_H
#define MCPTALLY_CLI_OBSERVER_H

struct stamp;
struct tee_reader;

struct observer_options {
    const char *service;
    const char *socket;        /* of the daemon; NULL: the usual places */
    int record;                /* descriptor of the recording, -1 for none */
    const struct stamp *stamp; /* NULL: the relay gives out no contexts */
};

/* The whole life of the process, as struct relay_options wants it; arg is a
 * struct observer_options. Returns the exit status. */
int observer_run(void *arg, struct tee_reader *tee);

#endif
