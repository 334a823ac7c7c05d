/* Splitting a range over threads. Threads are started for the call: work worth splitting takes far longer
 * than that. */
#include "base/base.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
    MAX_THREADS = 16,
    SHARES = 8
}; /* parts for each thread: one that is held up leaves its later ones to others */

typedef qvk_status (*work_fn)(void *user, uint64_t begin, uint64_t end, qvk_error *err);

typedef struct job {
    work_fn work;
    void *user;
    uint64_t count, share;
    atomic_ullong next;
    atomic_bool failed;
    pthread_mutex_t lock; /* of what follows */
    qvk_status status;
    qvk_error err;
} job;

static void note_failure(job *j, qvk_status status, const qvk_error *err)
{
    pthread_mutex_lock(&j->lock);
    if (j->status == QVK_OK) {
        j->status = status;
        j->err = *err;
    }
    pthread_mutex_unlock(&j->lock);
    atomic_store(&j->failed, true);
}

static void *run(void *arg)
{
    job *j = arg;

    while (!atomic_load(&j->failed)) {
        uint64_t begin = atomic_fetch_add(&j->next, j->share);
        qvk_error err = {.message = ""};
        qvk_status status;
        if (begin >= j->count)
            break;
        status = j->work(j->user, begin, QVK__MIN(begin + j->share, j->count), &err);
        if (status != QVK_OK)
            note_failure(j, status, &err);
    }
    return NULL;
}

qvk_status qvk__parallel_try(uint64_t count, uint64_t grain, work_fn work, void *user, qvk_error *err)
{
    job j = {.work = work, .user = user, .count = count, .lock = PTHREAD_MUTEX_INITIALIZER};
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t grains, n, started = 0;
    pthread_t threads[MAX_THREADS];

    grain = grain ? grain : 1;
    grains = qvk__div_up(count, grain);
    n = QVK__MIN(grains, (uint64_t)(processors > 1 ? QVK__MIN(processors, (long)MAX_THREADS) : 1));
    j.share = QVK__MAX(grains / QVK__MAX(n * SHARES, (uint64_t)1), (uint64_t)1) * grain;
    atomic_init(&j.next, 0);
    atomic_init(&j.failed, false);
    while (started + 1 < n && pthread_create(&threads[started], NULL, run, &j) == 0)
        started++;
    run(&j);
    while (started > 0)
        pthread_join(threads[--started], NULL);
    pthread_mutex_destroy(&j.lock);
    if (j.status != QVK_OK && err)
        *err = j.err;
    return j.status;
}

typedef struct infallible {
    void (*work)(void *user, uint64_t begin, uint64_t end);
    void *user;
} infallible;

static qvk_status call(void *user, uint64_t begin, uint64_t end, qvk_error *err)
{
    const infallible *it = user;
    (void)err;
    it->work(it->user, begin, end);
    return QVK_OK;
}

void qvk__parallel(uint64_t count, uint64_t grain, void (*work)(void *user, uint64_t begin, uint64_t end),
                   void *user)
{
    infallible it = {work, user};
    (void)qvk__parallel_try(count, grain, call, &it, NULL);
}
