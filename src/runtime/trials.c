/* Verdicts on kernels: asked for, found on disk, kept. */
#include "runtime/trials.h"

#include <pthread.h>
#include <stdio.h>

#include "runtime/device_notes.h"
#include "runtime/trial_run.h"

typedef struct verdicts {
    uint8_t of[QVK__KERNEL_COUNT];
    bool suspect[QVK__KERNEL_COUNT]; /* did not come to an end in an earlier process */
} verdicts;

struct qvk__trials {
    qvk__gpu *gpu;
    qvk_log_fn log;
    void *log_user;
    pthread_mutex_t lock; /* of what follows; held while a kernel is tried */
    bool is_read;         /* the file was looked at */
    verdicts known;
    qvk__string said; /* lines for the log */
};

/* ---- the file ------------------------------------------------------------------------------------------- */

typedef struct file_entry {
    char name[48];  /* of the kernel: the order of the table is another one in another build */
    uint64_t spirv; /* hash of its words */
    uint64_t verdict;
} file_entry;

/* The magic changes with what a trial computes. */
static const qvk__notes_kind notes = {"trials", "QVKTRY01", sizeof(file_entry)};

static uint64_t hash_spirv(qvk__kernel kernel)
{
    const uint32_t *words;
    size_t n_words;

    qvk__kernel_spirv(kernel, &words, &n_words);
    return words ? qvk__hash64(words, n_words * sizeof *words, 0) : 0;
}

static int find_kernel(const char *name)
{
    for (int i = 0; i < QVK__KERNEL_COUNT; i++)
        if (strcmp(qvk__kernel_name((qvk__kernel)i), name) == 0)
            return i;
    return -1;
}

/* Into verdicts that are not known yet. */
static void take_entry(const void *bytes, void *user)
{
    verdicts *known = user;
    file_entry entry;
    int kernel;

    memcpy(&entry, bytes, sizeof entry);
    kernel = memchr(entry.name, '\0', sizeof entry.name) ? find_kernel(entry.name) : -1;
    if (kernel < 0 || known->of[kernel] != QVK__TRIAL_NONE || !qvk__trial_exists((qvk__kernel)kernel) ||
        entry.spirv != hash_spirv((qvk__kernel)kernel))
        return;
    if (entry.verdict == QVK__TRIAL_PASSED || entry.verdict == QVK__TRIAL_FAILED)
        known->of[kernel] = (uint8_t)entry.verdict;
    known->suspect[kernel] = entry.verdict == QVK__TRIAL_HUNG;
}

/* A suspect that was not tried since stays one. */
static uint8_t verdict_to_write(const verdicts *known, int kernel)
{
    return known->of[kernel] == QVK__TRIAL_NONE && known->suspect[kernel] ? QVK__TRIAL_HUNG
                                                                          : known->of[kernel];
}

static qvk_status write_file(const qvk__gpu *gpu, const verdicts *known, qvk_error *err)
{
    file_entry entries[QVK__KERNEL_COUNT] = {0};
    size_t n = 0;

    for (int i = 0; i < QVK__KERNEL_COUNT; i++) {
        const char *name = qvk__kernel_name((qvk__kernel)i);
        const uint8_t verdict = verdict_to_write(known, i);
        if (verdict == QVK__TRIAL_NONE || verdict == QVK__TRIAL_SKIPPED ||
            strlen(name) >= sizeof entries[n].name)
            continue;
        strcpy(entries[n].name, name);
        entries[n].spirv = hash_spirv((qvk__kernel)i);
        entries[n].verdict = verdict;
        n++;
    }
    return qvk__notes_write(&notes, gpu, entries, n, err);
}

/* ---- life ----------------------------------------------------------------------------------------------- */

qvk_status qvk__trials_create(qvk__gpu *gpu, qvk_log_fn log, void *log_user, qvk__trials **out,
                              qvk_error *err)
{
    qvk__trials *trials = qvk__alloc_zeroed(1, sizeof *trials);

    QVK__CHECK(trials, err, QVK_OUT_OF_MEMORY, "out of memory");
    trials->gpu = gpu;
    trials->log = log;
    trials->log_user = log_user;
    pthread_mutex_init(&trials->lock, NULL);
    *out = trials;
    return QVK_OK;
}

void qvk__trials_destroy(qvk__trials **trials)
{
    if (!*trials)
        return;
    free((*trials)->said.data);
    pthread_mutex_destroy(&(*trials)->lock);
    free(*trials);
    *trials = NULL;
}

/* ---- verdicts ------------------------------------------------------------------------------------------- */

/* Logs what was said meanwhile, a line at a time. Without the lock: a log may ask the context something. */
static void log_lines(const qvk__trials *trials, char *said)
{
    for (char *line = said, *end; line && *line && trials->log; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        trials->log(trials->log_user, QVK_LOG_WARNING, line);
    }
}

static void read_file(qvk__trials *trials)
{
    trials->is_read = true;
    qvk__notes_read(&notes, qvk__gpu_cache_dir(trials->gpu), qvk__gpu_caps_of(trials->gpu), take_entry,
                    &trials->known);
}

/* With what other processes found out meanwhile. A failure costs the next process its time, no more. */
static void save(qvk__trials *trials)
{
    qvk_error error;

    read_file(trials);
    if (write_file(trials->gpu, &trials->known, &error) != QVK_OK)
        qvk__string_addf(&trials->said, "verdicts on kernels are not kept: %s\n", error.message);
}

static bool is_distrusted(const verdicts *known, int kernel)
{
    return known->of[kernel] == QVK__TRIAL_FAILED || known->of[kernel] == QVK__TRIAL_HUNG;
}

static void copy_distrusted(const verdicts *known, bool out[QVK__KERNEL_COUNT])
{
    for (int i = 0; i < QVK__KERNEL_COUNT; i++)
        out[i] = is_distrusted(known, i);
}

static qvk_status try_kernel(qvk__trials *trials, qvk__kernel kernel, qvk_error *err)
{
    bool distrusted[QVK__KERNEL_COUNT];
    qvk__trial_result result = {0};
    qvk_status status;

    copy_distrusted(&trials->known, distrusted);
    status = qvk__trial_run(trials->gpu, kernel, distrusted, &result, err);
    if (result.verdict == QVK__TRIAL_HUNG && trials->known.suspect[kernel])
        result.verdict = QVK__TRIAL_FAILED;
    trials->known.of[kernel] = (uint8_t)result.verdict;
    if (is_distrusted(&trials->known, kernel))
        qvk__string_addf(&trials->said, "kernel %s is not used on %s: %s\n", qvk__kernel_name(kernel),
                         qvk__gpu_caps_of(trials->gpu)->name, result.reason);
    return status;
}

static qvk_status check(qvk__trials *trials, const qvk__dispatch *dispatches, size_t n,
                        bool distrusted[QVK__KERNEL_COUNT], bool *refused, bool *tried, qvk_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const qvk__kernel kernel = dispatches[i].kernel;
        if (!qvk__trial_exists(kernel))
            continue;
        if (!trials->is_read)
            read_file(trials);
        if (trials->known.of[kernel] == QVK__TRIAL_NONE) {
            *tried = true;
            QVK__TRY(try_kernel(trials, kernel, err));
        }
        if (is_distrusted(&trials->known, kernel) && !distrusted[kernel])
            *refused = distrusted[kernel] = true;
    }
    return QVK_OK;
}

qvk_status qvk__trials_check(qvk__trials *trials, const qvk__dispatch *dispatches, size_t n,
                             bool distrusted[QVK__KERNEL_COUNT], bool *refused, qvk_error *err)
{
    bool tried = false;
    qvk_status status;
    qvk__string said;

    *refused = false;
    pthread_mutex_lock(&trials->lock);
    status = check(trials, dispatches, n, distrusted, refused, &tried, err);
    if (tried)
        save(trials);
    said = trials->said;
    trials->said = (qvk__string){0};
    pthread_mutex_unlock(&trials->lock);
    log_lines(trials, said.data);
    free(said.data);
    return status;
}

void qvk__trials_distrusted(qvk__trials *trials, bool out[QVK__KERNEL_COUNT])
{
    pthread_mutex_lock(&trials->lock);
    if (!trials->is_read)
        read_file(trials);
    copy_distrusted(&trials->known, out);
    pthread_mutex_unlock(&trials->lock);
}

void qvk__trials_read_distrusted(const char *cache_dir, const qvk__gpu_caps *caps,
                                 bool out[QVK__KERNEL_COUNT])
{
    verdicts known = {0};

    qvk__notes_read(&notes, cache_dir, caps, take_entry, &known);
    copy_distrusted(&known, out);
}
