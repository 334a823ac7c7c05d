#include "runtime/hazards.h"

static bool overlap(const qvk__gpu_range *a, const qvk__gpu_range *b)
{
    return a->buffer == b->buffer && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static bool conflicts(const qvk__hazards *hazards, const qvk__access *access)
{
    for (size_t i = 0; i < hazards->seen.count; i++) {
        const qvk__access *earlier = &hazards->seen.data[i];
        if ((earlier->writes || access->writes) && overlap(&earlier->range, &access->range))
            return true;
    }
    return false;
}

qvk_status qvk__hazards_add(qvk__hazards *hazards, const qvk__access *accesses, size_t n, bool *barrier,
                            qvk_error *err)
{
    bool found = false;

    for (size_t i = 0; i < n && !found; i++)
        found = conflicts(hazards, &accesses[i]);
    if (found)
        qvk__hazards_forget(hazards);
    for (size_t i = 0; i < n; i++)
        QVK__CHECK(QVK__VEC_PUSH(&hazards->seen, accesses[i]), err, QVK_OUT_OF_MEMORY, "out of memory");
    *barrier = found;
    return QVK_OK;
}

void qvk__hazards_forget(qvk__hazards *hazards)
{
    hazards->seen.count = 0;
}

void qvk__hazards_finish(qvk__hazards *hazards)
{
    free(hazards->seen.data);
    memset(hazards, 0, sizeof *hazards);
}
