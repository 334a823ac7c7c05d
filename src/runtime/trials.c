/* Verdicts on kernels: asked for, found on disk, kept. */
#include "runtime/trials.h"

#include <pthread.h>
#include <stdio.h>

#include "runtime/device_notes.h"
#include "runtime/trial_run.h"

struct qvk__trials {
    qvk__gpu *gpu;
    qvk_log_fn log;
    void *log_user;
    pthread_mutex_t lock; /* of what follows; held while a kernel is tried */
    bool is_read;         /* the file was looked at */
    uint8_t verdicts[QVK__KERNEL_COUNT];
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
    uint8_t *verdicts = user;
    file_entry entry;
    int kernel;

    memcpy(&entry, bytes, sizeof entry);
    kernel = memchr(entry.name, '\0', sizeof entry.name) ? find_kernel(entry.name) : -1;
    if (kernel >= 0 && verdicts[kernel] == QVK__TRIAL_NONE && qvk__trial_exists((qvk__kernel)kernel) &&
        entry.spirv == hash_spirv((qvk__kernel)kernel) &&
        (entry.verdict == QVK__TRIAL_PASSED || entry.verdict == QVK__TRIAL_FAILED))
        verdicts[kernel] = (uint8_t)entry.verdict;
}

static qvk_status write_file(const qvk__gpu *gpu, const uint8_t verdicts[QVK__KERNEL_COUNT], qvk_error *err)
{
    file_entry entries[QVK__KERNEL_COUNT] = {0};
    size_t n = 0;

    for (int i = 0; i < QVK__KERNEL_COUNT; i++) {
        const char *name = qvk__kernel_name((qvk__kernel)i);
        const bool is_told = verdicts[i] == QVK__TRIAL_PASSED || verdicts[i] == QVK__TRIAL_FAILED;
        if (!is_told || strlen(name) >= sizeof entries[n].name)
            continue;
        strcpy(entries[n].name, name);
        entries[n].spirv = hash_spirv((qvk__kernel)i);
        entries[n].verdict = verdicts[i];
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
    pthread_mutex_destroy(&(*trials)->lock);
    free(*trials);
    *trials = NULL;
}

/* ---- verdicts ------------------------------------------------------------------------------------------- */

static void warn(const qvk__trials *trials, const char *format, ...) QVK_PRINTF(2, 3);
static void warn(const qvk__trials *trials, const char *format, ...)
{
    char message[1024];
    va_list args;

    if (!trials->log)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    trials->log(trials->log_user, QVK_LOG_WARNING, message);
}

static void read_file(qvk__trials *trials)
{
    trials->is_read = true;
    qvk__notes_read(&notes, qvk__gpu_cache_dir(trials->gpu), qvk__gpu_caps_of(trials->gpu), take_entry,
                    trials->verdicts);
}

/* With what other processes found out meanwhile. A failure costs the next process its time, no more. */
static void save(qvk__trials *trials)
{
    qvk_error error;

    read_file(trials);
    if (write_file(trials->gpu, trials->verdicts, &error) != QVK_OK)
        warn(trials, "verdicts on kernels are not kept: %s", error.message);
}

static void copy_distrusted(const uint8_t verdicts[QVK__KERNEL_COUNT], bool out[QVK__KERNEL_COUNT])
{
    for (int i = 0; i < QVK__KERNEL_COUNT; i++)
        out[i] = verdicts[i] == QVK__TRIAL_FAILED;
}

static qvk_status try_kernel(qvk__trials *trials, qvk__kernel kernel, qvk_error *err)
{
    bool distrusted[QVK__KERNEL_COUNT];
    qvk__trial_result result = {0};
    qvk_status status;

    copy_distrusted(trials->verdicts, distrusted);
    status = qvk__trial_run(trials->gpu, kernel, distrusted, &result, err);
    trials->verdicts[kernel] = (uint8_t)result.verdict;
    if (result.verdict == QVK__TRIAL_FAILED)
        warn(trials, "kernel %s is not used on %s: %s", qvk__kernel_name(kernel),
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
        if (trials->verdicts[kernel] == QVK__TRIAL_NONE) {
            *tried = true;
            QVK__TRY(try_kernel(trials, kernel, err));
        }
        if (trials->verdicts[kernel] == QVK__TRIAL_FAILED && !distrusted[kernel])
            *refused = distrusted[kernel] = true;
    }
    return QVK_OK;
}

qvk_status qvk__trials_check(qvk__trials *trials, const qvk__dispatch *dispatches, size_t n,
                             bool distrusted[QVK__KERNEL_COUNT], bool *refused, qvk_error *err)
{
    bool tried = false;
    qvk_status status;

    *refused = false;
    pthread_mutex_lock(&trials->lock);
    status = check(trials, dispatches, n, distrusted, refused, &tried, err);
    if (tried)
        save(trials);
    pthread_mutex_unlock(&trials->lock);
    return status;
}

void qvk__trials_distrusted(qvk__trials *trials, bool out[QVK__KERNEL_COUNT])
{
    pthread_mutex_lock(&trials->lock);
    if (!trials->is_read)
        read_file(trials);
    copy_distrusted(trials->verdicts, out);
    pthread_mutex_unlock(&trials->lock);
}

void qvk__trials_read_distrusted(const char *cache_dir, const qvk__gpu_caps *caps,
                                 bool out[QVK__KERNEL_COUNT])
{
    uint8_t verdicts[QVK__KERNEL_COUNT] = {QVK__TRIAL_NONE};

    qvk__notes_read(&notes, cache_dir, caps, take_entry, verdicts);
    copy_distrusted(verdicts, out);
}
