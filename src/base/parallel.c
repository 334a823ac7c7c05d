/* Splitting a range over threads. Threads are started for the call: work worth splitting takes far longer
 * than that. */
#include "base/base.h"

#include <pthread.h>
#include <unistd.h>

enum { MAX_THREADS = 16 };

typedef struct part {
    void (*work)(void *user, uint64_t begin, uint64_t end);
    void *user;
    uint64_t begin, end;
} part;

static void *run(void *arg)
{
    part *p = arg;
    p->work(p->user, p->begin, p->end);
    return NULL;
}

void qvk__parallel(uint64_t count, uint64_t grain, void (*work)(void *user, uint64_t begin, uint64_t end),
                   void *user)
{
    pthread_t threads[MAX_THREADS];
    part parts[MAX_THREADS];
    bool started[MAX_THREADS] = {false};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t n = qvk__div_up(count, grain ? grain : 1), share;

    if (count == 0)
        return;
    n = QVK__MIN(n, (uint64_t)(processors > 1 ? QVK__MIN(processors, (long)MAX_THREADS) : 1));
    share = qvk__round_up(qvk__div_up(count, n), grain ? grain : 1);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t begin = QVK__MIN(i * share, count), end = QVK__MIN(begin + share, count);
        parts[i] = (part){work, user, begin, end};
        started[i] = i + 1 < n && pthread_create(&threads[i], NULL, run, &parts[i]) == 0;
        if (!started[i] && begin < end) /* the last part, and any that got no thread, is the caller's */
            run(&parts[i]);
    }
    for (uint64_t i = 0; i < n; i++)
        if (started[i])
            pthread_join(threads[i], NULL);
}
