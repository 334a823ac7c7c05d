/*
 * fuzz_replay NAME CORPUS N_MUTATIONS [SEED]
 * Runs a fuzz target as a plain test: on every file of the corpus, on prefixes of it, and on N_MUTATIONS
 * seeded mutations of it. Each input lies in memory of exactly its size, so that a sanitizer sees one byte
 * too many. Each file has a process of its own: a crash is a failed test, and the input that caused it is
 * left in a file.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "support/support.h"

enum { MAX_PREFIXES = 300, MAX_GROWTH = 64, INPUT_LIMIT = 16 << 20 };

/* The input at work, shared with the parent that looks at it after a crash. */
typedef struct shared_input {
    size_t n;
    uint8_t data[INPUT_LIMIT];
} shared_input;

static shared_input *current;

static void run(const uint8_t *data, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1);

    assert(exact != NULL && n <= INPUT_LIMIT);
    memcpy(exact, data, n);
    memcpy(current->data, data, n);
    current->n = n;
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

static size_t place_in(test_rng *rng, size_t n)
{
    return n == 0 ? 0 : (size_t)test_rng_range(rng, 0, (int64_t)n - 1);
}

/* Numbers that offsets, sizes and counts are wrong at. */
static uint64_t awkward_number(test_rng *rng, size_t n)
{
    const uint64_t numbers[] = {0,          1,          0x7f,      0x80,       0xff, 0xffff, 0x7fffffff,
                                0x80000000, UINT32_MAX, INT64_MAX, UINT64_MAX, n,    n + 1,  n - 1};
    return numbers[place_in(rng, sizeof numbers / sizeof numbers[0])];
}

static void overwrite_number(test_rng *rng, uint8_t *data, size_t n)
{
    const size_t width = (size_t)1 << test_rng_range(rng, 0, 3);
    const uint64_t number = awkward_number(rng, n);

    if (n < width)
        return;
    const size_t place = place_in(rng, n - width + 1);
    for (size_t i = 0; i < width; i++)
        data[place + i] = (uint8_t)(number >> (8 * i));
}

/* One change to data, which has room for MAX_GROWTH more bytes; returns the new size. */
static size_t mutate(test_rng *rng, uint8_t *data, size_t n, size_t room)
{
    const size_t from = place_in(rng, n), to = place_in(rng, n);
    const size_t span = (size_t)test_rng_range(rng, 1, 16);

    if (n == 0)
        return 0;
    switch (test_rng_range(rng, 0, 5)) {
    case 0: data[from] ^= (uint8_t)(1u << test_rng_range(rng, 0, 7)); break;
    case 1: data[from] = (uint8_t)test_rng_next(rng); break;
    case 2: overwrite_number(rng, data, n); break;
    case 3: /* a piece of it elsewhere */
        if (from + span <= n && to + span <= n)
            memmove(data + to, data + from, span);
        break;
    case 4: /* a piece less */
        if (from + span <= n) {
            memmove(data + from, data + from + span, n - from - span);
            return n - span;
        }
        break;
    default: /* a piece more */
        if (n + span <= room) {
            memmove(data + from + span, data + from, n - from);
            test_rng_fill_bytes(rng, data + from, span);
            return n + span;
        }
    }
    return n;
}

static void replay_file(const char *path, int n_mutations, uint64_t seed)
{
    test_rng rng = test_rng_seed(seed);
    size_t n;
    uint8_t *data = test_read_file(path, &n);
    const size_t room = n + MAX_GROWTH, step = n / MAX_PREFIXES + 1;
    uint8_t *changed = malloc(room);

    assert(changed != NULL);
    run(data, n);
    for (size_t prefix = 0; prefix < n; prefix += step)
        run(data, prefix);
    for (int i = 0; i < n_mutations; i++) {
        size_t size = n;
        memcpy(changed, data, n);
        for (int64_t changes = test_rng_range(&rng, 1, 4); changes > 0; changes--)
            size = mutate(&rng, changed, size, room);
        run(changed, size);
    }
    free(changed);
    free(data);
}

/* Whether the target lived through the file; if not, *kept is where the guilty input lies. */
static bool survives(const char *path, int n_mutations, uint64_t seed, const char *name, char **kept)
{
    int status = 0;

    fflush(NULL);
    const pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        replay_file(path, n_mutations, seed);
        exit(0); /* and not _exit: leaks are looked for at exit */
    }
    assert(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    char leaf[128];
    const char *scratch = getenv("TMPDIR");
    snprintf(leaf, sizeof leaf, "qvk-fuzz-%s-%ld.input", name, (long)child);
    *kept = test_path(scratch ? scratch : "/tmp", leaf);
    test_write_file(*kept, current->data, current->n);
    return false;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    int n_failed = 0;

    if (argc < 4) {
        fprintf(stderr, "usage: fuzz_replay NAME CORPUS N_MUTATIONS [SEED]\n");
        return 2;
    }
    const uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
    const int n_files = scandir(argv[2], &entries, is_visible, alphasort);
    current = mmap(NULL, sizeof *current, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (n_files <= 0 || current == MAP_FAILED) {
        fprintf(stderr, "%s: no corpus, or no memory\n", argv[2]);
        return 1;
    }
    printf("1..%d\n", n_files);
    for (int i = 0; i < n_files; i++) {
        char path[4096], *kept = NULL; /* path: on the stack, or it would be a leak of the child */
        snprintf(path, sizeof path, "%s/%s", argv[2], entries[i]->d_name);
        const bool survived = survives(path, atoi(argv[3]), seed, argv[1], &kept);
        printf("%s %d - %s\n", survived ? "ok" : "not ok", i + 1, entries[i]->d_name);
        if (!survived)
            printf("# the input that did it: %s\n", kept);
        n_failed += !survived;
        free(kept);
        free(entries[i]);
    }
    free(entries);
    return n_failed > 0;
}
