/* A token for each row of logits, bit for bit as rowcast.sampling chooses it in torch.
 *
 *     bounds    the highest logit and the lowest; a value that is not finite fails the row
 *     edits     penalties, bias, bans and allow-list, on a copy of the row
 *     greedy    the likeliest token
 *     ranked    the k likeliest in order, then top_p and min_p among them
 *     open      no top_k: draws from the whole vocabulary until one is within top_p
 *
 * And what log-probabilities are made of: a row's mass, and the logits of tokens.
 *
 * Values are compared as integers that sort like them. Each step rounds as torch's operations
 * do, one after the other; sums are of integers, or fold halves in one shape. Rows are
 * distributed over another kernel's threads. Knows no tensors and checks no shapes: token_sampler.py
 * does.
 */
#include <stdatomic.h>

#include "c/sampling/rank.h"
#include "c/sampling/weigh.h"

enum { DESKS = 64 };
enum { MOST_MAXIMA = 512, MOST_TOKENS = 4096 }; /* from which on all tokens are weighed */
enum { GREEDY, RANKED, OPEN }; /* how a row's token is drawn */
enum { FAILED = -1 };
enum { OK = 0, NO_MEMORY = 1 };

/* A row's parameters, as token_sampler.py keeps them. */
typedef struct {
    int64_t way, top_k;
    double temperature, top_p, min_p;
    uint64_t stream;
    int64_t edited;
    const int64_t *seen; /* distinct tokens of its past, and how often each is in the reply */
    const float *counts;
    int64_t seen_count;
    float repetition, presence, frequency, unused;
    const int64_t *changed; /* tokens, what is added to each, and below which position */
    const float *added;
    const int64_t *until;
    int64_t changed_count;
    const uint8_t *refused; /* by token, or null */
} Seat;

typedef struct {
    const void *logits;
    int64_t half, size, step; /* bf16 or fp32; tokens; elements from one row to the next */
    const Seat *seats;
    const int64_t *rows, *positions;
    int64_t *tokens;
    int64_t count;
    const double *powers; /* of two, for `exponential` */
    int64_t octaves, steps;
} Ask;

/* What log-probabilities are computed from, for some rows of the logits. */
typedef struct {
    const void *logits;
    int64_t half, size, step;
    const int64_t *places, *tokens, *counts; /* rows of logits, chosen tokens, how many likeliest */
    int64_t count, stride;                   /* rows here; ids of each: the chosen one, the likeliest */
    int64_t *masses;                         /* in units of mass.total; 0: the row failed */
    int64_t *ids;
    double *below; /* logits of the ids, less the highest */
} Report;

/* The working memory of one thread. */
typedef struct {
    float *own;
    int32_t *maxima;
    uint64_t *keys, *spare;
    int64_t *sums;
} Desk;

typedef void (*Job)(const void *, int64_t first, int64_t last);
typedef void (*Sharer)(void *crew, Job job, const void *context, int64_t items, int64_t grain);

typedef struct {
    Desk desks[DESKS];
    _Atomic uint64_t taken;
    int64_t count;
    Sharer share;
    void *crew;
} Room;

typedef void (*OfRow)(const void *ask, int64_t place, Desk *desk);

typedef struct {
    Room *room;
    OfRow of_row;
    const void *ask;
} Work;

/* ---- noise by counter, and draws ---- */

static uint64_t mixed(uint64_t value) {
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
    value = (value ^ value >> 27) * 0x94D049BB133111EBu;
    return value ^ value >> 31;
}

static const uint64_t stride = 0x9E3779B97F4A7C15u;

static double uniform(const Seat *seat, int64_t position, int64_t lane) {
    uint64_t key = mixed(seat->stream + (uint64_t)(position + 1) * stride);
    return (mixed(key + (uint64_t)(lane + 1) * stride) >> 11) * 0x1p-53;
}

/* Return an index, drawn by its share of integer units. */
static int64_t pick(const int64_t *units, int64_t count, double noise) {
    int64_t whole = 0, below = 0, at = 0;
    for (int64_t each = 0; each < count; each++) whole += units[each];
    int64_t target = (int64_t)(noise * (double)whole);
    if (target > whole - 1) target = whole - 1;
    while (at < count && (below += units[at]) <= target) at++;
    return at < count ? at : count - 1;
}

/* e to a double exponent up to 0, by a table: as mass.exponential. */
static double exponential(const Ask *ask, double exponent) {
    const double lowest = -(double)(ask->octaves * ask->steps);
    const double steps_of_e = ask->steps / 0x1.62e42fefa39efp-1;
    double steps = exponent * steps_of_e;
    if (!(steps > lowest)) steps = lowest;
    if (steps > 0) steps = 0;
    double whole = floor(steps);
    double rest = (steps - whole) * (0x1.62e42fefa39efp-1 / ask->steps);
    return ask->powers[(int64_t)whole - (int64_t)lowest] * ((rest * .5 + 1.) * rest + 1.);
}

/* Gather and sort the likeliest tokens in `keys`, `wanted` of them or more. */
static void rank(const Row *row, const Bounds *found, int64_t wanted, Desk *desk) {
    const int64_t count = maxima_of(row->size, found->depth);
    int32_t least = threshold(desk->maxima, count, wanted, found->low, found->high);
    sort(desk->keys, desk->spare, gather(row, desk->maxima, count, found->depth, least, desk->keys));
}

static int64_t ranked(const Ask *ask, const Seat *seat, int64_t position, Desk *desk,
                      const uint64_t *keys) {
    const int64_t unit_bits = 44, count = seat->top_k;
    int64_t *units = desk->sums, whole = 0, before = 0;
    double *weights = (double *)desk->spare;
    double likeliest = unordered((int32_t)(keys[0] >> 32 ^ 0x80000000u));
    for (int64_t each = 0; each < count; each++) {
        double value = unordered((int32_t)(keys[each] >> 32 ^ 0x80000000u));
        weights[each] = exponential(ask, (value - likeliest) / seat->temperature);
        whole += units[each] = (int64_t)(weights[each] * (double)(1ll << unit_bits));
    }
    double limit = seat->top_p * (double)whole;
    for (int64_t each = 0; each < count; each++) {
        int64_t own = units[each];
        int within = (double)before < limit || before == 0;
        if (!within || weights[each] < seat->min_p) units[each] = 0;
        before += own;
    }
    return (uint32_t)~keys[pick(units, count, uniform(seat, position, 0))];
}

/* ---- draws from the whole vocabulary ---- */
/* As `fold`, of the tokens ranked before one: where they are few, only these are weighed. */
static int64_t fold_before(const Row *row, const Counted *counted, int64_t columns, int64_t depth,
                           Desk *desk) {
    const int64_t count = maxima_of(row->size, depth);
    const int32_t least = ordered_one(counted->own);
    uint64_t *keys = desk->keys;
    if (count_from(desk->maxima, count, least) > MOST_MAXIMA)
        return fold(row, counted, columns, desk->sums);
    int64_t found = gather(row, desk->maxima, count, depth, least, keys), all = 0, next;
    if (found > MOST_TOKENS) return fold(row, counted, columns, desk->sums);
    for (int64_t each = 0; each < found; each++) {
        int64_t token = (uint32_t)~keys[each];
        keys[each] = token % columns * LINES + token / columns;
    }
    sort(keys, desk->spare, found); /* by column */
    memset(desk->sums, 0, columns * sizeof *desk->sums);
    for (int64_t first = 0; first < found; first = next) {
        float part[LINES] = {0};
        int64_t column = keys[first] / LINES;
        for (next = first; next < found && (int64_t)keys[next] / LINES == column; next++) {
            int64_t line = keys[next] % LINES;
            part[line] = weight_of(row, counted, line * columns + column);
        }
        for (int64_t half = LINES / 2; half; half /= 2)
            for (int64_t line = 0; line < half; line++) part[line] += part[line + half];
        all += desk->sums[column] = units_of(part[0]);
    }
    return all;
}

static int64_t draw(const Row *row, const Counted *counted, int64_t columns, const int64_t *sums,
                    const Seat *seat, int64_t position, int64_t lane) {
    int64_t column = pick(sums, columns, uniform(seat, position, lane)), members[LINES];
    for (int64_t line = 0; line < LINES; line++) {
        int64_t at = line * columns + column;
        members[line] = at < row->size ? (int64_t)((double)weight_of(row, counted, at) * 0x1p53) : 0;
    }
    int64_t line = pick(members, LINES, uniform(seat, position, lane + 1));
    int64_t token = line * columns + column;
    return token < row->size ? token : row->size - 1;
}

static int64_t open_draw(const Row *row, const Seat *seat, int64_t position, const Bounds *found,
                         Desk *desk) {
    const int64_t columns = (row->size + LINES - 1) / LINES;
    Counted counted = counted_at(unordered(found->high), unordered(found->low), (float)seat->temperature);
    double whole = (double)fold(row, &counted, columns, desk->sums);
    if (seat->min_p > 0) {
        counted.least = (float)seat->min_p;
        fold(row, &counted, columns, desk->sums);
    }
    int64_t token = draw(row, &counted, columns, desk->sums, seat, position, 0);
    for (int64_t lane = 2; seat->top_p < 1; lane += 2) {
        counted.limited = 1;
        counted.token = token;
        counted.own = get_one(row, token);
        int64_t before = fold_before(row, &counted, columns, found->depth, desk);
        if ((double)before < seat->top_p * whole || before == 0) break;
        token = draw(row, &counted, columns, desk->sums, seat, position, lane);
    }
    return token;
}

/* ---- edits ---- */

static void copy_halves(const uint16_t *restrict halves, int64_t size, uint32_t *restrict own) {
    for (int64_t at = 0; at < size; at++) own[at] = (uint32_t)halves[at] << 16;
}

static void edit(const Seat *seat, int64_t position, const Row *row, float *own) {
    if (row->half) copy_halves(row->at, row->size, (uint32_t *)own);
    else memcpy(own, row->at, row->size * sizeof *own);
    for (int64_t each = 0; each < seat->seen_count; each++) {
        float *value = &own[seat->seen[each]], count = seat->counts[each];
        *value = *value < 0 ? *value * seat->repetition : *value / seat->repetition;
        *value -= count * seat->frequency;
        *value -= (count > 0 ? 1.f : 0.f) * seat->presence;
    }
    for (int64_t each = 0; each < seat->changed_count; each++)
        own[seat->changed[each]] += position < seat->until[each] ? seat->added[each] : 0.f;
    if (seat->refused)
        for (int64_t at = 0; at < row->size; at++)
            if (seat->refused[at]) own[at] = -INFINITY;
}

/* ---- a row ---- */

static int64_t draw_row(const Ask *ask, int64_t place, Desk *desk) {
    const Seat *seat = &ask->seats[ask->rows[place]];
    const int64_t position = ask->positions[place];
    Row row = row_at(ask->logits, ask->half, ask->size, ask->step, place);
    const int by_maxima = seat->way != OPEN || seat->top_p < 1;
    Bounds found = {.depth = depth_for(row.size, seat->top_k), .maxima = by_maxima ? desk->maxima : NULL};
    bounds(&row, &found);
    if (!is_finite(found.high) || !is_finite(found.low)) return FAILED;
    if (seat->edited) {
        edit(seat, position, &row, desk->own);
        row = (Row){desk->own, 0, row.size};
        bounds(&row, &found);
        if (!is_finite(found.high)) return FAILED;
    }
    if (seat->way == GREEDY) return first_of_highest(&row, &found);
    if (seat->way == OPEN)
        return open_draw(&row, seat, position, &found, desk);
    rank(&row, &found, seat->top_k, desk);
    return ranked(ask, seat, position, desk, desk->keys);
}

static void choose_row(const void *asked, int64_t place, Desk *desk) {
    const Ask *ask = asked;
    ask->tokens[place] = draw_row(ask, place, desk);
}

static void report_row(const void *asked, int64_t place, Desk *desk) {
    const Report *report = asked;
    const int64_t columns = (report->size + LINES - 1) / LINES;
    const int64_t wanted = report->counts[place] < report->size ? report->counts[place] : report->size;
    int64_t *ids = report->ids + place * report->stride;
    Row row = row_at(report->logits, report->half, report->size, report->step, report->places[place]);
    Bounds found = {.depth = depth_for(report->size, wanted), .maxima = wanted ? desk->maxima : NULL};
    report->masses[place] = 0;
    bounds(&row, &found);
    if (!is_finite(found.high) || !is_finite(found.low)) return;
    const Counted all = counted_at(unordered(found.high), unordered(found.low), 1);
    report->masses[place] = fold(&row, &all, columns, desk->sums);
    if (wanted) rank(&row, &found, wanted, desk);
    ids[0] = report->tokens[place];
    for (int64_t each = 0; each < wanted; each++) ids[each + 1] = (uint32_t)~desk->keys[each];
    for (int64_t each = 0; each <= wanted; each++)
        report->below[place * report->stride + each] =
            (double)get_one(&row, ids[each]) - (double)unordered(found.high);
}

static void some_rows(const void *context, int64_t first, int64_t last) {
    const Work *work = context;
    Room *room = work->room;
    uint64_t taken = atomic_load(&room->taken), desk;
    do desk = ~taken & (taken + 1); /* the lowest that is free */
    while (!atomic_compare_exchange_weak(&room->taken, &taken, taken | desk));
    Desk *own = &room->desks[__builtin_ctzll(desk)];
    for (int64_t place = first; place < last; place++) work->of_row(work->ask, place, own);
    atomic_fetch_and(&room->taken, ~desk);
}

static void all_rows(Room *room, OfRow of_row, const void *ask, int64_t count, int64_t size) {
    Work work = {room, of_row, ask};
    if (room->count > 1 && count > 1 && count * size > 16384)
        room->share(room->crew, some_rows, &work, count, 1);
    else some_rows(&work, 0, count);
}

/* ---- what token_sampler.py calls ---- */

void rowcast_choose(Room *room, const Ask *ask) {
    all_rows(room, choose_row, ask, ask->count, ask->size);
}

void rowcast_report(Room *room, const Report *report) {
    all_rows(room, report_row, report, report->count, report->size);
}

void rowcast_leave_room(Room *room) {
    for (int64_t each = 0; each < room->count; each++) free(room->desks[each].own);
    free(room);
}

/* Working memory for this many threads and a vocabulary of `size`; null if memory runs out. */
Room *rowcast_furnish(int64_t threads, int64_t size, Sharer share, void *crew) {
    const int64_t padded = (size + LANES * DEEPEST) / LANES * LANES;
    Room *room = calloc(1, sizeof(Room));
    if (!room) return NULL;
    room->share = share;
    room->crew = crew;
    for (; room->count < threads && room->count < DESKS; room->count++) {
        Desk *desk = &room->desks[room->count];
        void *memory;
        if (posix_memalign(&memory, 64, padded * (sizeof(float) + sizeof(int32_t) + 24))) break;
        desk->own = memory;
        desk->maxima = (int32_t *)(desk->own + padded);
        desk->keys = (uint64_t *)(desk->maxima + padded);
        desk->spare = desk->keys + padded;
        desk->sums = (int64_t *)(desk->spare + padded);
    }
    if (room->count) return room;
    free(room);
    return NULL;
}
