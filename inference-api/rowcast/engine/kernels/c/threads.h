/* Threads that wait for jobs: a job is cut into ranges of items, each thread's own first, then the
 * others'. */
#pragma once
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "lanes.h"

#if defined __linux__
int sched_getcpu(void); /* sched.h declares it for _GNU_SOURCE alone */
#endif
enum { NOWHERE = -1 };
enum { THREADS = 64 };
enum { SPINS = 2000 };          /* polls of the other threads before sleeping: 20-50 microseconds */
enum { SHORT_NAP = 500 * 1000, LONG_NAP = 8 * 1000 * 1000 }; /* nanoseconds */

typedef void (*Job)(const void *, int64_t first, int64_t last);

/* What a thread does before its first item of a job, and after its last. */
typedef struct {
    void (*enter)(const void *with);
    void (*leave)(void);
    const void *with;
} Frame;

typedef struct {
    _Alignas(LINE) _Atomic uint64_t range; /* first << 32 | last: items that no thread has taken */
} Share;

typedef struct Crew Crew;

typedef struct {
    Crew *crew;
    int64_t number;
    pthread_t thread;
} Member;

struct Crew {
    Share shares[THREADS];
    _Alignas(LINE) _Atomic uint32_t round; /* jobs so far */
    _Atomic int32_t asleep, leaving; /* asleep: some threads wait, and were not called yet */
    _Atomic int32_t processor; /* that ran the caller when the job began */
    _Alignas(LINE) _Atomic int64_t left; /* items of the job that are not done */
    _Atomic(Job) job;
    _Atomic(const void *) context;
    _Atomic(const Frame *) frame; /* null: none */
    _Atomic int64_t grain;
    int64_t threads;
    pthread_mutex_t turn, sleeping; /* one caller at a time; for sleeping until the next round */
    pthread_cond_t called;
    Member members[THREADS];
    int64_t tiles; /* how linear layers use the processor's tile unit */
    char *inputs;  /* a linear layer's, laid out for its tiles */
    int64_t inputs_size;
};

INLINE void pause_briefly(void) {
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

/* The number of the processor that runs this thread; NOWHERE if the system does not tell. */
INLINE int32_t processor_here(void) {
#if defined __linux__
    return sched_getcpu();
#else
    return NOWHERE;
#endif
}

/* True if this thread and the caller take turns on one processor: then it only delays the caller. */
INLINE int is_in_the_way(Crew *crew) {
    int32_t here = processor_here();
    return here >= 0 && here == atomic_load_explicit(&crew->processor, memory_order_relaxed);
}

/* A thread that takes items of a range works for the present job, which cannot end before them. */
static int take(Crew *crew, int64_t whose, int from_front, int64_t *first, int64_t *last) {
    _Atomic uint64_t *range = &crew->shares[whose].range;
    uint64_t seen = atomic_load(range);
    for (;;) {
        int64_t low = seen >> 32, high = seen & UINT32_MAX;
        if (low >= high) return 0;
        int64_t grain = atomic_load_explicit(&crew->grain, memory_order_relaxed);
        int64_t size = high - low < grain ? high - low : grain;
        *first = from_front ? low : high - size;
        *last = *first + size;
        uint64_t rest = from_front ? (uint64_t)(low + size) << 32 | high
                                   : (uint64_t)low << 32 | (high - size);
        if (atomic_compare_exchange_weak(range, &seen, rest)) return 1;
    }
}

/* Leave one frame, enter another. A thread may meet the items of the next job. */
static const Frame *change(const Frame *from, const Frame *to) {
    if (from == to) return to;
    if (from) from->leave();
    if (to) to->enter(to->with);
    return to;
}

/* Take and process items until there are none. They are reported together: `left` is a line that all
 * threads write, and their job cannot end before. */
static void work(Crew *crew, int64_t self) {
    int64_t first, last, done = 0;
    const Frame *within = NULL;
    for (int64_t next = 0; next < crew->threads; next++) {
        int64_t whose = (self + next) % crew->threads;
        while (!(self && is_in_the_way(crew)) && take(crew, whose, next == 0, &first, &last)) {
            Job job = atomic_load_explicit(&crew->job, memory_order_relaxed);
            within = change(within, atomic_load_explicit(&crew->frame, memory_order_relaxed));
            job(atomic_load_explicit(&crew->context, memory_order_relaxed), first, last);
            done += last - first;
        }
    }
    change(within, NULL);
    if (done) atomic_fetch_sub(&crew->left, done);
}

static void sleep_until_called(Crew *crew, uint32_t round) {
    pthread_mutex_lock(&crew->sleeping);
    atomic_store(&crew->asleep, 1);
    while (atomic_load(&crew->round) == round) pthread_cond_wait(&crew->called, &crew->sleeping);
    pthread_mutex_unlock(&crew->sleeping);
}

static void call(Crew *crew) {
    atomic_fetch_add(&crew->round, 1);
    if (!atomic_load(&crew->asleep)) return;
    pthread_mutex_lock(&crew->sleeping);
    atomic_store(&crew->asleep, 0);
    pthread_cond_broadcast(&crew->called);
    pthread_mutex_unlock(&crew->sleeping);
}

static uint32_t wait_for_call(Crew *crew, uint32_t round) {
    for (int spins = 0; atomic_load(&crew->round) == round && spins < SPINS; spins++)
        pause_briefly();
    if (atomic_load(&crew->round) == round) sleep_until_called(crew, round);
    return atomic_load(&crew->round);
}

/* The system wakes a thread on the caller's processor if no other is idle, and both take turns. It
 * then naps, longer each time, instead of working. */
static void *attend(void *argument) {
    Member *member = argument;
    Crew *crew = member->crew;
    uint32_t round = 0;
    long nap = SHORT_NAP;
    for (;;) {
        round = wait_for_call(crew, round);
        if (atomic_load(&crew->leaving)) return NULL;
        work(crew, member->number);
        if (is_in_the_way(crew)) {
            nanosleep(&(struct timespec){0, nap}, NULL);
            nap = nap * 2 < LONG_NAP ? nap * 2 : LONG_NAP;
        } else nap = SHORT_NAP;
    }
}

/* A thread reads the job after it has taken items of a range, which is written last. */
static void publish(Crew *crew, const Frame *frame, Job job, const void *context, int64_t items,
                    int64_t grain) {
    atomic_store_explicit(&crew->job, job, memory_order_relaxed);
    atomic_store_explicit(&crew->frame, frame, memory_order_relaxed);
    atomic_store_explicit(&crew->context, context, memory_order_relaxed);
    atomic_store_explicit(&crew->grain, grain, memory_order_relaxed);
    atomic_store_explicit(&crew->left, items, memory_order_relaxed);
    atomic_store_explicit(&crew->processor, processor_here(), memory_order_relaxed);
    for (int64_t each = 0; each < crew->threads; each++) {
        uint64_t low = items * each / crew->threads, high = items * (each + 1) / crew->threads;
        atomic_store_explicit(&crew->shares[each].range, low << 32 | high, memory_order_release);
    }
}

/* The caller works too, and waits only for items that other threads are processing. */
static void share_within(Crew *crew, const Frame *frame, Job job, const void *context,
                         int64_t items, int64_t grain) {
    if (crew->threads == 1 || items <= grain) {
        change(NULL, frame);
        if (items > 0) job(context, 0, items);
        change(frame, NULL);
        return;
    }
    publish(crew, frame, job, context, items, grain);
    call(crew);
    work(crew, 0);
    for (int spins = 0; atomic_load(&crew->left) > 0; spins++)
        if (spins < SPINS) pause_briefly();
        else sched_yield();
}

static void share(Crew *crew, Job job, const void *context, int64_t items, int64_t grain) {
    share_within(crew, NULL, job, context, items, grain);
}

void rowcast_leave(Crew *crew) {
    atomic_store(&crew->leaving, 1);
    call(crew);
    for (int64_t each = 1; each < crew->threads; each++)
        pthread_join(crew->members[each].thread, NULL);
    pthread_mutex_destroy(&crew->turn);
    pthread_mutex_destroy(&crew->sleeping);
    pthread_cond_destroy(&crew->called);
    free(crew->inputs);
    free(crew);
}

/* Start as many threads as possible, including the caller's; null if memory runs out. */
Crew *rowcast_gather(int64_t threads) {
    void *room;
    if (posix_memalign(&room, LINE, sizeof(Crew))) return NULL;
    Crew *crew = memset(room, 0, sizeof(Crew));
    pthread_mutexattr_t again; /* a foreign operation may share its own work */
    pthread_mutexattr_init(&again);
    pthread_mutexattr_settype(&again, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&crew->turn, &again);
    pthread_mutexattr_destroy(&again);
    pthread_mutex_init(&crew->sleeping, NULL);
    pthread_cond_init(&crew->called, NULL);
    crew->threads = threads < 1 ? 1 : threads > THREADS ? THREADS : threads;
    for (int64_t each = 1; each < crew->threads; each++) {
        Member *member = &crew->members[each];
        member->crew = crew;
        member->number = each;
        if (pthread_create(&member->thread, NULL, attend, member)) {
            crew->threads = each; /* seen by those already there before the first job */
            break;
        }
    }
    return crew;
}
