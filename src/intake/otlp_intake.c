#include "intake/otlp_intake.h"

#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "otlp/gzip.h"
#include "otlp/json.h"
#include "pipeline/otlp.h"
#include "store/commit.h"

enum {
    WHY_MAX = 256,
    /* Bytes of JSON that a step converts, and how much more of a turn each of them takes:
     * parsing one costs about as much as applying four of protobuf. */
    CONVERT_BYTES = 8192,
    CONVERT_COST = 4,
    LANES_SCANNED = 64,   /* for one whose turn it is */
    LATER_US = 10000,     /* until those that are over their budgets are looked at again */
    TURNS_HURRIED = 3,    /* before others have had their turn of the loop */
    TRIM_BYTES = 1 << 18, /* of messages at once, behind which memory is given back */
};
#define TURN_SHORT_NS (200 * NS_PER_US)
#define TRIM_NS       (500 * NS_PER_MS) /* since the last time: it has to be had anew */

enum job_stage {
    STAGE_INFLATE, /* `bytes` are compressed; what is unpacked is in `plain` */
    STAGE_CONVERT, /* `bytes` are JSON */
    STAGE_READY,   /* `bytes` are protobuf; no item is applied yet */
    STAGE_APPLY,   /* `request` has the bytes */
};

struct otlp_job {
    TAILQ_ENTRY(otlp_job) link;
    struct otlp_intake *in;
    struct otlp_lane *lane; /* NULL: out of line */
    enum job_stage stage;
    enum otlp_signal signal;
    bool json;
    struct buf bytes, plain;
    struct otlp_hold hold;
    struct inflate inflate;
    struct otlp_json *convert; /* NULL: not begun */
    struct otlp_request *request;
    otlp_answered *answered; /* NULL: abandoned */
    void *arg;
};

/* ---- counting ---- */

void otlp_intake_count(struct otlp_intake *in, enum otlp_protocol p, enum otlp_signal signal,
                       enum rpc_code code)
{
    own_add(&in->pl->own, OWN_OTLP_REQUESTS, own_otlp_index(p, signal, code), 1);
    store_commit(in->pl->st);
}

void otlp_refused(struct otlp_intake *in, unsigned why)
{
    own_add(&in->pl->own, OWN_OTLP_REFUSED, why, 1);
    store_commit(in->pl->st);
}

void otlp_spent(struct otlp_intake *in, uint64_t began_mono)
{
    const uint64_t ns = clock_now().mono - began_mono;
    own_observe(&in->pl->own, OWN_CALLBACK, (double)ns / (double)NS_PER_S);
    store_commit(in->pl->st);
}

/* ---- the budget ---- */

bool otlp_hold(struct otlp_intake *in, struct otlp_hold *h, uint64_t bytes)
{
    return otlp_budget_hold(&in->budget, h, bytes);
}

/* Half messages make no room by waiting, whole ones do. */
bool otlp_go_on(const struct otlp_intake *in)
{
    const struct otlp_budget *b = &in->budget;
    return b->used < b->limit / 4 * 3 || b->used - b->gathered < b->limit / 4;
}

/* ---- the line ---- */

static void be_due(struct otlp_intake *in)
{
    static const struct timeval at_once = {0, 0};
    if (!in->turning)
        in->turning = event_add(in->turn, &at_once) == 0;
}

static void wake(struct otlp_intake *in)
{
    if (!TAILQ_EMPTY(&in->lanes))
        be_due(in);
}

void otlp_displaced(struct otlp_intake *in)
{
    otlp_refused(in, OWN_LIMIT_BUFFER_FULL);
    be_due(in);
}

void otlp_lane_init(struct otlp_lane *lane)
{
    TAILQ_INIT(&lane->jobs);
}

static void enter_line(struct otlp_job *job, struct otlp_lane *lane)
{
    if (TAILQ_EMPTY(&lane->jobs))
        TAILQ_INSERT_TAIL(&job->in->lanes, lane, link);
    TAILQ_INSERT_TAIL(&lane->jobs, job, link);
    job->lane = lane;
}

static void leave_line(struct otlp_job *job)
{
    if (!job->lane)
        return;
    TAILQ_REMOVE(&job->lane->jobs, job, link);
    if (TAILQ_EMPTY(&job->lane->jobs))
        TAILQ_REMOVE(&job->in->lanes, job->lane, link);
    job->lane = NULL;
}

/* ---- jobs ---- */

static void free_job(struct otlp_job *job)
{
    leave_line(job);
    job->in->njobs--;
    (void)otlp_hold(job->in, &job->hold, 0);
    if (job->stage == STAGE_INFLATE)
        inflate_end(&job->inflate);
    otlp_json_end(job->convert);
    buf_fini(&job->bytes);
    buf_fini(&job->plain);
    otlp_request_free(job->request);
    free(job);
}

struct otlp_job *otlp_job_new(struct otlp_intake *in, struct otlp_lane *lane,
                              struct otlp_message *m, otlp_answered *answered, void *arg)
{
    struct otlp_job *job = calloc(1, sizeof *job);
    if (!job || (m->gzip && inflate_begin(&job->inflate, buf_str(&m->bytes)) < 0)) {
        (void)otlp_hold(in, &m->hold, 0);
        buf_fini(&m->bytes);
        free(job);
        return NULL;
    }
    job->in = in;
    job->signal = m->signal;
    job->json = m->json;
    job->stage = m->gzip ? STAGE_INFLATE : m->json ? STAGE_CONVERT : STAGE_READY;
    job->bytes = m->bytes;
    otlp_budget_pass(&in->budget, &m->hold, &job->hold);
    buf_init(&job->plain, m->gzip && m->json ? in->options.json : in->options.message);
    job->answered = answered;
    job->arg = arg;
    buf_init(&m->bytes, m->bytes.max);
    in->njobs++;
    enter_line(job, lane);
    wake(in);
    return job;
}

bool otlp_job_begun(const struct otlp_job *job)
{
    return job->stage == STAGE_APPLY;
}

void otlp_job_abandon(struct otlp_job *job)
{
    job->answered = NULL;
    if (!otlp_job_begun(job)) {
        free_job(job);
        return;
    }
    leave_line(job);
    enter_line(job, &job->in->orphans);
}

/* Its lane may go with the answer. */
static void answer(struct otlp_job *job, const struct otlp_answer *a)
{
    otlp_answered *answered = job->answered;
    leave_line(job);
    if (answered) {
        job->answered = NULL;
        answered(job->arg, a);
    }
    free_job(job);
}

static void fail(struct otlp_job *job, enum rpc_code code, struct str why, uint64_t retry)
{
    const struct otlp_answer a = {.code = code, .message = why, .retry = retry};
    answer(job, &a);
}

static void fail_for_memory(struct otlp_job *job)
{
    fail(job, RPC_UNAVAILABLE, STR("out of memory"), OTLP_RETRY_NS);
}

static void fail_for_size(struct otlp_job *job)
{
    otlp_refused(job->in, OWN_LIMIT_MESSAGE_SIZE);
    fail(job, RPC_RESOURCE_EXHAUSTED, STR("the message is larger than is taken"), 0);
}

/* False, and it has failed, when the budget has no room for what it holds now. */
static bool hold(struct otlp_job *job)
{
    if (otlp_hold(job->in, &job->hold, job->bytes.cap + job->plain.cap))
        return true;
    otlp_refused(job->in, OWN_LIMIT_BUFFER_FULL);
    fail(job, RPC_RESOURCE_EXHAUSTED, STR("too many messages at once"), OTLP_RETRY_NS);
    return false;
}

/* What is in `plain` takes the place of the bytes. */
static bool move_on(struct otlp_job *job, enum job_stage stage)
{
    buf_fini(&job->bytes);
    job->bytes = job->plain;
    buf_init(&job->plain, job->in->options.message);
    job->stage = stage;
    return hold(job);
}

static size_t inflate_some(struct otlp_job *job)
{
    const size_t before = job->plain.n;
    const int r = inflate_step(&job->inflate, &job->plain, OTLP_TURN_BYTES);
    const size_t done = job->plain.n - before;
    if (r == 1) {
        (void)hold(job);
        return done;
    }
    inflate_end(&job->inflate);
    job->stage = STAGE_READY;
    if (r == 0)
        (void)move_on(job, job->json ? STAGE_CONVERT : STAGE_READY);
    else if (r == -ERR_RANGE)
        fail_for_size(job);
    else if (r == -ERR_NOMEM)
        fail_for_memory(job);
    else
        fail(job, RPC_INVALID_ARGUMENT, STR("the message is no gzip"), 0);
    return done;
}

/* The step that ends it frees the text that it reads. */
static void end_convert(struct otlp_job *job, int r, const char *why)
{
    otlp_json_end(job->convert);
    job->convert = NULL;
    if (r == 0)
        (void)move_on(job, STAGE_READY);
    else if (r == -ERR_NOMEM)
        fail_for_memory(job);
    else
        fail(job, RPC_INVALID_ARGUMENT, str_of(why), 0);
}

static size_t convert(struct otlp_job *job)
{
    char why[WHY_MAX] = "";
    size_t done = 0;
    if (!job->convert)
        job->convert = otlp_json_begin(&job->plain, job->signal, buf_str(&job->bytes));
    const int r = job->convert ? otlp_json_step(job->convert, CONVERT_BYTES, &done, why, sizeof why)
                               : -ERR_NOMEM;
    if (r == 1)
        (void)hold(job);
    else
        end_convert(job, r, why);
    return CONVERT_COST * done;
}

/* The bytes go to the request, which is still held for. */
static size_t begin(struct otlp_job *job)
{
    const size_t n = job->bytes.n;
    if (n == 0) {
        const struct otlp_answer nothing = {.code = RPC_OK};
        answer(job, &nothing);
        return 0;
    }
    job->request = otlp_request_new(job->in->pl, job->signal, (uint8_t *)job->bytes.p, n);
    buf_init(&job->bytes, 0);
    if (!job->request) {
        fail_for_memory(job);
        return 0;
    }
    job->stage = STAGE_APPLY;
    return 0;
}

static size_t apply(struct otlp_job *job)
{
    struct otlp_result result;
    /* A quantum while others wait. */
    const bool alone = !TAILQ_NEXT(TAILQ_FIRST(&job->in->lanes), link);
    const size_t most = alone ? OTLP_TURN_BYTES : DOMAIN_QUANTUM;
    if (otlp_request_step(job->request, most, clock_now()))
        return most;
    otlp_request_result(job->request, &result);
    if (result.retry) {
        fail(job, result.over ? RPC_RESOURCE_EXHAUSTED : RPC_UNAVAILABLE,
             result.over ? STR("the failure domain is over its rate")
                         : STR("the failure domain is refused for now"),
             result.retry);
        return DOMAIN_QUANTUM;
    }
    const struct otlp_answer a = {
        .code = result.unreadable ? RPC_INVALID_ARGUMENT : RPC_OK,
        .rejected = result.rejected,
        .message = result.message,
    };
    const size_t n = job->hold.bytes < OTLP_TURN_BYTES ? job->hold.bytes : OTLP_TURN_BYTES;
    answer(job, &a);
    return n;
}

/* One step; the job may be gone then. Returns about how many bytes it dealt with. What is
 * not applied yet is nobody's: all of it shares a turn. */
static size_t step(struct otlp_job *job)
{
    switch (job->stage) {
    case STAGE_INFLATE:
        return inflate_some(job);
    case STAGE_CONVERT:
        return convert(job);
    case STAGE_READY:
        return begin(job);
    case STAGE_APPLY:
        break;
    }
    return apply(job);
}

/* ---- turns ---- */

void otlp_intake_trim(struct otlp_intake *in, uint64_t now)
{
    struct otlp_budget *b = &in->budget;
    if (b->used > 0 || b->peak < TRIM_BYTES || now - in->trimmed < TRIM_NS)
        return;
    b->peak = 0;
    in->trimmed = now;
    malloc_trim(0);
}

/* Whose turn a job takes: its domain's, or that of those who have none yet. */
static unsigned queue_of(const struct otlp_job *job)
{
    const int domain = job->stage == STAGE_APPLY ? otlp_request_domain(job->request) : -1;
    return domain < 0 ? job->in->pl->options.domains : (unsigned)domain;
}

static bool is_late(const struct otlp_job *job, struct when now)
{
    struct otlp_intake *in = job->in;
    const unsigned q = queue_of(job);
    return !in->draining && q < in->pl->options.domains &&
           domain_pace(in->pl, q, now) == DOMAIN_LATER;
}

enum look { LOOK_FOUND, LOOK_SPENT, LOOK_LATE };

/* The first lane whose domain has a turn and is within its budgets; lanes go to the end of
 * the line as they are passed. Spent: there are some without a turn; late: with neither. */
static enum look next_lane(struct otlp_intake *in, struct when now, struct otlp_lane **out)
{
    const struct otlp_lane *first = TAILQ_FIRST(&in->lanes);
    enum look look = LOOK_LATE;
    for (unsigned i = 0; i < LANES_SCANNED; i++) {
        struct otlp_lane *lane = TAILQ_FIRST(&in->lanes);
        const struct otlp_job *job = TAILQ_FIRST(&lane->jobs);
        if (i > 0 && lane == first)
            break;
        TAILQ_REMOVE(&in->lanes, lane, link);
        TAILQ_INSERT_TAIL(&in->lanes, lane, link);
        if (is_late(job, now)) {
            own_add(&in->pl->own, OWN_DOMAIN_DEFERRED, queue_of(job), 1);
            continue;
        }
        look = LOOK_SPENT;
        if (domain_has_turn(in->pl, queue_of(job))) {
            *out = lane;
            return LOOK_FOUND;
        }
    }
    return look;
}

/* One step of whoever's turn it is; 0 when all are over their budgets. */
static size_t serve_next(struct otlp_intake *in, struct when now)
{
    struct otlp_lane *lane = NULL;
    enum look look;
    while ((look = next_lane(in, now, &lane)) == LOOK_SPENT)
        domain_next_round(in->pl);
    if (look != LOOK_FOUND)
        return 0;
    struct otlp_job *job = TAILQ_FIRST(&lane->jobs);
    const bool nobodys = job->stage != STAGE_APPLY;
    const size_t done = step(job);
    if (nobodys)
        domain_spend(in->pl, in->pl->options.domains, 2 * done);
    return done ? done : 1;
}

/* Whether a turn does another step: up to its bytes, and on to several times as many while it
 * has taken little time, so that a message is not spread over turns that cost more than it. */
static bool goes_on(size_t done, uint64_t began)
{
    return done < OTLP_TURN_BYTES ||
           (done < OTLP_TURN_MOST && clock_now().mono - began < TURN_SHORT_NS);
}

static void turn(struct otlp_intake *in)
{
    static const struct timeval later = {0, LATER_US};
    const struct when now = clock_now();
    const uint64_t began = now.mono;
    size_t done = 0, n = 1;
    for (int i = 0; i < 3 * OTLP_TURN_JOBS && goes_on(done, began) && n > 0; i++) {
        if (TAILQ_EMPTY(&in->lanes))
            break;
        n = serve_next(in, now);
        done += n;
    }
    if (n > 0)
        wake(in);
    else
        event_add(in->turn, &later); /* a message that comes meanwhile makes it due at once */
    if (in->settled)
        in->settled(in->settled_arg);
    otlp_intake_trim(in, began);
    otlp_spent(in, began);
    if (in->turned)
        in->turned(in->turned_arg);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct otlp_intake *in = arg;
    (void)fd;
    (void)what;
    in->turning = false;
    in->hurried = 0;
    turn(in);
}

/* The turn that is due stays due where there is something left for it, or another message would
 * be dealt with after it: so it ends the row of those before it. */
void otlp_intake_hurry(struct otlp_intake *in)
{
    if (!in->turning || in->hurried == TURNS_HURRIED)
        return;
    in->hurried++;
    turn(in);
    if (in->hurried == TURNS_HURRIED || !TAILQ_EMPTY(&in->lanes))
        return;
    event_del(in->turn);
    in->turning = false;
}

/* ---- life ---- */

int otlp_intake_init(struct otlp_intake *in, struct event_base *base, struct pipeline *pl,
                     const struct otlp_intake_options *o)
{
    *in = (struct otlp_intake){.base = base, .pl = pl, .options = *o};
    otlp_budget_init(&in->budget, o->buffer);
    TAILQ_INIT(&in->lanes);
    otlp_lane_init(&in->orphans);
    in->turn = event_new(base, -1, 0, on_turn, in);
    return in->turn ? 0 : -ERR_NOMEM;
}

void otlp_intake_configure(struct otlp_intake *in, const struct otlp_intake_options *o)
{
    in->options = *o;
    in->budget.limit = o->buffer;
}

void otlp_intake_fini(struct otlp_intake *in)
{
    if (!in->turn)
        return;
    while (!TAILQ_EMPTY(&in->lanes)) {
        struct otlp_job *job = TAILQ_FIRST(&TAILQ_FIRST(&in->lanes)->jobs);
        assert(!job->answered); /* the ports are gone, so nobody waits */
        free_job(job);
    }
    event_free(in->turn);
    in->turn = NULL;
}
