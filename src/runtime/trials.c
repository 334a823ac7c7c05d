/* Verdicts on kernels: asked for, found on disk, kept. */
#include "runtime/trials.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

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

/* The magic changes with what a trial computes. */
#define FILE_MAGIC "QVKTRY01"
enum { FILE_MAX_BYTES = 1 << 20 };

typedef struct file_header {
    char magic[8];
    uint64_t bytes, checksum; /* of the entries that follow */
} file_header;

typedef struct file_entry {
    char name[48];  /* of the kernel: the order of the table is another one in another build */
    uint64_t spirv; /* hash of its words */
    uint64_t verdict;
} file_entry;

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

static void take_entry(const file_entry *entry, uint8_t verdicts[QVK__KERNEL_COUNT])
{
    const bool is_text = memchr(entry->name, '\0', sizeof entry->name) != NULL;
    const int kernel = is_text ? find_kernel(entry->name) : -1;

    if (kernel >= 0 && verdicts[kernel] == QVK__TRIAL_NONE && qvk__trial_exists((qvk__kernel)kernel) &&
        entry->spirv == hash_spirv((qvk__kernel)kernel) &&
        (entry->verdict == QVK__TRIAL_PASSED || entry->verdict == QVK__TRIAL_FAILED))
        verdicts[kernel] = (uint8_t)entry->verdict;
}

static bool is_ours(const qvk__file *file, file_header *header)
{
    if (file->bytes < sizeof *header || file->bytes > FILE_MAX_BYTES)
        return false;
    memcpy(header, file->data, sizeof *header);
    return memcmp(header->magic, FILE_MAGIC, sizeof header->magic) == 0 &&
           header->bytes == file->bytes - sizeof *header && header->bytes % sizeof(file_entry) == 0 &&
           header->checksum == qvk__hash64(file->data + sizeof *header, (size_t)header->bytes, 0);
}

/* Verdicts that are not known yet. */
static void read_file(const char *path, uint8_t verdicts[QVK__KERNEL_COUNT])
{
    qvk__file file = {0};
    file_header header;
    file_entry entry;

    if (qvk__file_map(path, &file, NULL) != QVK_OK)
        return;
    if (is_ours(&file, &header))
        for (uint64_t at = sizeof header; at < file.bytes; at += sizeof entry) {
            memcpy(&entry, file.data + at, sizeof entry);
            take_entry(&entry, verdicts);
        }
    qvk__file_unmap(&file);
}

static qvk_status write_file(const char *path, const uint8_t verdicts[QVK__KERNEL_COUNT], qvk_error *err)
{
    struct {
        file_header header;
        file_entry entries[QVK__KERNEL_COUNT];
    } content = {.header = {.magic = FILE_MAGIC}};
    size_t n = 0;

    for (int i = 0; i < QVK__KERNEL_COUNT; i++) {
        const char *name = qvk__kernel_name((qvk__kernel)i);
        file_entry *entry = &content.entries[n];
        const bool is_told = verdicts[i] == QVK__TRIAL_PASSED || verdicts[i] == QVK__TRIAL_FAILED;
        if (!is_told || strlen(name) >= sizeof entry->name)
            continue;
        strcpy(entry->name, name);
        entry->spirv = hash_spirv((qvk__kernel)i);
        entry->verdict = verdicts[i];
        n++;
    }
    content.header.bytes = n * sizeof content.entries[0];
    content.header.checksum = qvk__hash64(content.entries, (size_t)content.header.bytes, 0);
    QVK__TRY(qvk__folders_make(path, err));
    return qvk__file_write(path, &content, sizeof content.header + content.header.bytes, err);
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

/* Empty text: nothing is kept on disk. */
static void file_path(const qvk__trials *trials, char path[1024])
{
    if (qvk__gpu_cache_path(trials->gpu, "trials", path, 1024, NULL) != QVK_OK)
        *path = '\0';
}

static void read_once(qvk__trials *trials)
{
    char path[1024];

    if (trials->is_read)
        return;
    trials->is_read = true;
    file_path(trials, path);
    if (*path)
        read_file(path, trials->verdicts);
}

/* With what other processes found out meanwhile. A failure costs the next process its time, no more. */
static void save(qvk__trials *trials)
{
    qvk_error error;
    char path[1024];

    file_path(trials, path);
    if (!*path)
        return;
    read_file(path, trials->verdicts);
    if (write_file(path, trials->verdicts, &error) != QVK_OK)
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
        read_once(trials);
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
    read_once(trials);
    copy_distrusted(trials->verdicts, out);
    pthread_mutex_unlock(&trials->lock);
}

void qvk__trials_read_distrusted(const char *cache_dir, const qvk__gpu_caps *caps,
                                 bool out[QVK__KERNEL_COUNT])
{
    uint8_t verdicts[QVK__KERNEL_COUNT] = {QVK__TRIAL_NONE};
    char path[1024];

    if (qvk__gpu_cache_path_in(cache_dir, caps, "trials", path, sizeof path, NULL) == QVK_OK && *path)
        read_file(path, verdicts);
    copy_distrusted(verdicts, out);
}
