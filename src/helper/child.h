/* child: what runs in the processes beside the daemon's. Floor 4.
 *
 * The spawner is forked by the daemon before it has a store; it does nothing but fork
 * helpers, each over a socket that the daemon sends it. So the daemon itself never
 * forks while it has a store mapped, whose page tables would be copied, and a helper
 * that dies can be replaced. Both end when the daemon's end of their socket closes. */
#ifndef MCPTALLY_HELPER_CHILD_H
#define MCPTALLY_HELPER_CHILD_H

#include <pthread.h>

#include "helper/message.h"

/* The life of a spawner: takes sockets from `fd`, forks a helper, or a gate, for each. */
_Noreturn void spawner_run(int fd, const char *state_dir);
/* The other end: has one forked that gets `fd`. 0 or -ERR_CLOSED, -ERR_FULL. */
enum spawned { SPAWN_HELPER, SPAWN_GATE };
int spawner_ask(int spawner, enum spawned what, int fd);

/* The life of a helper. */
_Noreturn void helper_child(int fd, const char *state_dir);

/* Where answers go; from any thread. */
struct answers {
    int fd;
    pthread_mutex_t lock;
};
/* Writes the answer to a question; m->size bytes of `payload` behind it. */
void answers_send(struct answers *a, const struct message *m, const void *payload);

/* ---- helper_resolve.c: names, each in a thread of its own while it is looked up ---- */

struct resolver;
struct resolver *resolver_new(struct answers *answers);
void resolver_ask(struct resolver *r, const struct message *question, const char *host);

/* ---- helper_run.c: commands, each watched by a thread of its own ---- */

struct runner;
struct runner *runner_new(struct answers *answers);
/* Runs it; `texts` are question->size bytes. */
void runner_ask(struct runner *r, const struct message *question, const char *texts);
/* Ends every command that runs. */
void runner_stop(struct runner *r);

/* ---- helper_disk.c ---- */

struct disk {
    int dir; /* -1: not open */
};

/* Opens, or makes, state_dir/spool/NAME and locks it: 0, -ERR_BUSY (another helper still
 * has it), -ERR_PERM, -ERR_FULL, -ERR_IO. */
int disk_open(struct disk *d, const char *state_dir, const char *name);
void disk_close(struct disk *d);
void disk_io(struct disk *d, struct spool_io *io);
/* Answers how full the file system of the directory is. */
void disk_usage(struct answers *answers, const struct message *question, const char *state_dir);
/* The error for an errno. */
int disk_error(int number);
/* A regular file of at most HELPER_FILE bytes; free *bytes. */
int disk_read_file(const char *path, char **bytes, uint32_t *n);

/* Takes the lock of a descriptor, waiting a second at most: 0 or -ERR_BUSY ... */
int disk_lock(int fd);
/* The state directory, made with what leads to it: 0 or an error. */
int disk_make_path(const char *path);

/* ---- helper_lines.c ---- */

struct lines;
struct lines *lines_new(const char *state_dir, struct answers *answers);
void lines_open(struct lines *all, const struct message *question, const char *path);
void lines_add(struct lines *all, const struct message *question, const char *bytes);

/* ---- helper_spool.c ---- */

struct spools;
struct spools *spools_new(const char *state_dir, struct answers *answers);
/* Does what a question about a spool asks for. Answers of appends wait for a flush. */
void spools_ask(struct spools *all, const struct message *question, const char *payload);
/* Makes what was appended durable and answers. */
void spools_flush(struct spools *all);
void spools_free(struct spools *all);

#endif
