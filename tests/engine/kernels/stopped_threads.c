/* Runs jobs on a pool whose other threads are stopped, or share the caller's processor.
 *
 *     before    a thread was called, and has taken nothing
 *     within    it has taken items, and has not processed them
 *     after     it has processed them, and has not reported it
 *     beside    it is on the caller's processor
 *
 * Every item is processed once, and none after its job has ended. test_threads.py compiles it. */
#include <stdio.h>
#include <unistd.h>

#define sched_getcpu processor_of_thread
#include "c/threads.h"

enum { NO, BEFORE, WITHIN, AFTER };
enum { ITEMS = 37, JOBS = 40, CALLERS = 0, OTHER = 1, MICROSECONDS = 20, PATIENCE = 200000 };

typedef struct {
    _Atomic int64_t done[ITEMS];
    _Atomic int open;
} Board;

static _Thread_local int is_caller;
static _Atomic int stop_at, stopped, released, beside;
static _Atomic int64_t by_others;

static void fail(const char *why) {
    fprintf(stderr, "%s\n", why);
    exit(1);
}

static void reach(int place) {
    int expected = place;
    if (is_caller || !atomic_compare_exchange_strong(&stop_at, &expected, NO)) return;
    atomic_store(&stopped, 1);
    while (!atomic_load(&released)) usleep(MICROSECONDS);
}

int processor_of_thread(void) {
    reach(BEFORE);
    return is_caller || atomic_load(&beside) ? CALLERS : OTHER;
}

static void process(const void *context, int64_t first, int64_t last) {
    Board *board = (Board *)context;
    if (!is_caller) atomic_fetch_add(&by_others, last - first);
    usleep(MICROSECONDS); /* others get a processor meanwhile */
    reach(WITHIN);
    if (!atomic_load(&board->open)) fail("an item was processed after its job");
    for (int64_t item = first; item < last; item++) atomic_fetch_add(&board->done[item], 1);
    reach(AFTER);
}

static void run_job(Crew *crew, int64_t grain) {
    static Board board;
    for (int64_t item = 0; item < ITEMS; item++) atomic_store(&board.done[item], 0);
    atomic_store(&board.open, 1);
    share(crew, process, &board, ITEMS, grain);
    atomic_store(&board.open, 0);
    for (int64_t item = 0; item < ITEMS; item++)
        if (atomic_load(&board.done[item]) != 1) fail("an item was not processed once");
}

static void run_jobs(Crew *crew) {
    for (int64_t each = 0; each < JOBS; each++) run_job(crew, 1 + each % 5);
}

/* Release the stopped thread once its items are all that the caller waits for. */
static void *release_last(void *crew) {
    while (!atomic_load(&stopped) || atomic_load(&((Crew *)crew)->left) > 5) usleep(MICROSECONDS);
    usleep(50 * MICROSECONDS);
    if (atomic_load(&((Crew *)crew)->left) < 1) fail("the caller did not wait for an item");
    atomic_store(&released, 1);
    return NULL;
}

static void with_one_stopped(Crew *crew, int place) {
    pthread_t releases;
    atomic_store(&stopped, 0), atomic_store(&released, 0);
    if (place != BEFORE && pthread_create(&releases, NULL, release_last, crew)) abort();
    atomic_store(&stop_at, place);
    for (int64_t each = 0; !atomic_load(&stopped) && each < PATIENCE; each++) run_job(crew, 3);
    if (!atomic_load(&stopped)) fail("no other thread took part");
    run_jobs(crew);
    atomic_store(&released, 1);
    run_jobs(crew);
    if (place != BEFORE) pthread_join(releases, NULL);
}

static void with_all_beside(Crew *crew) {
    atomic_store(&beside, 1);
    run_job(crew, 1); /* an item that was begun is finished */
    int64_t before = atomic_load(&by_others);
    run_jobs(crew);
    if (atomic_load(&by_others) != before) fail("a thread worked on the caller's processor");
    atomic_store(&beside, 0);
    for (int64_t each = 0; atomic_load(&by_others) == before && each < PATIENCE; each++)
        run_job(crew, 1);
    if (atomic_load(&by_others) == before) fail("no thread came back");
}

int main(void) {
    is_caller = 1;
    for (int64_t threads = 2; threads <= 4; threads++) {
        Crew *crew = rowcast_gather(threads);
        for (int place = BEFORE; place <= AFTER; place++) with_one_stopped(crew, place);
        with_all_beside(crew);
        rowcast_leave(crew);
    }
    printf("done\n");
}
