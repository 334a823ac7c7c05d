/* Bytes of constants: borrowed, lent, made on demand, or gathered from strided storage. */
#include "core/graph.h"

enum { ROW_GRAIN = 16 };

static void gather(const qvk__constant *constant, uint8_t *out)
{
    int64_t index[QVK_MAX_RANK] = {0};
    const uint8_t *storage = constant->data;
    size_t item = constant->element_bytes;
    uint64_t count = constant->bytes / item;

    for (uint64_t i = 0; i < count; i++) {
        int64_t place = constant->storage_offset;
        for (int d = 0; d < constant->rank; d++)
            place += index[d] * constant->strides[d];
        memcpy(out + i * item, storage + (size_t)place * item, item);
        for (int d = constant->rank - 1; d >= 0 && ++index[d] == constant->sizes[d]; d--)
            index[d] = 0;
    }
}

typedef struct rows_job {
    const qvk__constant *constant;
    uint8_t *out;
} rows_job;

static qvk_status fill_some_rows(void *user, uint64_t begin, uint64_t end, qvk_error *err)
{
    const rows_job *job = user;
    return job->constant->fill_rows(job->constant, begin, end, job->out + begin * job->constant->row_bytes,
                                    err);
}

static qvk_status fill_all_rows(const qvk__constant *constant, void *out, qvk_error *err)
{
    rows_job job = {constant, out};
    return qvk__parallel_try(constant->bytes / constant->row_bytes, ROW_GRAIN, fill_some_rows, &job, err);
}

qvk_status qvk__constant_bytes(const qvk__constant *constant, const void **out, qvk_error *err)
{
    qvk_status status = QVK_OK;
    void *made;

    if (constant->data && !constant->strided) {
        *out = constant->data;
        return QVK_OK;
    }
    if (constant->lender)
        return constant->lender->lend(constant, out, err);
    made = qvk__alloc_zeroed(constant->bytes, 1);
    QVK__CHECK(made, err, QVK_OUT_OF_MEMORY, "%s: %llu bytes for a constant",
               constant->name ? constant->name : "constant", (unsigned long long)constant->bytes);
    if (constant->fill_rows)
        status = fill_all_rows(constant, made, err);
    else if (constant->fill)
        status = constant->fill(constant, made, err);
    else if (constant->data)
        gather(constant, made);
    if (status != QVK_OK) {
        free(made);
        return status;
    }
    *out = made;
    return QVK_OK;
}

void qvk__constant_release(const qvk__constant *constant, const void *bytes)
{
    if (bytes && constant->lender)
        constant->lender->take_back(constant, bytes);
    else if (bytes && (!constant->data || constant->strided))
        free((void *)(uintptr_t)bytes);
}

bool qvk__constant_has_rows(const qvk__constant *constant, uint64_t row_bytes)
{
    return constant->data ? !constant->strided
                          : constant->fill_rows && row_bytes > 0 && constant->row_bytes == row_bytes;
}

qvk_status qvk__constant_rows(const qvk__constant *constant, uint64_t row_bytes, uint64_t begin, uint64_t end,
                              void *buffer, const void **out, qvk_error *err)
{
    if (constant->data) {
        *out = (const uint8_t *)constant->data + begin * row_bytes;
        return QVK_OK;
    }
    *out = buffer;
    return constant->fill_rows(constant, begin, end, buffer, err);
}
